"""What documents and docstrings refer to exists: Python objects, files, commands."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from fdrnn.datasets import plugins
from fdrnn.studies.cli.app import app

ROOT = Path(__file__).parents[2]
PACKAGES = ("datasets", "model", "search", "reports", "studies")
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "reports" / "published" / "README.md",
    ROOT / "reports" / "published" / "DIFFERENCES.md",
    ROOT / "reports" / "published" / "comparison" / "README.md",
    ROOT / "studies" / "cluster" / "README.md",
]
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

_OBJECT = re.compile(r"`+~?(fdrnn(?:\.\w+)+)(?:\(\))?`+")
# Names like those of objects: the default store's file, the groups of plug-ins' entry points.
_OTHERS = {"fdrnn.sqlite3", plugins.VARIANTS, plugins.OUTPUTS, plugins.DATA}
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
_PATH = re.compile(r"`((?:datasets|model|search|reports|studies|tests|docs)/[\w./-]*?)`")
_COMMAND = re.compile(r"(?:^|&& |; do |bin/|dashboard |worker )fdrnn( [^#|&;\n]*)", re.MULTILINE)

named = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def code(text: str) -> str:
    """Return what is between backticks or fences in a document, a line each."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    return "\n".join([*blocks, *spans])


def exists(name: str) -> bool:
    """Tell whether a dotted name is a module or an object of one."""
    parts = name.split(".")
    for end in range(len(parts), 1, -1):
        try:
            found: Any = import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            fields = {**getattr(found, "__annotations__", {})}
            if not hasattr(found, part):
                return part in fields and part == parts[-1]
            found = getattr(found, part)
        return True
    return False


def test_a_name_that_is_not_there_is_noticed() -> None:
    assert exists("fdrnn.search.store")
    assert exists("fdrnn.model.TrainingSettings.patience")
    assert not exists("fdrnn.search.nowhere")
    assert not exists("fdrnn.model.TrainingSettings.nothing")


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_and_comments_name_objects_that_exist(package: str) -> None:
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in SOURCES
        if path.relative_to(ROOT).parts[0] == package
        for name in _OBJECT.findall(path.read_text())
        if name not in _OTHERS and not exists(name)
    }
    assert not wrong, wrong


@named
def test_documents_name_objects_and_files_that_exist(document: Path) -> None:
    text = document.read_text()
    wrong = [name for name in _OBJECT.findall(text) if name not in _OTHERS and not exists(name)]
    wrong += [path for path in _PATH.findall(text) if not (ROOT / path).exists()]
    wrong += [
        link
        for link in _LINK.findall(text)
        if "://" not in link and not (document.parent / link).exists()
    ]
    assert not wrong, wrong


def test_the_walks_of_contributing_name_what_is_in_the_files() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    steps = re.findall(r"^\d+\. `([\w/.]+)`((?:[, ]+(?:with )?`\w+`)+)", text, re.MULTILINE)
    assert len(steps) == len(re.findall(r"^\d+\. ", text, re.MULTILINE)) > 20
    for path, names in steps:
        for name in re.findall(r"\w+", names):
            assert re.search(rf"\b{name}\b", (ROOT / path).read_text()), (path, name)


@named
def test_documents_name_commands_and_options_that_exist(document: Path) -> None:
    for line in _COMMAND.findall(code(document.read_text())):
        command: Any = typer.main.get_command(app)
        words = line.split()
        # A placeholder, or an option of `fdrnn` itself, names no command.
        while words and re.fullmatch(r"[a-z][a-z-]*", words[0]) and hasattr(command, "get_command"):
            context = command.make_context("fdrnn", [], resilient_parsing=True)
            command = command.get_command(context, words.pop(0))
            assert command is not None, line
        options = {name for parameter in command.params for name in parameter.opts}
        options |= {name for parameter in command.params for name in parameter.secondary_opts}
        assert set(re.findall(r" (--[a-z-]+)", line)) <= options | {"--help"}, line
