"""A comparison of variants: which studies of a report belong to one, and its numbers.

Studies belong together by their names (`fdrnn.search.design.comparison`), and are compared where
they have the same data, seed, output and training settings.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fdrnn.model import VARIANTS
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.table1 import flat, row
from fdrnn.search.design.comparison import comparison_of
from fdrnn.search.design.definition import EXTENDABLE_TRAINING

DIVERGED = "diverged"
NOT_FINISHED = "not finished"

_KEYS = ["config_index", "epoch"]
_TIMES = ("seconds", "recording_seconds")
_OF_ROWS = [
    *("variant", "study", "space", "trials_planned", "trials_finished", "trials_diverged"),
    *("selected_trial", "best_epoch", "valid_nll"),
    *("test_nll_pooled", "test_nll_pooled_low", "test_nll_pooled_high"),
    *("test_nll_sequence_mean", "test_nll_sequence_mean_low", "test_nll_sequence_mean_high"),
]
_OF_TRIALS = [
    "config_index",
    "state",
    "diverged",
    "n_epochs",
    "best_epoch",
    "valid_nll",
    "test_nll_pooled",
    "test_nll_sequence_mean",
]


@dataclass(frozen=True, eq=False)
class Comparison:
    """The studies of a comparison.

    Attributes
    ----------
    name
        Its name.
    members
        Its studies by variant, in the order of the registry.
    """

    name: str
    members: Mapping[str, Evidence]

    @property
    def title(self) -> str:
        """Title of its data set."""
        return next(iter(self.members.values())).data.title

    @property
    def n_trials(self) -> int:
        """Largest number of draws of a member."""
        return max(len(member.trials) for member in self.members.values())

    def incomplete(self, variants: Iterable[str]) -> pd.DataFrame:
        """Return which trials cannot be compared, and why.

        Parameters
        ----------
        variants
            Variants of `members`.

        Returns
        -------
        pandas.DataFrame
            A row for each draw, a column for each variant: `DIVERGED`, `NOT_FINISHED` (also of a
            draw that the variant does not have), or an empty text where the trial is complete.
        """
        reasons = {variant: _incomplete(self.members[variant]) for variant in variants}
        return pd.DataFrame(reasons).fillna(NOT_FINISHED)

    def beside_plain(self, variant: str, column: str) -> pd.DataFrame:
        """Return a number at the last epoch that a draw's trial and the plain RNN's reached.

        Parameters
        ----------
        variant
            A key of `members`, as ``"plain"`` must be.
        column
            A column of the curves of both.

        Returns
        -------
        pandas.DataFrame
            ``config_index``, ``epoch``, ``own`` and ``plain``: a row for each draw of which both
            trials are complete and both numbers known.
        """
        first, second = (
            self.members[name].complete_curves[[*_KEYS, column]].rename(columns={column: key})
            for name, key in ((variant, "own"), ("plain", "plain"))
        )
        both = first.merge(second, on=_KEYS).dropna().sort_values(_KEYS)
        return both.groupby("config_index", as_index=False).tail(1).reset_index(drop=True)


def _incomplete(member: Evidence) -> pd.Series[str]:
    finished = member.finished.set_index("config_index")
    reasons = finished["diverged"].astype(bool).map({True: DIVERGED, False: ""})
    return reasons.reindex(member.trials["config_index"], fill_value=NOT_FINISHED)


def comparisons(studies: Iterable[Evidence]) -> list[Comparison]:
    """Return the comparisons among studies, those of two or more variants, by name.

    Of studies with one comparison's name the members are the most that can be compared; of as
    many, those with the first variant of the registry.
    """
    largest = {name: max(groups, key=len) for name, groups in _groups(studies).items()}
    return [Comparison(name, members) for name, members in largest.items() if len(members) > 1]


def not_compared(studies: Iterable[Evidence]) -> list[str]:
    """Return the names of the studies that differ from the others of their comparison's name."""
    studies = list(studies)
    compared = {member.name for one in comparisons(studies) for member in one.members.values()}
    several = (groups for groups in _groups(studies).values() if len(groups) > 1)
    named = (member.name for groups in several for group in groups for member in group.values())
    return [name for name in named if name not in compared]


