"""Every secret that the tests use holds the word CANARY, so that one which leaks is found wherever it shows."""

import base64
import re

CANARY = "cAnArY"


def secret(name):
    """A secret that is told apart from others by `name`, with what needs escaping in URLs and base64."""
    return f"{CANARY}-{name}/only+for=tests"


def _in_base64(word):
    """What base64 makes of `word` wherever it begins, less the characters that its neighbours have a say in."""
    for before in range(3):
        text = base64.b64encode(b"\0" * before + word + b"\0\0")
        yield text[-(-before * 8 // 6) : (before + len(word)) * 8 // 6]


NEEDLES = [CANARY.encode(), CANARY.encode().hex().encode(), "".join(f"%{byte:02X}" for byte in CANARY.encode()).encode(),
           *_in_base64(CANARY.encode()),
           b"FQoGZXIvYXdzE"]  # what session tokens of moto's STS begin with
# Made for one request each, so that no test can choose them.
PATTERN = re.compile(b"|".join([*map(re.escape, NEEDLES), rb"Signature(=|%3[Dd])[0-9A-Fa-f]{16}"]))


def find(where, text):
    """Complaints about secrets in `text` (str or bytes), each with what stands around it."""
    data = text.encode(errors="surrogateescape") if isinstance(text, str) else text
    return [f"a secret in {where}: {data[max(0, match.start() - 80) : match.end() + 40]!r}" for match in PATTERN.finditer(data)][:3]


def find_in_file(path):
    """As `find`, of a file that may be large."""
    complaints, before = [], b""
    with open(path, "rb") as file:
        while block := file.read(16 << 20):
            complaints += find(path, before + block)
            before = block[-256:]
    return complaints[:3]
