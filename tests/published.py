"""What the published studies' files say, and the documents that print it.

The files are read by the standard library alone, as their format is described, and nothing here
is shared with the reports. After an export, ``python tests/published.py`` writes the numbers into
the tables of the documents; the tests hold them to the files.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "reports" / "published"
README = ROOT / "README.md"
DOCUMENTS = (README, PUBLISHED / "README.md", PUBLISHED / "DIFFERENCES.md")

SUFFIX = ".fdrnn.zip"
FILES = {
    path.name.removesuffix(SUFFIX): path
    for folder in (PUBLISHED, PUBLISHED / "pilot")
    for path in sorted(folder.glob(f"*{SUFFIX}"))
}

STUDY = "study"
"""Column of the tables of studies."""

COLUMNS = (
    "finished",
    "diverged",
    "worker hours",
    "epochs",
    "norm above 15",
    "norm above 225",
    "trial",
    "epoch",
    "valid., counted",
    "valid., masked",
    "test",
    "test, where it stands",
    "repeats",
)
"""Further columns of these tables. Of all trials: how many finished and diverged, wall time, the
epochs, and those whose mean gradient norm is above a bound. Of the trial with the lowest
validation NLL: the others. Test NLL is pooled / by sequence, and where it stands says how many
trials it was selected from if not all, or fewer than the paper's 32."""

DATA_SET = "data set"
"""Column of the README's Table 1, whose further columns of ours are studies."""

_DATA_SETS = {
    "Piano-midi.de": "piano",
    "Nottingham": "nottingham",
    "MuseData": "musedata",
    "JSB Chorales": "jsb",
}
_OURS = {
    "FD": "",
    "FD, wide": "-wide",
    "FD, mixed": "-mixed",
    "plain": "-plain",
    "RNN-NADE": "-nade-plain",
    "FD-RNN-NADE": "-nade",
    "deep FD": "-stacked-fast-dropout",
}
_DRAWS = 32
_TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)


@cache
def facts(study: str) -> Mapping[str, str]:
    """Return what a study's file says of its best-validation trial, as documents print it.

    Parameters
    ----------
    study
        Name of the file without its suffix.

    Returns
    -------
    mapping
        By title of a column, those of `COLUMNS`; of a study without a selected trial some.
    """
    trials, epochs, sequences = (
        [one for one in rows(study, table) if one["config_index"] >= 0]
        for table in ("trials", "epochs", "test_sequences")
    )
    finished = [one for one in trials if one["state"] == "finished"]
    n_pruned = sum(one["state"] == "pruned" for one in trials)
    complete = len(finished) + n_pruned == len(trials)
    count = f"{len(finished)} of {len(trials)}" + (f", {n_pruned} pruned" if n_pruned else "")
    known = {
        "finished": count,
        "worker hours": f"{math.fsum(one['seconds'] for one in epochs) / 3600:.2f}",
        "epochs": f"{len(epochs):,}",
        "norm above 15": f"{sum(_above(one['gradient_norm'], 15) for one in epochs):,}",
        "norm above 225": f"{sum(_above(one['gradient_norm'], 225) for one in epochs):,}",
    }
    ranks = ranked(study)
    if not ranks:
        return known
    best = ranks[0]
    scores = _scores(sequences, best)
    pooled = _pooled(scores)
    by_sequence = math.fsum(nll / steps for nll, steps in scores) / len(scores)
    both = f"{pooled:.2f} / {by_sequence:.2f}"
    fewer = f" ({len(trials)} draws)" if len(trials) < _DRAWS else ""
    return known | {
        "diverged": str(sum(bool(one["diverged"]) for one in finished)),
        "trial": str(best["config_index"]),
        "epoch": str(best["best_epoch"]),
        "valid., counted": _three_digits(best["valid_nll_counted"]),
        "valid., masked": _three_digits(best["valid_nll_masked"]),
        "test": both,
        "test, where it stands": both + (fewer if complete else f" ({count})"),
        "repeats": _repeats(study),
    }


def _three_digits(nll: float | None) -> str:
    # NADE counts no padding.
    return "-" if nll is None else f"{nll:.3f}"


