"""A program for MLflow's environment: all-MiniLM-L6-v2 as an ONNX graph with its real weights, logged by MLflow's ONNX flavour.

    python minilm_onnx.py WEIGHTS_FOLDER MODEL_NAME TOKENS    registers a version; prints what it says to TOKENS (JSON)
"""

import json
import pathlib
import sys

import mlflow
import mlflow.onnx
import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper


def read_safetensors(path):
    data = numpy.memmap(path, dtype=numpy.uint8, mode="r")
    length = int.from_bytes(data[:8].tobytes(), "little")
    header = json.loads(data[8:8 + length].tobytes())
    types = {"F32": numpy.float32, "I64": numpy.int64}
    return {name: data[8 + length + item["data_offsets"][0]:8 + length + item["data_offsets"][1]].view(types[item["dtype"]]).reshape(item["shape"])
            for name, item in header.items() if name != "__metadata__"}


class Graph:
    """Nodes and initializers in the order in which they were added; each call returns the name of its result."""

    def __init__(self, weights):
        self.nodes, self.initializers, self.weights = [], [], weights

    def add(self, operator, *inputs, **attributes):
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, value):
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(numpy.array(value, order="C"), name))
        return name

    def linear(self, x, name):
        product = self.add("MatMul", x, self.constant(self.weights[name + ".weight"].T))
        return self.add("Add", product, self.constant(self.weights[name + ".bias"]))

    def normalise(self, x, name, epsilon):
        return self.add("LayerNormalization", x, self.constant(self.weights[name + ".weight"]),
                        self.constant(self.weights[name + ".bias"]), axis=-1, epsilon=epsilon)

    def gelu(self, x):
        erf = self.add("Erf", self.add("Div", x, self.constant(numpy.float32(2 ** 0.5))))
        return self.add("Mul", self.add("Mul", x, self.constant(numpy.float32(0.5))), self.add("Add", erf, self.constant(numpy.float32(1))))


def build(folder):
    config = json.loads((folder / "config.json").read_text())
    heads, hidden, epsilon = config["num_attention_heads"], config["hidden_size"], config["layer_norm_eps"]
    weights = read_safetensors(folder / "model.safetensors")
    graph = Graph(weights)
    embeddings = [weights[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")]
    count = graph.add("Squeeze", graph.add("Shape", "tokens"))
    positions = graph.add("Range", graph.constant(numpy.int64(0)), count, graph.constant(numpy.int64(1)))
    x = graph.add("Add", graph.add("Gather", graph.constant(embeddings[0]), "tokens"),
                  graph.add("Gather", graph.constant(embeddings[1]), positions))
    x = graph.normalise(graph.add("Add", x, graph.constant(embeddings[2][0])), "embeddings.LayerNorm", epsilon)
    split, joined = graph.constant(numpy.array([-1, heads, hidden // heads])), graph.constant(numpy.array([-1, hidden]))
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}."
        query, key, value = (graph.add("Transpose", graph.add("Reshape", graph.linear(x, f"{at}attention.self.{part}"), split), perm=order)
                             for part, order in (("query", [1, 0, 2]), ("key", [1, 2, 0]), ("value", [1, 0, 2])))
        scores = graph.add("Div", graph.add("MatMul", query, key), graph.constant(numpy.float32((hidden // heads) ** 0.5)))
        mixed = graph.add("Transpose", graph.add("MatMul", graph.add("Softmax", scores, axis=-1), value), perm=[1, 0, 2])
        mixed = graph.linear(graph.add("Reshape", mixed, joined), at + "attention.output.dense")
        x = graph.normalise(graph.add("Add", x, mixed), at + "attention.output.LayerNorm", epsilon)
        inner = graph.linear(graph.gelu(graph.linear(x, at + "intermediate.dense")), at + "output.dense")
        x = graph.normalise(graph.add("Add", x, inner), at + "output.LayerNorm", epsilon)
    mean = graph.add("ReduceMean", x, axes=[0], keepdims=0)
    length = graph.add("Sqrt", graph.add("ReduceSum", graph.add("Mul", mean, mean)))
    graph.nodes.append(helper.make_node("Div", [mean, length], ["embedding"]))
    body = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["n"])],
                             [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [hidden])], graph.initializers)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def main():
    folder, name, tokens = pathlib.Path(sys.argv[1]), sys.argv[2], numpy.array(json.loads(sys.argv[3]))
    mlflow.set_experiment("tests")
    with mlflow.start_run():
        place = {"name": "model"} if int(mlflow.__version__.split(".")[0]) >= 3 else {"artifact_path": "model"}
        info = mlflow.onnx.log_model(build(folder), **place, pip_requirements=["onnxruntime"])
    mlflow.register_model(info.model_uri, name)
    # As MLflow's own client has it: downloaded whole.
    print(json.dumps(mlflow.pyfunc.load_model(info.model_uri).predict({"tokens": tokens})["embedding"].tolist()))


main()
