"""What a report knows of one study besides its curves: the study, its trials, the selected one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from fdrnn.search import Store, Study, StudyDefinition
from fdrnn.search.store import frames


@dataclass(frozen=True, eq=False)
class Evidence:
    """A study as the store held it at one moment.

    Attributes
    ----------
    stored
        The study.
    trials
        Its trials as `fdrnn.search.trials` returns them, one per configuration.
    sequences
        Test sequences of the selected trial as `fdrnn.search.test_sequences` returns them;
        empty where none is selected.
    """

    stored: Study
    trials: pd.DataFrame
    sequences: pd.DataFrame

    @property
    def definition(self) -> StudyDefinition:
        """The study's definition."""
        return self.stored.definition

    @property
    def name(self) -> str:
        """The study's name."""
        return self.stored.definition.name

    @cached_property
    def selected(self) -> int | None:
        """Configuration with the lowest validation NLL, as `fdrnn.search.selected` finds it."""
        return frames.selected(self.trials)

    @cached_property
    def best(self) -> pd.Series[Any] | None:
        """Row of the selected trial; None where there is none."""
        if self.selected is None:
            return None
        return self.trials[self.trials["config_index"] == self.selected].iloc[0]

    @cached_property
    def finished(self) -> pd.DataFrame:
        """The finished trials, diverged ones included."""
        return self.trials[self.trials["state"] == "finished"]


def read(store: Store, study: str) -> Evidence:
    """Read a study from the store.

    The trials are read first: what is read later has every finished trial of theirs, however
    much workers write meanwhile.

    Raises
    ------
    UnknownNameError
        If the store holds no study of that name.
    """
    stored = store.study(study)
    trials = frames.trials(store, study)
    index = frames.selected(trials)
    # -1 is no configuration, so that the frame is empty but has its columns.
    sequences = frames.test_sequences(store, study, -1 if index is None else index)
    return Evidence(stored, trials, sequences)


def read_curves(store: Store, evidence: Evidence) -> pd.DataFrame:
    """Return a study's curves up to the epochs that its trials had when it was read.

    Parameters
    ----------
    store
        The store that it was read from.
    evidence
        The study.
    """
    table = frames.curves(store, evidence.name)
    n_epochs = evidence.trials.set_index("config_index")["n_epochs"]
    then = table["epoch"] <= table["config_index"].map(n_epochs)
    return table[then].reset_index(drop=True)
