"""A load that wants a part of the tensors, in an order of its own: what an access profile is worth."""

import random

from bar import Bar
from links import FOUR_GIGABIT
from works import safetensors
from works.work import FULL_REST, Work, timed

MIB = 1 << 20
LAYER_MIB = {"attn.q": 16, "attn.k": 4, "attn.v": 4, "attn.o": 16, "mlp.gate": 56, "mlp.up": 56, "mlp.down": 56}  # half of a 7B's
SHARE = 0.4


class PartialLoad(Work):
    """First a load by an empty cache; then all bytes are evicted, so that the cache keeps only the profile, and it is mounted
    again for the same load."""

    name = "partial-load"
    title = "a load of 40 % of the tensors in another order than the file's, with a profile and without"
    links = (FOUR_GIGABIT,)
    contestants = {"modelfs": FULL_REST}
    metrics = {"without": ("last needed byte, without a profile", "s", False), "with": ("last needed byte, with a profile", "s", False),
               "vain": ("fetched in vain, with a profile", "of what was needed", False),
               "vain_without": ("fetched in vain, without", "of what was needed", False), "link": ("needed bytes at the link's rate", "s", False)}

    def bars(self, link):
        return [Bar("last needed byte, sooner with a profile than without", "with", ("modelfs",), "without", inverted=True, at_least=1.3),
                Bar("fetched in vain with a profile", "vain", 1, at_most=0.05)]

    def begin(self, stage, kinds):
        super().begin(stage, kinds)
        size = stage.link.size(2048 * MIB, stage.quick)
        layers = size // (sum(LAYER_MIB.values()) * MIB)
        head, tensors, size = safetensors.layout({f"layers.{number}.{name}.weight": mib * MIB for number in range(layers) for name, mib in LAYER_MIB.items()})
        self.head_bytes = len(head)
        self.key = stage.objects.pattern(f"blocks-{size >> 20}.safetensors", size, head)
        order = random.Random(6)
        wanted = order.sample(list(tensors.values()), round(len(tensors) * SHARE))
        self.plan = safetensors.write_plan(stage.place / "blocks.plan", [(tensor, 0) for tensor in wanted])
        self.needed_bytes = sum(tensor.size for tensor in wanted)

    def measure(self, kind, number):
        with kind(self.stage) as contestant:
            self.stage.fetched_bytes()
            without = self.load(contestant)
            contestant.wait_idle()  # what was asked for in vain has arrived, or was given up
            vain_without = self.vain()
            contestant.evict(contestant.open_up(self.key))
            contestant.unmount()
            contestant.mount()
            left = contestant.status()["cache"]["cached_bytes"]
            assert left == 0, f"{left} bytes are still in the cache"
            took = self.load(contestant)
            contestant.wait_idle()
            return {"without": without, "with": took, "vain": self.vain(), "vain_without": vain_without,
                    "link": self.needed_bytes / self.stage.link.bytes_per_second}

    def vain(self):
        """Bytes that were fetched since the last call and not needed, of those that were."""
        fetched = self.stage.fetched_bytes()
        assert fetched >= self.needed_bytes, f"{fetched} bytes left the origin, and {self.needed_bytes} were needed: the cache was not empty"
        return fetched / self.needed_bytes - 1

    def load(self, contestant):
        return timed(contestant, "plan", contestant.open_up(self.key), "--plan", self.plan, check_from=self.head_bytes)["seconds"]


ALL = [PartialLoad()]
