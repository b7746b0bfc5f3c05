"""The directive ``command-line``: every command of ``fdrnn``, from its own help."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from fdrnn.studies.cli.app import app as command_line


class CommandLine(SphinxDirective):
    """One section a command: its usage, its help, its arguments and options."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        text = "\n".join(_sections(typer.main.get_command(command_line), "fdrnn"))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def _sections(command: Any, path: str, depth: int = 2) -> Iterator[str]:
    yield f"{'#' * depth} `{path}`\n"
    commands = getattr(command, "commands", {})
    words = " ".join(command.collect_usage_pieces(_context(command, path)))
    yield f"```text\n{path} {words}\n```\n"
    yield f"{command.help}\n"
    for parameter in command.params:
        yield from _parameter(parameter)
    if command.epilog:
        yield f"{command.epilog}\n"
    for name, child in commands.items():
        yield from _sections(child, f"{path} {name}", min(depth + 1, 3))


def _context(command: Any, path: str) -> Any:
    return command.make_context(path, [], resilient_parsing=True)


def _parameter(parameter: Any) -> Iterator[str]:
    if parameter.param_type_name == "argument":
        name = parameter.metavar or parameter.name.upper()
    else:
        name = ", ".join(parameter.opts)
        if not parameter.is_flag and parameter.metavar:
            name += f" {parameter.metavar}"
    yield f"`{name}`"
    details = [parameter.help]
    if parameter.envvar:
        details.append(f"Environment: `{parameter.envvar}`.")
    if parameter.show_default and parameter.default not in (None, False):
        details.append(f"Default: `{parameter.default}`.")
    yield f": {' '.join(details)}\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
