"""Where commands print what has a form: tables, Markdown, progress."""

from __future__ import annotations

from rich.console import Console


class CliConsole(Console):
    """A console that leaves it to the command what follows where nobody reads its output."""

    def on_broken_pipe(self) -> None:
        """Raise, where rich would exit with code 1."""
        raise BrokenPipeError
