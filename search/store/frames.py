"""Functions of a store and a study's name, until their callers use `Study`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy.typing as npt
import pandas as pd

from fdrnn.search.store.progress import StudyProgress
from fdrnn.search.store.samples import Samples
from fdrnn.search.store.store import Store
from fdrnn.search.store.study import selected_trial as selected

__all__ = ["selected"]


def trials(store: Store, study: str) -> pd.DataFrame:
    """Return `Study.trials`."""
    return store.study(study).trials()


def curves(store: Store, study: str) -> pd.DataFrame:
    """Return `Study.curves`."""
    return store.study(study).curves()


def test_sequences(store: Store, study: str, config_index: int | None = None) -> pd.DataFrame:
    """Return `Study.test_sequences`."""
    return store.study(study).test_sequences(config_index)


def parameters(store: Store, study: str, config_index: int) -> dict[str, npt.NDArray[Any]]:
    """Return `Study.parameters`."""
    return store.study(study).parameters(config_index)


def samples(store: Store, study: str, config_index: int) -> Samples | None:
    """Return `Study.samples`."""
    return store.study(study).samples(config_index)


def keep_samples(store: Store, study: str, samples: Samples) -> None:
    """Call `Study.keep_samples`."""
    store.study(study).keep_samples(samples)


def study_progress(store: Store, study: str) -> StudyProgress:
    """Return `Study.progress`."""
    return store.study(study).progress()


def named_studies(store: Store, name: str) -> list[str]:
    """Return the names of `Store.studies` of one name."""
    return [study.name for study in store.studies([name])]


def chosen_studies(store: Store, names: Iterable[str] = ()) -> list[str]:
    """Return the names of `Store.studies`."""
    chosen = list(names)
    return [study.name for study in store.studies(chosen)] if chosen else store.study_names()