def _scores(sequences: list[dict[str, Any]], trial: dict[str, Any]) -> list[tuple[float, int]]:
    """Return summed NLL and steps of a trial's test sequences."""
    return [
        (one["nll_sum"], one["n_steps"])
        for one in sequences
        if one["config_index"] == trial["config_index"] and one["n_steps"]
    ]


def _pooled(scores: list[tuple[float, int]]) -> float:
    return math.fsum(nll for nll, _ in scores) / sum(steps for _, steps in scores)


def _repeats(study: str) -> str:
    """Return mean, standard deviation and number of the repeats' pooled test NLL."""
    sequences = rows(study, "test_sequences")
    nll = [
        _pooled(_scores(sequences, one))
        for one in rows(study, "trials")
        if one["config_index"] < 0 and one["state"] == "finished"
    ]
    if not nll:
        return "-"
    deviation = f", {statistics.stdev(nll):.2f}" if len(nll) > 1 else ""
    return f"{statistics.mean(nll):.2f}{deviation} ({len(nll)})"


def ranked(study: str) -> list[dict[str, Any]]:
    """Return a study's finished trials that have a validation NLL, the lowest first."""
    # An infinite or missing NLL is no number in JSON.
    eligible = [
        one
        for one in rows(study, "trials")
        if one["config_index"] >= 0
        if one["state"] == "finished" and isinstance(one["valid_nll"], float)
    ]
    return sorted(eligible, key=lambda one: (one["valid_nll"], one["config_index"]))


def ended_at_limit(study: str) -> list[int]:
    """Return the trials that used up their epochs before their patience."""
    with zipfile.ZipFile(FILES[study]) as archive:
        training = json.loads(archive.read("study.json"))["definition"]["training"]
    limit, patience = training["max_epochs"], training["patience"]
    return [
        one["config_index"]
        for one in rows(study, "trials")
        if one["config_index"] >= 0
        if one["state"] == "finished" and not one["diverged"]
        if one["n_epochs"] == limit and limit - one["best_epoch"] < patience
    ]


@cache
def rows(study: str, table: str) -> list[dict[str, Any]]:
    """Return the rows of one table of a study's file."""
    with zipfile.ZipFile(FILES[study]) as archive:
        lines = archive.read(f"{table}.jsonl").decode().splitlines()
    columns, *values = map(json.loads, lines)
    return [dict(zip(columns, row, strict=True)) for row in values]


def _above(value: float | str | None, bound: float) -> bool:
    # Infinity is a string in JSON, NaN null.
    return value == "inf" or (isinstance(value, float) and value > bound)


def filled(text: str) -> str:
    """Return a document with the numbers of its tables as the files have them.

    Tables with a column ``study`` get `COLUMNS`; the table with a column ``data set`` gets the
    cells of our studies. A study without a file gets dashes.
    """
    return _TABLE.sub(lambda table: _filled_table(table[0]), text)


def _filled_table(table: str) -> str:
    header, rule, *lines = table.splitlines()
    titles = _cells(header)
    # A blank line in a table makes a second one of its rest, which nobody would fill.
    if not all(set(cell) <= set(":-") for cell in _cells(rule)):
        raise ValueError(f"no table, for want of a rule below its titles: {header}")
    if DATA_SET in titles:
        lines = [_of_data_set(titles, _cells(line)) for line in lines]
    elif STUDY in titles:
        lines = [_of_study(titles, _cells(line)) for line in lines]
    return "\n".join([header, rule, *lines, ""])


def _of_data_set(titles: list[str], cells: list[str]) -> str:
    data = _DATA_SETS[cells[titles.index(DATA_SET)]]
    return _row(
        _fact(data + _OURS[title], "test, where it stands") if title in _OURS else cell
        for title, cell in zip(titles, cells, strict=True)
    )


def _of_study(titles: list[str], cells: list[str]) -> str:
    study = cells[titles.index(STUDY)].strip("`")
    return _row(
        _fact(study, title) if title in COLUMNS else cell
        for title, cell in zip(titles, cells, strict=True)
    )


def _fact(study: str, title: str) -> str:
    return facts(study).get(title, "-") if study in FILES else "-"


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def _row(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    for document in DOCUMENTS:
        document.write_text(filled(document.read_text()))
