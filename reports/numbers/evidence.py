"""The evidence of one study: what the store contained of it at one moment."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fdrnn.datasets import DataDescription
from fdrnn.reports.numbers import bootstrap
from fdrnn.reports.numbers.bootstrap import Estimate, Intervals
from fdrnn.reports.numbers.names import chosen, having
from fdrnn.search import (
    Samples,
    Study,
    StudyDefinition,
    StudyProgress,
    TrialState,
    selected_trial,
)
from fdrnn.search.design.rules import SEARCHABLE
from fdrnn.search.design.space import Space


@dataclass(frozen=True, eq=False)
class Evidence:
    """A study as the store contained it at one moment.

    The attributes are of one moment, however much workers write meanwhile, and if the study is
    extended. Curves and samples are read where they are needed, and then kept. Curves are cut to
    the epochs of that moment; an extension may have deleted samples, and the curves of trials that
    it trains from the start.

    Attributes
    ----------
    study
        The study.
    trials
        Its trials as `fdrnn.search.Study.trials` returns them, one per configuration.
    all_repeats
        Every repeat, also of a configuration that was selected before an extension, as in
        `fdrnn.search.StudySnapshot`.
    sequences
        Test sequences of the selected trial as `fdrnn.search.Study.test_sequences`. Empty, with
        its columns, where no trial is selected.
    progress
        Counts, and the time left, as `fdrnn.search.Study.progress`.
    """

    study: Study
    trials: pd.DataFrame
    all_repeats: pd.DataFrame
    sequences: pd.DataFrame
    progress: StudyProgress

    @property
    def definition(self) -> StudyDefinition:
        """The study's definition."""
        return self.study.definition

    @property
    def name(self) -> str:
        """The study's name."""
        return self.study.name

    @property
    def data(self) -> DataDescription:
        """Description of the data that the study was made for."""
        return self.study.data

    @property
    def space(self) -> Space:
        """The space that its configurations are drawn from."""
        return self.definition.space

    @property
    def records_test_nll(self) -> bool:
        """Whether the study records the test NLL of every epoch."""
        return "test_nll" in self.definition.training.record

    @cached_property
    def selected(self) -> int | None:
        """Configuration with the lowest validation NLL, as `fdrnn.search.selected_trial`."""
        return selected_trial(self.trials)

    @cached_property
    def best(self) -> pd.Series[Any] | None:
        """Row of the selected trial; None where there is none."""
        if self.selected is None:
            return None
        return self.trials[self.trials["config_index"] == self.selected].iloc[0]

    @property
    def best_epoch(self) -> int | None:
        """The selected trial's epoch of the lowest validation NLL; None where there is none."""
        return None if self.best is None else int(self.best["best_epoch"])

    @property
    def hyperparameters(self) -> dict[str, object]:
        """The selected trial's hyperparameters by name, without those that were not drawn."""
        assert self.best is not None
        best = self.trials[self.trials["config_index"] == self.selected]
        return {
            parameter.name: chosen(parameter, value)
            for parameter in self.space.parameters
            for value in having(best, parameter)[parameter.name]
        }

    def given_settings(self, names: Iterable[str]) -> dict[str, object]:
        """Return the training settings among some names that all trials of the study share.

        A table of several studies has them in the rows of settings that another study draws.
        """
        training = self.definition.training
        return {
            name: getattr(training, name)
            for name in names
            if name in SEARCHABLE and name not in self.space.names
        }

    @cached_property
    def finished(self) -> pd.DataFrame:
        """The finished trials, including the diverged ones."""
        return self.trials[self.trials["state"] == TrialState.FINISHED]

    @property
    def n_diverged(self) -> int:
        """Number of finished trials that diverged."""
        return int(self.finished["diverged"].astype(bool).sum())

    @cached_property
    def ranked(self) -> pd.DataFrame:
        """The finished and pruned trials, which a lowest validation NLL ranks.

        Whatever continued past a rung was below what was pruned there.
        """
        states = (TrialState.FINISHED, TrialState.PRUNED)
        return self.trials[self.trials["state"].isin(states)]

    @property
    def n_pruned(self) -> int:
        """Number of trials that halving pruned."""
        return int((self.trials["state"] == TrialState.PRUNED).sum())

    @property
    def repeats(self) -> pd.DataFrame:
        """The finished repeats of the selected configuration."""
        every = self.all_repeats
        return every[
            (every["repeat_of"] == self.selected) & (every["state"] == TrialState.FINISHED)
        ]

    @property
    def begun(self) -> pd.DataFrame:
        """The trials and repeats with an epoch in the store."""
        # An empty frame's columns have no type, which the others' would lose.
        frames = [frame for frame in (self.trials, self.all_repeats) if len(frame)]
        every = pd.concat(frames) if len(frames) > 1 else self.trials
        return every[every["n_epochs"] > 0]

    @cached_property
    def intervals(self) -> Intervals:
        """Intervals of the selected trial's test NLL over its test sequences."""
        return bootstrap.intervals(self.resampled)

    @cached_property
    def resampled(self) -> npt.NDArray[np.float64] | None:
        """The resampled test sequences of the selected trial, as `bootstrap.resampled`."""
        sequences = self.sequences
        return bootstrap.resampled(
            sequences["nll_sum"].to_numpy(float), sequences["n_steps"].to_numpy(int)
        )

    @cached_property
    def samples(self) -> Samples | None:
        """What `fdrnn sample` stored with the selected trial; None if there is nothing."""
        if self.selected is None:
            return None
        return self.study.samples(self.selected)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Every epoch up to the moment of the trials, as `fdrnn.search.Study.curves`."""
        table = self.study.curves()
        n_epochs = self.trials.set_index("config_index")["n_epochs"]
        then = table["epoch"] <= table["config_index"].map(n_epochs)
        return table[then].reset_index(drop=True)

    @cached_property
    def complete_curves(self) -> pd.DataFrame:
        """Curves of the finished trials that did not diverge: those that can be compared."""
        kept = self.finished.loc[~self.finished["diverged"].astype(bool), "config_index"]
        return self.curves[self.curves["config_index"].isin(kept)]

    @property
    def last_epochs(self) -> pd.DataFrame:
        """The last epoch of each trial of `complete_curves`."""
        return self.complete_curves.groupby("config_index", as_index=False).tail(1)

    @property
    def best_epochs(self) -> pd.DataFrame:
        """NLL of each finished trial at its best epoch, the lowest validation NLL first.

        Columns ``config_index``, ``train`` (mean over the epoch's updates, under the study's
        padding rule), ``valid`` (under the same rule), ``valid_masked`` (without the
        zeros of short chunks) and ``test`` (pooled). Trials without a finite validation NLL have
        no best epoch.
        """
        finished = self.finished[np.isfinite(self.finished["valid_nll"])]
        train = self.curves[["config_index", "epoch", "train_nll"]]
        table = finished.merge(
            train, left_on=["config_index", "best_epoch"], right_on=["config_index", "epoch"]
        ).sort_values(["valid_nll", "config_index"], ignore_index=True)
        names = {
            "config_index": "config_index",
            "train_nll": "train",
            "valid_nll": "valid",
            "valid_nll_masked": "valid_masked",
            "test_nll_pooled": "test",
        }
        renamed: pd.DataFrame = table[list(names)].rename(columns=names)
        return renamed

    @cached_property
    def trials_ended(self) -> bool:
        """Whether every trial has ended; repeats may be left."""
        return all(TrialState(state).ended for state in self.trials["state"])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that figures show of the study."""
        described = (self.definition, self.data, self.study.code_version)
        digest = hashlib.sha256(repr(described).encode())
        for frame in (self.trials, self.curves, self.sequences):
            digest.update(repr([*frame.dtypes.items()]).encode())
            digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
        if self.samples is not None:
            for name, value in vars(self.samples).items():
                shown = value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
                digest.update(name.encode() + shown)
        return digest.hexdigest()


def difference(one: Evidence, other: Evidence) -> Estimate:
    """Return the pooled test NLL of a study's selected trial minus another's.

    For its interval both have the same resampled sequences. It is empty where the two were not
    tested on the same sequences, or there are fewer than two.
    """
    steps, others = (study.sequences["n_steps"].to_numpy(int) for study in (one, other))
    if one.resampled is None or other.resampled is None or not np.array_equal(steps, others):
        return Estimate()
    minus = one.sequences["nll_sum"].to_numpy(float) - other.sequences["nll_sum"].to_numpy(float)
    # The difference of two averages over the same steps is the average of the differences.
    ends = bootstrap.interval((one.resampled[0] - other.resampled[0]) / one.resampled[1])
    return Estimate(**asdict(ends), value=float(minus.sum() / steps.sum()))


def read(study: Study) -> Evidence:
    """Read the evidence of a study."""
    snapshot = study.snapshot()
    return Evidence(
        study=study,
        trials=snapshot.trials,
        all_repeats=snapshot.repeats,
        sequences=snapshot.test_sequences,
        progress=snapshot.progress,
    )
