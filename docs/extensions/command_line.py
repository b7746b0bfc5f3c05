"""The directive ``command-line``: every command of ``fdrnn``, from its own help."""

from __future__ import annotations

import textwrap
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
    context = command.make_context(path, [], resilient_parsing=True)
    yield f"{'#' * depth} `{path}`\n"
    yield f"```text\n{path} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    yield _markdown(command.help)
    for parameter in command.params:
        yield from _parameter(parameter)
    yield _markdown(command.epilog or "")
    names = command.list_commands(context) if hasattr(command, "list_commands") else []
    for name in names:
        yield from _sections(
            command.get_command(context, name), f"{path} {name}", min(depth + 1, 3)
        )


def _markdown(text: str) -> str:
    """Return paragraphs of a help text; what it indents or does not fill becomes a code block."""
    paragraphs = []
    for paragraph in text.replace("*", r"\*").split("\n\n"):
        lines = paragraph.removeprefix("\b\n")
        if lines != paragraph or lines.startswith(" "):
            lines = textwrap.indent(textwrap.dedent(lines), "    ")
            # A command of the examples is a paragraph; together they are a block.
            if paragraphs and paragraphs[-1].startswith(" "):
                paragraphs[-1] += f"\n{lines}"
                continue
        paragraphs.append(lines)
    return "\n\n".join([*paragraphs, ""])


def _parameter(parameter: Any) -> Iterator[str]:
    if parameter.param_type_name == "argument":
        name = parameter.metavar or parameter.name.upper()
    else:
        name = ", ".join([*parameter.opts, *parameter.secondary_opts])
        if not parameter.is_flag and parameter.metavar:
            name += f" {parameter.metavar}"
    details = [_markdown(parameter.help).strip()]
    if parameter.envvar:
        details.append(f"Environment: `{parameter.envvar}`.")
    if parameter.show_default and parameter.default not in (None, False):
        details.append(f"Default: `{parameter.default}`.")
    yield f"`{name}`\n: {' '.join(details)}\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
