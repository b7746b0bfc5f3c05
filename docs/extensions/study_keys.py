"""What a study definition may say, from the dataclasses and registries that read it.

``study-keys``
    The fields of a dataclass, with type, default and the text of its docstring.
``registry``
    The entries of a registry. The body describes each, ``NAME: TEXT`` a line, so that a name
    without a text, or a text without a name, ends the build.
``spaces``
    The hyperparameters of the search spaces, and the values they are drawn from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, ClassVar, get_type_hints

from docutils import nodes
from numpydoc.docscrape import ClassDoc
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from fdrnn.model import OUTPUTS, VARIANTS, recordable
from fdrnn.search import SPACES, Halving, Parameter, Space, fitting_spaces, output_spaces

_TYPES: Mapping[Any, str] = {
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
    tuple[str, ...]: "list of texts",
    int | None: "integer or none",
    float | None: "number or none",
    Space: "name of a space, or table",
    Halving | None: "table",
}


class StudyKeys(SphinxDirective):
    """A definition list of a dataclass's fields; the argument is its dotted name."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the list."""
        module, _, name = self.arguments[0].rpartition(".")
        return self.parse_text_to_nodes("\n".join(_keys(getattr(import_module(module), name))))


def _keys(settings: type[Any]) -> Iterator[str]:
    texts = {
        name.strip(): attribute.desc
        for base in settings.__mro__[:-1]
        for attribute in ClassDoc(base)["Attributes"]
        for name in attribute.name.split(",")
    }
    types = get_type_hints(settings)
    for field in dataclasses.fields(settings):
        if dataclasses.is_dataclass(types[field.name]) and types[field.name] not in _TYPES:
            continue  # a separate table
        kind = _TYPES[types[field.name]]
        default = (
            "" if field.default is dataclasses.MISSING else f", default ``{_toml(field.default)}``"
        )
        yield f"``{field.name}`` : {kind}{default}"
        yield from (f"    {line}" for line in texts[field.name])
        yield ""


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return str(list(value)) if isinstance(value, tuple) else str(value).lower()


class Registry(SphinxDirective):
    """A table of a registry's names, what they mean, and what else is known of them."""

    has_content = True
    required_arguments = 1
    columns: ClassVar[Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]] = {
        "variants": (
            VARIANTS,
            {
                "spaces": lambda name: _literals(_searched(fitting_spaces(name))),
                "records": lambda name: _literals(recordable(name)),
            },
        ),
        "outputs": (
            OUTPUTS,
            {
                "data": lambda name: OUTPUTS[name].kind,
                "spaces": lambda name: _literals(output_spaces(name)),
            },
        ),
    }

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        entries, columns = self.columns[self.arguments[0]]
        texts = dict(line.split(": ", 1) for line in self.content if line.strip())
        if set(texts) != set(entries):
            different = ", ".join(sorted(set(texts) ^ set(entries)))
            raise self.error(
                f"the names must be those of the registry, which differ by {different}"
            )
        rows = [
            (f"``{name}``", texts[name], *(column(name) for column in columns.values()))
            for name in entries
        ]
        return self.parse_text_to_nodes(_table(("name", "meaning", *columns), rows))


class Spaces(SphinxDirective):
    """A table of hyperparameters: their values, and the spaces that draw from these."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        spaces: dict[tuple[str, str], list[str]] = {}
        for name in _searched(SPACES):
            for parameter in SPACES[name].parameters:
                spaces.setdefault(_drawn(parameter), []).append(name)
        rows = [(*drawn, _literals(names)) for drawn, names in sorted(spaces.items())]
        return self.parse_text_to_nodes(_table(("hyperparameter", "values", "spaces"), rows))


def _searched(names: Iterable[str]) -> list[str]:
    """Return the spaces without those of one configuration, the columns of the paper's Table 3."""
    return [name for name in names if not SPACES[name].fixed]


def _drawn(parameter: Parameter) -> tuple[str, str]:
    values = ", ".join(
        "no limit" if value is None else f"{value}" for value in parameter.distribution.extremes
    )
    condition = parameter.when
    where = f" (only where ``{condition.parameter}`` is {condition.value})" if condition else ""
    return f"``{parameter.name}``", values + where


def _literals(names: Any) -> str:
    return ", ".join(f"``{name}``" for name in names)


def _table(titles: Any, rows: Any) -> str:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (titles, *rows):
        for place, cell in enumerate(row):
            lines.append(f"   {'* -' if place == 0 else '  -'} {cell}")
    return "\n".join([*lines, ""])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("study-keys", StudyKeys)
    app.add_directive("registry", Registry)
    app.add_directive("spaces", Spaces)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
