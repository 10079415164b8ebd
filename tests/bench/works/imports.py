"""Python packages from a mounted environment, against installing them."""

import pathlib
import shutil
import time

import reader
from bar import Bar
from contestants.contestant import BUCKET
from harness import programs
from links import GIGABIT
from works.work import FULL_REST, Work

PYTHON = programs.TOOLS / "venv" / "bin" / "python"
WHEELS = programs.TOOLS / "wheels"  # of deploy/deps.sh
CODE = "import sys; sys.path.insert(0, sys.argv[1]); import numpy, scipy, sklearn; import scipy.linalg, sklearn.linear_model; assert numpy.__file__.startswith(sys.argv[1])"


class Imports(Work):
    """The environment is what `pip install --target` made, its bytecode valid whatever the time stamps."""

    name = "imports"
    title = "import numpy, scipy, sklearn from a mounted environment"
    links = (GIGABIT,)
    contestants = {name: FULL_REST for name in ("modelfs", "pip", "local", "rclone", "mountpoint")}
    metrics = {"cold": ("cold: mounted and imported, or installed", "s", False), "imported": ("cold: installed and imported", "s", False),
               "warm": ("warm: from the cache on disk", "s", False)}

    def bars(self, link):
        return [Bar("cold import, sooner than pip install of the same wheels", "cold", ("pip",), inverted=True, at_least=3),
                Bar("warm import, against local", "warm", ("local",), at_most=1.3)]

    def begin(self, stage, kinds):
        super().begin(stage, kinds)
        self.wheels = sorted(WHEELS.glob("*.whl"))
        assert self.wheels, f"no wheels in {WHEELS} (deploy/deps.sh bench)"
        self.environment = stage.root / BUCKET / "environment"
        if not self.environment.exists():
            install(self.environment, self.wheels, compiled=False)
            compile_all = [PYTHON, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", self.environment]
            programs.run(compile_all, programs.clean_environment("/"), 600)
            (stage.root / BUCKET / "wheels").mkdir()
            for wheel in self.wheels:
                shutil.copy(wheel, stage.root / BUCKET / "wheels")

    def measure(self, kind, number):
        with kind(self.stage) as contestant:
            if kind.name == "pip":
                return self.measure_pip(contestant)
            if kind.name == "local":
                return {"warm": self.imported(contestant.open_up("environment"), contestant)}
            begun = time.perf_counter()
            self.import_from(contestant.open_up("environment"))
            cold = time.perf_counter() - begun
            if kind.name != "modelfs":
                return {"cold": cold, "imported": cold}
            contestant.unmount()
            contestant.mount()
            return {"cold": cold, "imported": cold, "warm": self.imported(contestant.open_up("environment"), contestant)}

    def measure_pip(self, contestant):
        begun = time.perf_counter()
        target = contestant.folder / "installed"
        install(target, [f"{self.stage.origin.url}/{BUCKET}/wheels/{wheel.name}" for wheel in self.wheels])
        installed = time.perf_counter() - begun
        self.import_from(target)
        return {"cold": installed, "imported": time.perf_counter() - begun}

    def imported(self, folder, contestant):
        """Seconds of an import whose files are on disk, but not in the page cache."""
        files = contestant.local() or [path for path in pathlib.Path(folder).rglob("*") if path.is_file()]
        reader.forget(files)
        begun = time.perf_counter()
        self.import_from(folder)
        return time.perf_counter() - begun

    def import_from(self, folder):
        programs.check(programs.run([PYTHON, "-I", "-S", "-B", "-c", CODE, folder], programs.clean_environment("/"), 600))


def install(target, wheels, compiled=True):
    """`pip install` of wheels, files or URLs, with nothing from elsewhere."""
    command = [PYTHON, "-m", "pip", "--isolated", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-index", "--no-deps",
               *([] if compiled else ["--no-compile"]), "--target", target, *wheels]
    programs.check(programs.run(command, programs.clean_environment("/tmp"), 600))


ALL = [Imports()]
