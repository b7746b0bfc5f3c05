"""A report as one HTML page that needs no network.

The template is in ``templates/``. jinja2 fills it, with everything escaped, and yields it piece by
piece, so that the page of many studies is never in memory as a whole. The page's policy allows the
scripts that are there and no other: what data or a user wrote cannot become one.

The interactive part draws with d3 and Observable Plot, whose files are in ``templates/`` as their
npm packages have them (``d3.min.js`` of d3 7.9.2, ``plot.min.js`` of @observablehq/plot 0.6.17; ISC
licences beside them): half a megabyte, where plotly.js, which has the drawings ready, has four.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from fdrnn.reports.artefacts import Report, Section
from fdrnn.reports.numbers import symbols

Shown = tuple[Section, Mapping[str, str]]
"""A section, and the data URI of its figures by name."""

_PACKAGE = "fdrnn.reports.document"
_INTERACTIVE = ("d3.min.js", "plot.min.js", "explore.js")


def page(report: Report, sections: Iterable[Shown]) -> Iterator[str]:
    """Yield the page, piece by piece.

    Parameters
    ----------
    report
        Its introduction.
    sections
        Its sections, rendered one after another.
    """
    names = ("page.js", *(_INTERACTIVE if report.exploration else ()))
    scripts = [(files(_PACKAGE) / "templates" / name).read_text() for name in names]
    template = _environment().get_template("report.html")
    return template.generate(
        report=report,
        sections=sections,
        exploration=_json(report.exploration),
        scripts=list(map(Markup, scripts)),
        policy=" ".join(map(_digest, scripts)),
    )


def _json(data: Mapping[str, Any]) -> Markup:
    """Return data as JSON in which HTML finds no tag."""
    return Markup(json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"))


def _digest(script: str) -> str:
    """Return what a content security policy calls a script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _code
    environment.filters["symbols"] = _symbols
    environment.tests["table"] = lambda artefact: type(artefact).__name__ == "Table"
    environment.tests["figure"] = lambda artefact: type(artefact).__name__ == "Figure"
    return environment


def _symbols(text: str) -> Markup:
    """Return text with the paper's symbols set as such."""
    return Markup(symbols.html(text, escape))


def _code(text: str) -> Markup:
    """Return text whose parts in backticks are code, as in Markdown, with symbols."""
    parts = text.split("`")
    marked = (
        Markup("<code>{}</code>").format(part) if index % 2 else _symbols(part)
        for index, part in enumerate(parts)
    )
    return Markup("").join(marked)
