"""A report as one HTML page that needs no network.

The template is in ``templates/``. jinja2 fills it, with everything escaped, and yields it piece by
piece, so that the page of many studies is never in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from fdrnn.reports.artefacts import Report, Section

_PACKAGE = "fdrnn.reports.document"


def page(report: Report, sections: Iterable[tuple[Section, Mapping[str, str]]]) -> Iterator[str]:
    """Yield the page, piece by piece.

    Parameters
    ----------
    report
        Its introduction.
    sections
        Its sections, each with the data URI of its figures by name, rendered one after another.
    """
    template = _environment().get_template("report.html")
    return template.generate(report=report, sections=sections)


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
    environment.tests["table"] = lambda artefact: type(artefact).__name__ == "Table"
    environment.tests["figure"] = lambda artefact: type(artefact).__name__ == "Figure"
    return environment


def _code(text: str) -> Markup:
    """Return text whose parts in backticks are code, as in Markdown."""
    parts = text.split("`")
    marked = (
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part)
        for index, part in enumerate(parts)
    )
    return Markup("").join(marked)
