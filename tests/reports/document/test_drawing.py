"""Figures: drawn by processes, and kept by what they show."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure as Drawing

from fdrnn.reports.artefacts import Figure
from fdrnn.reports.document import drawing


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(drawing, "cache_directory", lambda: tmp_path / "cache")
    return tmp_path


def figure(folder: Path, name: str, basis: str = "") -> Figure:
    """A figure that leaves a file named after itself and the process that drew it."""

    def draw() -> Drawing:
        (folder / f"{name}.{os.getpid()}").touch()
        return Drawing()

    return Figure(name=name, title=name, caption="", alt="", draw=draw, basis=basis)


def drawn(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.iterdir() if path.is_file())


def test_several_figures_come_in_order_from_other_processes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "usable_cores", lambda: 2)

    def sized(width: int) -> Callable[[], Drawing]:
        def draw() -> Drawing:
            (folder / f"{width}.{os.getpid()}").touch()
            return Drawing(figsize=(width, 1))

        return draw

    some = [
        Figure(name=f"{width}", title="", caption="", alt="", draw=sized(width))
        for width in range(1, 6)
    ]
    for width, files in enumerate(drawing.drawn(some), 1):
        assert f'width="{72 * width}pt"'.encode() in files["svg"]
    assert drawn(folder) == ["1", "2", "3", "4", "5"]
    assert f".{os.getpid()}" not in {path.suffix for path in folder.iterdir()}


def test_a_figure_is_drawn_again_only_when_what_it_shows_changes(folder: Path) -> None:
    (first,) = drawing.drawn([figure(folder, "kept", "a")])
    (folder / f"kept.{os.getpid()}").unlink()
    (again,) = drawing.drawn([figure(folder, "kept", "a")])
    assert again == first
    assert drawn(folder) == []
    list(drawing.drawn([figure(folder, "kept", "b")]))
    assert drawn(folder) == ["kept"]


def test_a_figure_of_what_changes_is_not_kept(folder: Path) -> None:
    list(drawing.drawn([figure(folder, "running")]))
    assert not (folder / "cache").exists()


def test_a_cache_that_cannot_be_written_fails_no_report(folder: Path) -> None:
    (folder / "cache").write_text("in the way")
    (files,) = drawing.drawn([figure(folder, "one", "a")])
    assert files["svg"].startswith(b"<?xml")


def test_a_drawing_that_fails_fails_the_report(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "usable_cores", lambda: 2)

    def draw() -> Drawing:
        raise ValueError("no numbers")

    failing = Figure(name="fails", title="", caption="", alt="", draw=draw)
    with pytest.raises(ValueError, match="no numbers"):
        list(drawing.drawn([figure(folder, "one"), failing]))
