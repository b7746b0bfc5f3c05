"""What a report consists of: tables, figures and attachments, in sections.

An artefact contains what is shown; `fdrnn.reports.document` writes it as Markdown, LaTeX, CSV,
HTML, SVG or PDF.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Drawing

T = TypeVar("T")
Columns = Sequence[tuple[str, Callable[[T], str]]]
"""Columns of a table: their titles, and what makes a cell of an entry."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Artefact:
    """A part of a section.

    Attributes
    ----------
    name
        Stem of its files without a folder, or an attachment's file name.
    title
        Its heading, a phrase without a full stop.
    """

    name: str
    title: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Table(Artefact):
    """A table.

    Attributes
    ----------
    data
        The table in full precision, for the CSV file.
    header, rows
        The table as it is printed: titles of the columns, and cells.
    n_text
        Number of text columns, which come first; the others are numbers, aligned to the right.
    notes
        Sentences below it.
    best
        Positions (row, column) of the best numbers, which are printed in bold.
    """

    data: pd.DataFrame
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_text: int
    notes: tuple[str, ...] = ()
    best: frozenset[tuple[int, int]] = frozenset()

    @classmethod
    def of(
        cls,
        entries: Iterable[T],
        *,
        name: str,
        title: str,
        data: pd.DataFrame,
        text: Columns[T],
        numbers: Columns[T] = (),
        notes: Iterable[str] = (),
        best: Iterable[tuple[int, int]] = (),
    ) -> Self:
        """Return the table of some entries, a row each.

        Parameters
        ----------
        entries
            What the rows show.
        name, title, data, notes, best
            As the attributes.
        text, numbers
            Its columns of text and of numbers.
        """
        columns = [*text, *numbers]
        return cls(
            name=name,
            title=title,
            data=data,
            header=tuple(heading for heading, _ in columns),
            rows=tuple(tuple(cell(entry) for _, cell in columns) for entry in entries),
            n_text=len(text),
            notes=tuple(notes),
            best=frozenset(best),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Figure(Artefact):
    """A figure, drawn when it is written.

    Attributes
    ----------
    caption
        What it shows, from what, in sentences.
    alt
        What a reader who cannot see it must know: the finding, with its numbers.
    draw
        Draws it by `fdrnn.reports.figures.style.new_figure`.
    formats
        Suffixes of its files: ``"svg"`` or ``"png"``; the page embeds the SVG.
    basis
        Digest of all that it shows, by which its files are kept for the next report; empty where
        they are not kept.
    """

    caption: str
    alt: str
    draw: Callable[[], Drawing]
    formats: tuple[str, ...] = ("svg",)
    basis: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Attachment(Artefact):
    """A file beside the page, such as MIDI.

    Attributes
    ----------
    content
        Its bytes.
    """

    content: bytes


@dataclass(frozen=True, kw_only=True, eq=False)
class Section:
    """A part of a report: an overview, or one study.

    Attributes
    ----------
    anchor
        Its name in links.
    title
        Its heading.
    text
        Paragraphs before the artefacts.
    artefacts
        What it shows, in reading order.
    """

    anchor: str
    title: str
    text: tuple[str, ...] = ()
    artefacts: tuple[Artefact, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """A report: an introduction and sections.

    Attributes
    ----------
    title
        Its heading.
    used
        What it used, a line per study: trials finished of planned, space, seed, padding, code.
    rules
        Rules for every number in it: averaging, selection, what is cited.
    missing
        What it lacks and how to get it; empty for a complete one.
    overview
        Sections on all studies together.
    studies
        A section for each study.
    exploration
        What the page's interactive part shows (`fdrnn.reports.numbers.exploration`); empty where
        there is none.
    """

    title: str
    used: tuple[str, ...]
    rules: tuple[str, ...]
    missing: tuple[str, ...]
    overview: tuple[Section, ...]
    studies: tuple[Section, ...]
    exploration: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sections(self) -> tuple[Section, ...]:
        """All sections, in reading order."""
        return *self.overview, *self.studies
