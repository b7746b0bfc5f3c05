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
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, ClassVar, get_args, get_type_hints

from docutils import nodes
from numpydoc.docscrape import ClassDoc
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from fdrnn.model import OUTPUTS, VARIANTS, recordable
from fdrnn.search import SPACES
from fdrnn.search.design.space import Parameter, fitting_spaces

_TYPES = {int: "integer", float: "number", str: "text"}


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
        for attribute in ClassDoc(settings)["Attributes"]
        for name in attribute.name.split(",")
    }
    types = get_type_hints(settings)
    for field in dataclasses.fields(settings):
        if dataclasses.is_dataclass(types[field.name]):
            continue  # a table of its own
        kind = _TYPES.get(types[field.name]) or f"list of {_TYPES[get_args(types[field.name])[0]]}s"
        default = (
            "" if field.default is dataclasses.MISSING else f", default ``{_toml(field.default)}``"
        )
        yield f"``{field.name}`` : {kind}{default}"
        yield from (f"    {line}" for line in texts[field.name])
        yield ""


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return str(list(value)) if isinstance(value, tuple) else str(value)


class Registry(SphinxDirective):
    """A table of a registry's names, what they mean, and what else is known of them."""

    has_content = True
    required_arguments = 1
    columns: ClassVar[Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]] = {
        "variants": (
            VARIANTS,
            {
                "space": lambda name: _literals(fitting_spaces(name)),
                "records": lambda name: _literals(recordable(name)),
            },
        ),
        "outputs": (OUTPUTS, {"data": lambda name: OUTPUTS[name].kind}),
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
        for name, space in SPACES.items():
            if not name.startswith("table3-"):  # a column of the paper's Table 3: a value each
                for parameter in space.parameters:
                    spaces.setdefault(_drawn(parameter), []).append(name)
        rows = [(*drawn, _literals(names)) for drawn, names in sorted(spaces.items())]
        return self.parse_text_to_nodes(_table(("hyperparameter", "values", "spaces"), rows))


def _drawn(parameter: Parameter) -> tuple[str, str]:
    values = ", ".join("no limit" if value is None else f"{value}" for value in parameter.choices)
    condition = parameter.only_if
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
