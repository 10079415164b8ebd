"""`modelfs ensure` in the place of the download of a start script."""

import os
import pathlib
import random

import pytest

from harness import mlflow, programs
from harness.mounting import is_mounted


@pytest.fixture(scope="module")
def server(scratch):
    server = mlflow.Mlflow(scratch / "ensure", "--artifacts-destination", scratch / "ensure-artifacts")
    server.predictions = server.register("set_fit_model", 2)
    server.set_alias("set_fit_model", "champion", 1)
    yield server
    server.stop()


class Script:
    """The start script, with one line instead of its download."""

    TEXT = """
set -e
MODEL=$("$MODELFS" ensure $ARGUMENTS)
test -f "$MODEL/MLmodel"
echo "$MODEL"
"""

    def __init__(self, modelfs, server):
        self.modelfs, self.server = modelfs, server
        self.models = modelfs.folder / "src/models"
        modelfs.mounts.append(self.models)

    def run(self, version="1", arguments="", **variables):
        environment = self.modelfs.environment | self.server.environment() | {
            "MODELFS": str(programs.MODELFS), "ARGUMENTS": f"--cache {self.modelfs.folder}/cache {arguments}", "LOCAL_MODEL_PATH": str(self.models),
            "MLFLOW_MODEL_NAME": "set_fit_model", "MLFLOW_MODEL_VERSION": version, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""} | variables
        return programs.run(["/bin/sh", "-c", self.TEXT], environment, 120)


@pytest.fixture
def script(modelfs, server):
    return Script(modelfs, server)


@pytest.mark.timeout(300)
def test_takes_the_place_of_the_download(script, server):
    """Must show 6."""
    result = programs.check(script.run())
    assert result.stdout == f"{script.models}/set_fit_model/1\n"
    assert mlflow.run_python(server.folder, mlflow.LOAD, result.stdout.strip(), MLFLOW_TRACKING_URI="http://127.0.0.1:1", **mlflow.QUIET) \
        == [server.predictions["1"]]
    for version, number in [("1", 1), ("2", 2), ("latest", 2), ("@champion", 1)]:
        assert programs.check(script.run(version)).stdout == f"{script.models}/set_fit_model/{number}\n"
    assert programs.check(script.run("2", "--wait")).stdout == f"{script.models}/set_fit_model/2\n"


@pytest.mark.timeout(300)
def test_says_what_is_wrong_and_what_there_is(script):
    for variables, words in [
        ({"MLFLOW_MODEL_NAME": "nope"}, ["'nope'", "set_fit_model"]),
        ({"version": "7"}, ["'7'", "1, 2"]),
        ({"version": "@nope"}, ["'@nope'", "@champion"]),
        ({"version": "v1"}, ["MLFLOW_MODEL_VERSION", "v1"]),
        ({"MLFLOW_MODEL_NAME": "", "LOCAL_MODEL_PATH": ""}, ["LOCAL_MODEL_PATH", "MLFLOW_MODEL_NAME"]),
    ]:
        result = script.run(**variables)
        assert result.returncode == 1 and result.stdout == "", variables
        assert all(word in result.stderr for word in words), result.stderr


@pytest.mark.timeout(120)
def test_refuses_a_path_with_other_files_and_a_server_that_is_down(script):
    script.models.mkdir(parents=True)
    (script.models / "somebody's").write_text("x")
    result = script.run()
    assert result.returncode == 1 and "LOCAL_MODEL_PATH" in result.stderr and str(script.models) in result.stderr
    (script.models / "somebody's").unlink()
    result = script.run(MLFLOW_TRACKING_URI="http://127.0.0.1:1")
    assert result.returncode == 1 and "127.0.0.1:1" in result.stderr
    assert not is_mounted(script.models)


@pytest.mark.timeout(600)
def test_killed_at_random_the_next_run_is_right(script, modelfs):
    seed = int(os.environ.get("MODELFS_SEED", random.randrange(1 << 32)))
    print(f"MODELFS_SEED={seed}")
    chance = random.Random(seed)
    for _ in range(int(os.environ.get("MODELFS_KILLS", 50))):
        process = modelfs.start("ensure", "--cache", modelfs.folder / "cache", LOCAL_MODEL_PATH=str(script.models), MLFLOW_MODEL_NAME="set_fit_model",
                                 MLFLOW_MODEL_VERSION="1", **script.server.environment())
        try:
            process.wait(chance.random() * 0.3)
        except Exception:  # it still runs
            pass
        if chance.random() < 0.5:
            modelfs.kill_all()
        elif process.poll() is None:
            process.kill()
        process.wait(30)
    result = programs.check(script.run())
    assert result.stdout == f"{script.models}/set_fit_model/1\n"
    assert (pathlib.Path(result.stdout.strip()) / "MLmodel").read_bytes()
