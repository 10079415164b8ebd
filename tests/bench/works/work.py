"""What all works have in common."""

import contextlib

import reader

FULL_CLOSE = 11  # pairs where a ratio is close to its bar
FULL_REST = 5


class Work:
    """One thing that is measured on each of its links. `begin`, then `measure` for each contestant in turn in each round, then `end`.

    `contestants`: {name: rounds of a full run}. `metrics`: {metric: (what it is, unit, True if more is better)}.
    """

    name = ""
    title = ""
    links = ()
    contestants = {}
    metrics = {}

    def bars(self, link):
        return []

    def begin(self, stage, kinds):
        """Before the first round; `kinds` are the classes of those who take part. Makes the objects."""
        self.stage = stage

    def measure(self, kind, number):
        """{metric: value} of one round of one contestant."""
        raise NotImplementedError

    def end(self):
        pass


class StandingWork(Work):
    """One whose contestants are started once, for all rounds. `prepare` fills their caches."""

    def begin(self, stage, kinds):
        super().begin(stage, kinds)
        self._stack = contextlib.ExitStack()
        self.make_objects()
        self.standing, self.failed = {}, {}
        for kind in kinds:
            try:
                contestant = self._stack.enter_context(self.new(kind))
                self.prepare(contestant)
                self.standing[kind] = contestant
            except Exception as error:  # pylint: disable=broad-except
                self.failed[kind] = error

    def make_objects(self):
        pass

    def new(self, kind):
        return kind(self.stage)

    def prepare(self, contestant):
        pass

    def measure(self, kind, number):
        if kind in self.failed:
            raise self.failed[kind]
        return self.measure_standing(self.standing[kind], number)

    def end(self):
        self._stack.close()


def timed(contestant, pattern, path, *options, check_from=0):
    """What bench-reader says of one pass, and `all_cpu_seconds`: its own and the contestant's."""
    before = contestant.cpu_seconds()
    result = reader.read(pattern, path, *options, check_from=check_from)
    result["all_cpu_seconds"] = result["cpu_seconds"] + contestant.cpu_seconds() - before
    return result
