"""The examples of the documentation run as they are printed.

In a page, shell blocks below the line ``<!-- run -->`` and Python sessions (``pycon``) run one
after the other in one folder; only numbers of trials and epochs are made small.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("datasets", "model", "search", "reports", "studies")
PAGES = sorted((ROOT / "docs").rglob("*.md"))
TUTORIAL = ROOT / "docs" / "tutorial.md"

_BLOCK = re.compile(r"^<!-- run -->\n```(sh)\n(.*?)^```$|^```(pycon)\n(.*?)^```$", re.M | re.S)
_SMALL = (
    (re.compile(r"n_trials = \d+"), "n_trials = 1"),
    (re.compile(r"(--trials|--epochs) \d+"), r"\1 2"),
)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the language and the text of a page's blocks that run, in order."""
    return [
        (shell or session, script or lines)
        for shell, script, session, lines in _BLOCK.findall(page.read_text())
    ]


def small(script: str) -> str:
    """Return a script with few trials of few epochs."""
    for pattern, replacement in _SMALL:
        script = pattern.sub(replacement, script)
    return script


def test_the_tutorial_trains_reports_and_reads_a_study() -> None:
    assert [language for language, _ in blocks(TUTORIAL)] == ["sh"] * 3 + ["pycon"] * 2


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks(page)],
    ids=lambda page: str(page.relative_to(ROOT / "docs")),
)
def test_the_blocks_of_a_page_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MPLBACKEND", "agg")
    for name in ("FDRNN_STORAGE", "FDRNN_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    names: dict[str, Any] = {}
    for language, text in blocks(page):
        if language == "sh":
            script = small(text)
            run = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", script],
                capture_output=True,
                text=True,
                check=False,
            )
            assert run.returncode == 0, f"{script}\n{run.stdout}\n{run.stderr}"
        else:
            session = doctest.DocTestParser().get_doctest(text, names, page.name, str(page), 0)
            assert session.examples
            runner = doctest.DocTestRunner()
            report: list[str] = []
            runner.run(session, out=report.append, clear_globs=False)
            names = session.globs
            assert not runner.failures, "".join(report)
    if page == TUTORIAL:
        run_the_readme_s_example()


def run_the_readme_s_example() -> None:
    """Run the README's Python lines on the tutorial's study."""
    (example,) = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S
    )
    names: dict[str, Any] = {}
    exec(example.replace('"jsb"', '"bach"'), names)
    assert len(names["trials"]) == 2


def modules_with_examples() -> list[str]:
    """Return the modules whose docstrings have examples."""
    paths = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(
        ".".join(("fdrnn", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        for path in paths
        if ">>> " in path.read_text()
    )


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_of_docstrings_run(name: str) -> None:
    result = doctest.testmod(import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
