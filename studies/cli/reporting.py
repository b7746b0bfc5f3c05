"""``fdrnn report``: Table 1 on the terminal and in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console
from rich.markdown import Markdown

from fdrnn.reports.render import markdown, write_table1
from fdrnn.reports.table1 import table1
from fdrnn.search import Store, default_storage_url, open_store
from fdrnn.studies.cli.notes import refresh_notes


def report_studies(studies: Sequence[str], storage: str | None, output: Path) -> None:
    """Report studies of a store, all of them if none is named.

    Parameters
    ----------
    studies
        Names in the store.
    storage
        Its URL; None for the default.
    output
        Folder of the files.
    """
    report_store(open_store(storage or default_storage_url()), studies, output)


def report_store(store: Store, studies: Sequence[str], output: Path) -> None:
    """Print Table 1 and write its files.

    A terminal that is wide enough for the tables shows the Markdown drawn; others and a pipe get
    the Markdown itself.
    """
    rows = table1(store, studies)
    text = markdown(rows)
    console = Console()
    table_width = max(len(line) for line in text.splitlines() if line.startswith("|"))
    if console.is_terminal and console.width >= table_width:
        console.print(Markdown(text))
    else:
        typer.echo(text)
    refresh_notes(store, studies)
    paths = write_table1(output, rows)
    typer.echo(f"Written: {', '.join(map(str, paths))}", err=True)
