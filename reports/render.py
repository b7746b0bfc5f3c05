"""Table 1 as Markdown and CSV.

The Markdown has two tables: the NLL beside the paper's, and what each row rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fdrnn.model import VARIANTS
from fdrnn.reports.files import write_text
from fdrnn.reports.table1 import Row, frame

_MISSING = "-"
_LEGEND = """\
Test NLL in nats per predicted step, of the trial with the lowest validation NLL; nothing is
selected on test data. "Pooled" averages over all predicted steps of all test sequences;
"by sequence" is the mean over test sequences of each one's average. The paper's formula is the
latter, its authors' code pooled. Columns marked * are cited by the paper from other work.
"""


def markdown(rows: Sequence[Row]) -> str:
    """Return Table 1 as a Markdown document.

    Parameters
    ----------
    rows
        The rows in the order to print.

    Returns
    -------
    str
        Two tables, notes where rows have any, and a legend; lines end with a newline.
    """
    results = _table(
        (
            "Data set",
            "Study",
            "Network",
            "Ours, pooled",
            "Ours, by sequence",
            "Paper: FD",
            "plain*",
            "RNN-NADE*",
            "Deep RNN*",
        ),
        [
            (
                row.title,
                row.study,
                VARIANTS[row.variant].title,
                _nll(row.test_nll_pooled),
                _nll(row.test_nll_sequence_mean),
                _nll(row.paper_fd),
                _nll(row.cited_plain),
                _nll(row.cited_rnn_nade),
                _nll(row.cited_deep_rnn),
            )
            for row in rows
        ],
        n_text=3,
    )
    basis = _table(
        (
            "Study",
            "Space",
            "Padding",
            "Code",
            "Seed",
            "Finished",
            "Diverged",
            "Selected trial",
            "Its epoch",
            "Its valid. NLL",
        ),
        [
            (
                row.study,
                row.space,
                row.padding,
                row.code_version,
                str(row.seed),
                f"{row.trials_finished} of {row.trials_planned}",
                str(row.trials_diverged),
                _integer(row.selected_trial),
                _integer(row.best_epoch),
                _nll(row.valid_nll),
            )
            for row in rows
        ],
        n_text=4,
    )
    notes = "".join(f"- {row.study}: {row.note}.\n" for row in rows if row.note)
    return "\n".join(
        part
        for part in (
            "# Table 1: test NLL beside the paper's\n",
            results,
            _LEGEND,
            "## What the rows rest on\n",
            basis,
            notes,
        )
        if part
    )


def write_table1(folder: Path, rows: Sequence[Row]) -> list[Path]:
    """Write ``table1.md`` and ``table1.csv`` into a folder, each atomically.

    Parameters
    ----------
    folder
        Made where it is missing; files of an earlier report are replaced.
    rows
        The rows in the order to print; the CSV has every field of `Row` in full precision.

    Returns
    -------
    list of Path
        The two files.

    Raises
    ------
    OutputError
        If the folder or a file cannot be written.
    """
    documents = {
        folder / "table1.md": markdown(rows),
        folder / "table1.csv": frame(rows).to_csv(index=False, lineterminator="\n"),
    }
    for path, text in documents.items():
        write_text(path, text)
    return list(documents)


def _nll(value: float | None) -> str:
    return _MISSING if value is None else f"{value:.2f}"


def _integer(value: int | None) -> str:
    return _MISSING if value is None else str(value)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], n_text: int) -> str:
    """Return a padded Markdown table; columns from `n_text` on are numbers, right-aligned."""
    # A bar inside a cell would end it.
    cells = [list(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    widths = [max(3, *(len(line[column]) for line in cells)) for column in range(len(header))]
    rule = [
        "-" * width if column < n_text else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    lines = [
        " | ".join(
            cell.ljust(width) if column < n_text else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in (cells[0], rule, *cells[1:])
    ]
    return "".join(f"| {line} |\n" for line in lines)
