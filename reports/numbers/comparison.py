"""A comparison of variants: which studies of a report belong to one, and its table.

Studies belong together by their names (`fdrnn.search.design.comparison`); everything is computed
from the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from fdrnn.model import VARIANTS
from fdrnn.reports.artefacts import Attachment, Table
from fdrnn.reports.figures.gap import gap
from fdrnn.reports.numbers.evidence import Evidence, read_curves
from fdrnn.reports.numbers.table1 import row
from fdrnn.reports.tables.nll_tables import RULES, integer, number
from fdrnn.search import Store
from fdrnn.search.design.comparison import comparison_of

_KEYS = ("config_index", "epoch")
_TIMES = ("seconds", "recording_seconds")
_OF_TRIALS = (
    "config_index",
    "state",
    "diverged",
    "n_epochs",
    "best_epoch",
    "valid_nll",
    "test_nll_pooled",
    "test_nll_sequence_mean",
)


@dataclass(frozen=True, eq=False)
class Member:
    """A study of a comparison.

    Attributes
    ----------
    evidence
        The study.
    curves
        As `fdrnn.search.curves` returns them.
    """

    evidence: Evidence
    curves: pd.DataFrame

    @cached_property
    def complete(self) -> pd.DataFrame:
        """The curves of finished trials that did not diverge: those that can be compared."""
        trials = self.evidence.finished
        kept = trials.loc[~trials["diverged"].astype(bool), "config_index"]
        return self.curves[self.curves["config_index"].isin(kept)]

    @cached_property
    def last(self) -> pd.DataFrame:
        """The last epoch of each trial of `complete`."""
        return self.complete.groupby("config_index", as_index=False).tail(1)

    @property
    def seconds_per_epoch(self) -> float:
        """Median wall time of an epoch, without what the study records besides; NaN for none."""
        seconds = self.curves["seconds"]
        if "recording_seconds" in self.curves:
            seconds = seconds - self.curves["recording_seconds"].fillna(0.0)
        return float(seconds.median())


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
    members: Mapping[str, Member]

    @property
    def title(self) -> str:
        """Title of its data set."""
        return next(iter(self.members.values())).evidence.stored.data.title

    @property
    def n_trials(self) -> int:
        """Draws of the study that has most."""
        return max(len(member.evidence.trials) for member in self.members.values())

    def paired(self, one: str, other: str, column: str) -> pd.DataFrame:
        """Return a number of two variants at the last epoch that both trials of a draw reached.

        Parameters
        ----------
        one, other
            Variants of `members`.
        column
            A column of the curves of both.

        Returns
        -------
        pandas.DataFrame
            ``config_index``, ``epoch``, ``one`` and ``other``: a row for each draw of which both
            trials are complete and both numbers known.
        """
        columns = [*_KEYS, column]
        first, second = (
            self.members[variant].complete[columns].rename(columns={column: key})
            for variant, key in ((one, "one"), (other, "other"))
        )
        both = first.merge(second, on=list(_KEYS)).dropna().sort_values(list(_KEYS))
        return both.groupby("config_index", as_index=False).tail(1).reset_index(drop=True)


def comparisons(store: Store, studies: Iterable[Evidence]) -> Iterator[Comparison]:
    """Yield the comparisons among studies, those of two or more variants, by name.

    Parameters
    ----------
    store
        The store, of which the curves are read, a comparison's when its turn comes.
    studies
        Studies of it.
    """
    by_name: dict[str, list[Evidence]] = {}
    for evidence in studies:
        name = comparison_of(evidence.definition)
        if name is not None:
            by_name.setdefault(name, []).append(evidence)
    for name, found in sorted(by_name.items()):
        if len(found) > 1:
            members = {
                one.definition.variant: Member(one, read_curves(store, one))
                for one in sorted(
                    found, key=lambda one: list(VARIANTS).index(one.definition.variant)
                )
            }
            yield Comparison(name, members)


def frame(comparison: Comparison) -> pd.DataFrame:
    """Return the numbers of a comparison, a row for each variant.

    Returns
    -------
    pandas.DataFrame
        ``variant``, ``study``, ``space``; numbers of trials planned, finished and diverged; of the
        selected trial its index, best epoch, validation NLL under the study's padding rule, and
        test NLL with its interval as in Table 1; ``gap``, its validation NLL less its training
        NLL at the best epoch; ``spectral_radius_best`` at that epoch and ``spectral_radius_end``
        at its last; ``spectral_radius_end_median``, over finished trials that did not diverge;
        ``seconds_per_epoch`` as `Member` has it. Missing numbers are NaN.
    """
    return pd.DataFrame([_numbers(member) for member in comparison.members.values()])


def _numbers(member: Member) -> dict[str, Any]:
    one = row(member.evidence)
    curve = member.curves[member.curves["config_index"] == one.selected_trial]
    at_best = curve[curve["epoch"] == one.best_epoch]
    gaps = gap(member.evidence, member.curves)
    return {
        "variant": one.variant,
        "study": one.study,
        "space": one.space,
        "trials_planned": one.trials_planned,
        "trials_finished": one.trials_finished,
        "trials_diverged": one.trials_diverged,
        "selected_trial": one.selected_trial,
        "best_epoch": one.best_epoch,
        "valid_nll": one.valid_nll,
        "test_nll_pooled": one.test_nll_pooled,
        "test_nll_pooled_low": one.test_nll_pooled_low,
        "test_nll_pooled_high": one.test_nll_pooled_high,
        "test_nll_sequence_mean": one.test_nll_sequence_mean,
        "test_nll_sequence_mean_low": one.test_nll_sequence_mean_low,
        "test_nll_sequence_mean_high": one.test_nll_sequence_mean_high,
        "gap": _first(gaps["valid"] - gaps["train"]),
        "spectral_radius_best": _first(at_best["spectral_radius"]),
        "spectral_radius_end": _first(curve["spectral_radius"].tail(1)),
        "spectral_radius_end_median": float(member.last["spectral_radius"].median()),
        "seconds_per_epoch": member.seconds_per_epoch,
    }


def _first(values: pd.Series[Any]) -> float:
    return float(values.iloc[0]) if len(values) else float("nan")


def table(comparison: Comparison) -> Table:
    """Return the table of a comparison."""
    data = frame(comparison)
    integers = {"selected_trial": "Int64", "best_epoch": "Int64"}
    return Table(
        name=f"{comparison.name}-comparison",
        title=f"Comparison {comparison.name}: variants on {comparison.title}",
        data=data.astype(integers),
        header=(
            "Network",
            "Trial",
            "Valid. NLL",
            "Test, pooled",
            "Test, by sequence",
            "Gap",
            "rho, best",
            "rho, end",
            "s / epoch",
            "Diverged",
        ),
        rows=tuple(_cells(dict(one)) for _, one in data.astype(object).iterrows()),
        n_text=1,
        notes=(
            *RULES,
            f"Every variant has up to {comparison.n_trials} draws of its usual space with one "
            "seed; parameters of one name and choices have the same values draw by draw. With so "
            "many draws the order of two networks may be luck.",
            "The CSV has the 95 % bootstrap intervals of both averages, as beside Table 1.",
            "Gap: validation less training NLL at the selected trial's best epoch, under the "
            "study's padding rule. The training NLL is the mean over the epoch's updates, at the "
            "parameters before each and with the variant's noise, so that the gap may be negative.",
            "rho: spectral radius of the recurrent weights (LSTM: of the cell input's) of the "
            "selected trial, at its best epoch and at its last.",
            "s / epoch: median wall time over the epochs of all trials, without what the study "
            "records besides; it is of the machines that trained. Diverged: of finished trials.",
        ),
    )


def draws(comparison: Comparison) -> Attachment:
    """Return the numbers of every draw, on which the table and the statements rest.

    A CSV file with a row for each variant and trial: ``variant``, ``config_index``, ``state``,
    ``diverged``, ``n_epochs``, ``best_epoch``, the validation and test NLL of the best epoch,
    ``spectral_radius_highest`` over all epochs, and of every other number of
    `fdrnn.search.curves` but the times the last one known.
    """
    tables = [_draws(variant, member) for variant, member in comparison.members.items()]
    text = pd.concat(tables).to_csv(index=False, lineterminator="\n", float_format="%.10g")
    return Attachment(
        name=f"{comparison.name}-draws.csv",
        title="The numbers of every draw, as CSV",
        content=text.encode(),
    )


def _draws(variant: str, member: Member) -> pd.DataFrame:
    by_trial = member.curves.groupby("config_index")
    last = by_trial.last().drop(columns=[*_TIMES, "epoch"], errors="ignore")
    highest = by_trial["spectral_radius"].max()
    trials = member.evidence.trials[[*_OF_TRIALS]].set_index("config_index")
    table = trials.join(last.drop(columns=[*_OF_TRIALS], errors="ignore"))
    table.insert(len(_OF_TRIALS) - 1, "spectral_radius_highest", highest)
    table = table.reset_index()
    table.insert(0, "variant", variant)
    return table


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    known: dict[str, Any] = {key: None if pd.isna(value) else value for key, value in one.items()}
    index = known["selected_trial"]
    return (
        VARIANTS[known["variant"]].title,
        integer(None if index is None else int(index)),
        number(known["valid_nll"]),
        number(known["test_nll_pooled"]),
        number(known["test_nll_sequence_mean"]),
        _gap(known["gap"]),
        number(known["spectral_radius_best"]),
        number(known["spectral_radius_end"]),
        number(known["seconds_per_epoch"]),
        f"{known['trials_diverged']} of {known['trials_finished']}",
    )


def _gap(value: float | None) -> str:
    # A training NLL of the first epochs may be of any size.
    return f"{value:.2g}" if value is not None and abs(value) >= 1000 else number(value)
