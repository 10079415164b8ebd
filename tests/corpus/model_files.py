"""Makes tests/corpus/models/: small model files by their real writers, and where their tensors lie.

    pip install numpy safetensors onnx gguf && python model_files.py

Each tensor's bytes are random, so that looking for them in the file tells where they are, whatever the
format: `expected.json` has [begin, end) of each, by file, in the order of the file.
"""

import json
import pathlib
import zipfile

import gguf
import numpy
import onnx
import safetensors.numpy
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent / "models"
random = numpy.random.default_rng(6)
expected = {}


def floats(*shape):
    return random.random(shape, numpy.float32)


def expect(name, tensors):
    """Notes where each of `tensors` (arrays, or bytes) lies in the file `name`."""
    content = (HERE / name).read_bytes()
    ranges = []
    for tensor in tensors:
        data = tensor if isinstance(tensor, bytes) else tensor.tobytes()
        assert content.count(data) == 1, name
        ranges.append([content.index(data), content.index(data) + len(data)])
    expected[name] = sorted(ranges)


def make_safetensors():
    tensors = {"b.weight": floats(4, 8), "a.weight": floats(3, 5), "c.bias": random.integers(0, 1 << 40, 7), "empty": floats(0, 4)}
    safetensors.numpy.save_file(tensors, HERE / "small.safetensors", metadata={"format": "np", "data_offsets": "[0,1]"})
    expect("small.safetensors", [tensor for tensor in tensors.values() if tensor.size])


def make_gguf():
    def writer(path, **options):
        out = gguf.GGUFWriter(path, "llama", **options)
        out.add_name("small")
        out.add_block_count(2)
        out.add_rope_freq_base(1e4)
        out.add_token_list(["<s>", "</s>", "a", "bc", ""])
        out.add_token_scores([0.0, 1.0, 2.0, 3.0, 4.0])
        return out

    def write(out):
        out.write_header_to_file()
        out.write_kv_data_to_file()
        out.write_tensors_to_file()
        out.close()

    out = writer(HERE / "small.gguf")
    out.add_custom_alignment(64)
    plain, quantized = floats(3, 5), gguf.quants.quantize(floats(2, 64), gguf.GGMLQuantizationType.Q8_0)
    out.add_tensor("token_embd.weight", plain)
    out.add_tensor("blk.0.attn_q.weight", quantized, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    write(out)
    expect("small.gguf", [plain, quantized])

    tensors = [floats(2, 4) for _ in range(5)]
    out = writer(HERE / "split.gguf", split_max_tensors=2)
    for number, tensor in enumerate(tensors):
        out.add_tensor(f"blk.{number}.ffn_up.weight", tensor)
    write(out)
    for path in HERE.glob("split-*.gguf"):
        if "00001-of" not in path.name:
            path.unlink()
    (first,) = HERE.glob("split-*.gguf")
    expect(first.name, [tensor for tensor in tensors if tensor.tobytes() in first.read_bytes()])


def make_numpy():
    array = floats(6, 7)
    numpy.save(HERE / "small.npy", array)
    expect("small.npy", [array])
    with open(HERE / "version2.npy", "wb") as out:
        numpy.lib.format.write_array(out, array, version=(2, 0))
    expect("version2.npy", [array])
    arrays = {"weights": floats(4, 4), "bias": floats(9)}
    numpy.savez(HERE / "small.npz", **arrays)
    expect("small.npz", list(arrays.values()))
    numpy.savez_compressed(HERE / "compressed.npz", **arrays)
    with zipfile.ZipFile(HERE / "compressed.npz") as archive:
        content = (HERE / "compressed.npz").read_bytes()
        entries = []
        for entry in archive.infolist():
            # The entry's own header: what it adds before the data stands in it.
            begin = entry.header_offset + 30 + sum(content[entry.header_offset + at] + 256 * content[entry.header_offset + at + 1] for at in (26, 28))
            entries.append(content[begin : begin + entry.compress_size])
    expect("compressed.npz", entries)


def make_onnx():
    def model(weights, branches=()):
        names = [weight.name for weight in weights]
        nodes = [helper.make_node("MatMul", ["x" if at == 0 else f"y{at - 1}", name], [f"y{at}"]) for at, name in enumerate(names)]
        if branches:
            made = []
            for number, tensor in enumerate(branches):
                constant = helper.make_node("Constant", [], [f"branch{number}"], value=tensor)
                made.append(helper.make_graph([constant], f"branch{number}", [], [helper.make_tensor_value_info(f"branch{number}", TensorProto.FLOAT, None)]))
            nodes.append(helper.make_node("If", ["which"], ["chosen"], then_branch=made[0], else_branch=made[1]))
        graph = helper.make_graph(nodes, "small", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
                                  [helper.make_tensor_value_info(f"y{len(names) - 1}", TensorProto.FLOAT, [1, 8])], initializer=weights)
        return helper.make_model(graph)

    def weights():
        return [numpy_helper.from_array(floats(8, 8), f"w{number}") for number in range(3)]

    tensors = weights()
    onnx.save(model(tensors), HERE / "inline.onnx")
    expect("inline.onnx", [tensor.raw_data for tensor in tensors])
    onnx.save(model(weights()), HERE / "external.onnx", save_as_external_data=True, location="external.onnx_data", size_threshold=0)
    onnx.save(model(weights(), [numpy_helper.from_array(floats(16), "then"), numpy_helper.from_array(floats(16), "else")]), HERE / "branches.onnx",
              save_as_external_data=True, all_tensors_to_one_file=False, size_threshold=0, convert_attribute=True)
    for path in HERE.iterdir():  # what was external
        if path.suffix in ("", ".onnx_data"):
            path.unlink()


def main():
    HERE.mkdir(exist_ok=True)
    for path in HERE.iterdir():
        path.unlink()
    make_safetensors()
    make_gguf()
    make_numpy()
    make_onnx()
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


main()
