"""The fixtures of tests/e2e."""

import importlib.util
import pathlib
import sys

E2E = pathlib.Path(__file__).resolve().parent.parent / "e2e"
sys.path[:0] = [str(E2E), str(E2E.parent)]
_spec = importlib.util.spec_from_file_location("e2e_conftest", E2E / "conftest.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
for _name in ("scratch", "folder", "modelfs", "pytest_report_header"):
    globals()[_name] = getattr(_module, _name)
