"""What a report consists of: tables, figures and attachments, in sections.

An artefact says what it shows; how it is written (Markdown, LaTeX, CSV, SVG, PDF, HTML) is the
business of `fdrnn.reports.document.markdown`, `latex`, `html` and `style`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Drawing


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """A table.

    Attributes
    ----------
    name
        Stem of its files, without a folder.
    title
        Its heading, a phrase without a full stop.
    data
        The table in full precision, as the CSV has it.
    header, rows
        The table as it is printed: titles of the columns, and cells.
    n_text
        The first so many columns are text; the others are numbers, aligned to the right.
    notes
        Sentences that stand below it.
    """

    name: str
    title: str
    data: pd.DataFrame
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_text: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Figure:
    """A figure, drawn when it is written.

    Attributes
    ----------
    name
        Stem of its files, without a folder.
    title
        Its heading, a phrase without a full stop.
    caption
        What it shows, from what, in sentences.
    alt
        What a reader who cannot see it must know: the finding, with its numbers.
    draw
        Draws it by `fdrnn.reports.document.style.new_figure`.
    formats
        Suffixes of its files, any of ``"svg"``, ``"pdf"`` and ``"png"``; a page embeds the first
        two's drawing.
    """

    name: str
    title: str
    caption: str
    alt: str
    draw: Callable[[], Drawing]
    formats: tuple[str, ...] = ("svg", "pdf")


@dataclass(frozen=True, kw_only=True, eq=False)
class Attachment:
    """A file that stands beside the page, such as MIDI.

    Attributes
    ----------
    name
        Its name with its suffix, without a folder.
    title
        What it is, a phrase without a full stop.
    content
        Its bytes.
    """

    name: str
    title: str
    content: bytes


Artefact = Table | Figure | Attachment


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
        Paragraphs that stand first.
    artefacts
        What it shows, in reading order.
    """

    anchor: str
    title: str
    text: tuple[str, ...] = ()
    artefacts: tuple[Artefact, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """A report: what stands at its top, and its sections.

    Attributes
    ----------
    title
        Its heading.
    used
        What it used, a line per study: trials finished of planned, space, seed, padding, code.
    rules
        What holds of every number in it: averaging, selection, what is cited.
    missing
        What it lacks and how to get it; empty for a complete one.
    overview
        Sections on all studies together.
    studies
        Makes the sections of single studies, each read from the store when its turn comes, so
        that no more than one study's curves are in memory.
    study_names
        Names of the studies, in the order of `studies`.
    """

    title: str
    used: tuple[str, ...]
    rules: tuple[str, ...]
    missing: tuple[str, ...]
    overview: tuple[Section, ...]
    studies: Callable[[], Iterator[Section]]
    study_names: tuple[str, ...]
