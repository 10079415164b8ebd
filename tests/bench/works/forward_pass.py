"""A forward pass right from a file that is not here yet: layer by layer, each computed on while others arrive."""

import time

from bar import Bar
from links import GIGABIT
from works import safetensors
from works.work import FULL_REST, Work, timed

LAYERS = 32
PARTS = {"input_layernorm": 0.001, "mlp.down_proj": 0.22, "mlp.gate_proj": 0.22, "mlp.up_proj": 0.22, "self_attn.k_proj": 0.08, "self_attn.o_proj": 0.09,
         "self_attn.q_proj": 0.09, "self_attn.v_proj": 0.079}
DOWNLOADS = ("mlflow", "boto3", "aria2c")


class ForwardPass(Work):
    """Computing on a layer takes half as long as its transfer. Who downloads first has the whole file before its first layer."""

    name = "forward-pass"
    title = "a forward pass, layer by layer, over a cold safetensors file"
    links = (GIGABIT,)
    contestants = {name: FULL_REST for name in ("modelfs", *DOWNLOADS, "rclone", "mountpoint")}
    metrics = {"first": ("first layer done", "s", False), "whole": ("whole pass", "s", False), "download": ("download alone", "s", False)}

    def bars(self, link):
        return [Bar("first layer done, sooner than by download-then-load", "first", DOWNLOADS, inverted=True, at_least=10),
                Bar("whole pass, against the download alone", "whole", DOWNLOADS, "download", at_most=1.05)]

    def begin(self, stage, kinds):
        super().begin(stage, kinds)
        layer = stage.link.size(2048 << 20, stage.quick) // LAYERS
        sizes = {f"model.layers.{number}.{part}.weight": int(layer * share) // 64 * 64 for number in range(LAYERS) for part, share in PARTS.items()}
        head, tensors, size = safetensors.layout(sizes)
        self.head_bytes = len(head)
        self.key = stage.objects.pattern(f"layers-{size >> 20}.safetensors", size, head)
        steps = []
        for number in range(LAYERS):
            wanted = [tensors[f"model.layers.{number}.{part}.weight"] for part in PARTS]
            compute = sum(tensor.size for tensor in wanted) / stage.link.bytes_per_second / 2
            steps += [(tensor, compute if tensor is wanted[-1] else 0) for tensor in wanted]
        self.plan = safetensors.write_plan(stage.place / "layers.plan", steps)

    def measure(self, kind, number):
        with kind(self.stage) as contestant:
            begun = time.perf_counter()
            path = contestant.open_up(self.key)
            took = 0 if kind.lazy else time.perf_counter() - begun
            result = timed(contestant, "plan", path, "--plan", self.plan, check_from=self.head_bytes)
            # The plan leaves the layers in file order of their parts, so the first layer is the first len(PARTS) steps.
            figures = {"first": took + result["done_at_seconds"][len(PARTS) - 1], "whole": took + result["seconds"]}
            return figures if kind.lazy else figures | {"download": took}


ALL = [ForwardPass()]
