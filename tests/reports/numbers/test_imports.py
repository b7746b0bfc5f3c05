"""Numbers are computed without a library that draws."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import importlib, pkgutil, sys
import fdrnn.reports.numbers as subpackage
names = [module.name for module in pkgutil.iter_modules(subpackage.__path__)]
assert len(names) > 10, names
for name in names:
    importlib.import_module(f"fdrnn.reports.numbers.{name}")
print("matplotlib" in sys.modules)
"""


def test_no_module_of_numbers_imports_matplotlib() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
