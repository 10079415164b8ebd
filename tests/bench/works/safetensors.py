"""Model files: the head of a safetensors file, and where its tensors lie."""

import dataclasses
import json


@dataclasses.dataclass(frozen=True)
class Tensor:
    name: str
    offset: int  # in the file
    size: int


def layout(sizes):
    """The head (bytes) of a file with tensors of these sizes ({name: bytes}), and its tensors, sorted by name as the
    library writes them."""
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name in sorted(sizes):
        header[name] = {"dtype": "BF16", "shape": [sizes[name] // 2], "data_offsets": [at, at + sizes[name]]}
        at += sizes[name]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    head = len(text).to_bytes(8, "little") + text
    tensors = {name: Tensor(name, len(head) + header[name]["data_offsets"][0], sizes[name]) for name in sorted(sizes)}
    return head, tensors, len(head) + at


def write_plan(path, steps):
    """`steps`: (Tensor, seconds to compute after it)."""
    path.write_text("".join(f"{tensor.offset} {tensor.size} {round(compute * 1e6)}\n" for tensor, compute in steps))
    return path
