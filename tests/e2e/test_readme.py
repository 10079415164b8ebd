"""README.md, section "With MLflow": its commands, copied and pasted into a shell."""

import ast
import json
import re
import textwrap

import pytest

from harness import mlflow, programs
from harness.servers import free_port


def commands(section):
    """The shell blocks of a section of README.md, in order, as they are copied from the page."""
    text = (programs.REPOSITORY / "README.md").read_text()
    body = text.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"^( *)```sh\n(.*?)^\1```$", body, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 6
    return [textwrap.dedent(block) for _, block in blocks]


@pytest.mark.timeout(600)
def test_with_mlflow(folder, modelfs):
    (folder / "build").mkdir()
    (folder / "build/bin").symlink_to(programs.BIN)
    modelfs.mounts.append(folder / "models")  # to be cleaned up, should the commands not reach their end
    port = free_port()
    script = "\n".join(["trap 'kill $MLFLOW_SERVER 2>/dev/null || true' EXIT",
                        *(block.replace("5000", str(port)) for block in commands("With MLflow"))])
    environment = modelfs.environment | mlflow.QUIET | {"PATH": f"{mlflow.VENV / 'bin'}:{modelfs.environment['PATH']}"}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        environment.pop(name)  # A newcomer has none.
    result = programs.check(programs.run(["bash", "-euo", "pipefail", "-c", script], environment, 400, cwd=folder))
    lines = result.stdout.splitlines()
    assert "iris" in lines, "the model is listed"
    assert any(line.endswith(" @champion -> 1") for line in lines) and any(line.endswith(" latest -> 1") for line in lines)
    assert [0, 2] in [ast.literal_eval(line.replace(" ", ",")) for line in lines if re.fullmatch(r"\[\d \d\]", line)], "a setosa and a virginica"
    progress = json.loads(re.search(r"^\{\n.*?^\}$", result.stdout, re.MULTILINE | re.DOTALL).group())
    assert (progress["model"], progress["version"]) == ("iris", 1)
    assert 0 < progress["cached_bytes"] <= progress["total_bytes"]
    assert lines.count("MLmodel") == 2, "what ensure printed is the model's folder, with and without a mount"
    assert (folder / "copies/iris/1/MLmodel").is_file()