def _groups(studies: Iterable[Evidence]) -> dict[str, list[dict[str, Evidence]]]:
    """Return the studies that can be compared, by variant, for each comparison's name."""
    order = list(VARIANTS)
    by_name: dict[str, dict[Hashable, dict[str, Evidence]]] = {}
    for study in sorted(studies, key=lambda study: order.index(study.definition.variant)):
        name = comparison_of(study.definition)
        if name is not None:
            groups = by_name.setdefault(name, {})
            groups.setdefault(_shared(study), {})[study.definition.variant] = study
    return {name: list(groups.values()) for name, groups in sorted(by_name.items())}


def _shared(study: Evidence) -> Hashable:
    """Return what the members of a comparison share."""
    definition = study.definition
    # A variant records what it can, and an extension reaches one study after another.
    own = {"record", *EXTENDABLE_TRAINING}
    training = (item for item in vars(definition.training).items() if item[0] not in own)
    return study.data.fingerprint, definition.seed, definition.output, *training


def frame(comparison: Comparison) -> pd.DataFrame:
    """Return the numbers of a comparison, a row for each variant.

    Returns
    -------
    pandas.DataFrame
        ``variant``, ``study``, ``space``; numbers of trials planned, finished and diverged; of the
        selected trial its index, best epoch, validation NLL under the study's padding rule, and
        test NLL with its interval as in Table 1; ``gap``, its validation NLL minus its training
        NLL at the best epoch; ``spectral_radius_best`` at that epoch and ``spectral_radius_end``
        at its last; ``spectral_radius_end_median``, over finished trials that did not diverge;
        ``seconds_per_epoch``, the median wall time of an epoch, without what the study records
        besides. Missing numbers are NaN.
    """
    table = pd.DataFrame(map(_numbers, comparison.members.values()))
    table = table[[*_OF_ROWS, *table.columns[len(_OF_ROWS) :]]]
    return table.astype({"selected_trial": "Int64", "best_epoch": "Int64"})


def _numbers(member: Evidence) -> dict[str, Any]:
    one, curves = row(member), member.curves
    curve = curves[curves["config_index"] == one.selected_trial]
    at_best = curve[curve["epoch"] == one.best_epoch]
    best = member.best_epochs
    seconds = curves["seconds"]
    if "recording_seconds" in curves:
        seconds = seconds - curves["recording_seconds"].fillna(0.0)
    return {name: value for name, value in flat(one).items() if name in _OF_ROWS} | {
        "gap": _first(best["valid"] - best["train"]),
        "spectral_radius_best": _first(at_best["spectral_radius"]),
        "spectral_radius_end": _first(curve["spectral_radius"].tail(1)),
        "spectral_radius_end_median": float(member.last_epochs["spectral_radius"].median()),
        "seconds_per_epoch": float(seconds.median()),
    }


def _first(values: pd.Series[Any]) -> float:
    return float(values.iloc[0]) if len(values) else float("nan")


def draws(comparison: Comparison) -> pd.DataFrame:
    """Return the numbers of every draw, on which the table and the statements are based.

    Returns
    -------
    pandas.DataFrame
        A row for each variant and trial: ``variant``, ``config_index``, ``state``, ``diverged``,
        ``n_epochs``, ``best_epoch``, the validation and test NLL of the best epoch,
        ``spectral_radius_highest`` over all epochs, and the last known value of every other
        number of `fdrnn.search.Study.curves` except the times.
    """
    return pd.concat([_draws(variant, member) for variant, member in comparison.members.items()])


def _draws(variant: str, member: Evidence) -> pd.DataFrame:
    by_trial = member.curves.groupby("config_index")
    # Of a study without an epoch the columns have no type, and pandas warns where it joins these.
    last = by_trial.last().drop(columns=[*_TIMES, "epoch"], errors="ignore").astype(float)
    table = member.trials[_OF_TRIALS].set_index("config_index")
    table = table.join(last.drop(columns=_OF_TRIALS, errors="ignore"))
    highest = by_trial["spectral_radius"].max().astype(float)
    table.insert(len(_OF_TRIALS) - 1, "spectral_radius_highest", highest)
    table = table.reset_index()
    table.insert(0, "variant", variant)
    return table
