from __future__ import annotations

import math
import threading
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from fdrnn.datasets.errors import UnknownNameError
from fdrnn.search import SPACES, Store, StoreError, create_study, selected_trial
from fdrnn.search.store import tables
from fdrnn.search.store.samples import ALWAYS_KEPT, SampleOrigin, Samples
from fdrnn.search.store.tables import TrialState
from fdrnn.search.work.claiming import claim, this_worker
from fdrnn.search.work.lease import Lease


@pytest.fixture
def lease(store: Store, fake: ModuleType) -> Lease:
    study_id = create_study(store, fake.definition(n_trials=3), fake.DATA).study_id
    claimed = claim(store.database, study_id, this_worker(), 60.0)
    assert claimed is not None
    return claimed


def test_types_do_not_depend_on_how_far_a_study_is(
    store: Store, fake: ModuleType, lease: Lease
) -> None:
    before = store.study("noise").trials()
    assert before["n_epochs"].tolist() == [0, 0, 0]
    lease.write([fake.record(1, 1), fake.record(1, 2)])
    lease.finish(fake.result(1, 2), "some CPU")
    after = store.study("noise").trials()
    expected = ["config_index", "state", "diverged", *SPACES["table2"].names, "n_epochs"]
    assert list(after.columns[: len(expected)]) == expected
    assert [str(before.dtypes[name]) for name in before] == [str(t) for t in after.dtypes]
    types = after.dtypes
    assert (types["diverged"], types["n_hidden"], types["step_rate"]) == (bool, int, float)
    assert (types["fast_dropout_final_layer"], types["max_incoming"]) == (bool, float)
    assert after["n_epochs"].tolist() == [2, 0, 0]
    assert after["seconds"].tolist() == [0.5, 0.0, 0.0]
    assert pd.isna(after["best_epoch"].iloc[1])


def test_the_averages_are_those_of_the_result(store: Store, fake: ModuleType, lease: Lease) -> None:
    sums, steps = np.array([10.0, 60.0, 5.0, 0.0]), np.array([2, 6, 10, 0])
    result = replace(fake.result(1, 1), test_nll_sums=sums, test_steps=steps)
    lease.finish(result, "some CPU")
    row = store.study("noise").trials().iloc[0]
    assert row["test_nll_pooled"] == pytest.approx(75 / 18) == result.test_nll_pooled
    assert row["test_nll_sequence_mean"] == pytest.approx((5 + 10 + 0.5) / 3)
    assert store.study("noise").test_sequences().to_dict("list") == {
        "config_index": [0, 0, 0, 0],
        "sequence_index": [0, 1, 2, 3],
        "nll_sum": sums.tolist(),
        "n_steps": steps.tolist(),
    }


def test_a_test_nll_that_is_no_number_is_not_averaged_away(
    store: Store, fake: ModuleType, lease: Lease
) -> None:
    sums, steps = np.array([10.0, np.nan, 5.0]), np.array([2, 6, 10])
    lease.finish(replace(fake.result(1, 1), test_nll_sums=sums, test_steps=steps), "some CPU")
    row = store.study("noise").trials().iloc[0]
    assert math.isnan(row["test_nll_pooled"])
    assert math.isnan(row["test_nll_sequence_mean"])


def test_a_snapshot_has_what_the_single_reads_return(store: Store, fake: ModuleType) -> None:
    definition = replace(fake.definition(n_trials=2), repeats=1)
    study = create_study(store, definition, fake.DATA)

    def same(table: pd.DataFrame, other: pd.DataFrame) -> None:
        pd.testing.assert_frame_equal(table, other, check_dtype=len(other) > 0)

    def check() -> None:
        snapshot = study.snapshot()
        same(snapshot.trials, study.trials())
        assert set(snapshot.repeats["repeat_of"]) <= {study.selected}
        same(snapshot.repeats.drop(columns="repeat_of"), study.repeats())
        if study.selected is None:
            assert snapshot.test_sequences.empty
        else:
            same(snapshot.test_sequences, study.test_sequences(study.selected))
        assert snapshot.progress.finished == study.progress().finished
        assert snapshot.progress.repeats_left == study.progress().repeats_left
        assert snapshot.progress.worker_seconds == study.progress().worker_seconds

    check()
    for seed in (1, 2, 3):
        lease = claim(store.database, study.study_id, this_worker(), 60.0)
        assert lease is not None
        lease.write([fake.record(seed, 1)])
        check()
        lease.finish(fake.result(seed, 1), "some CPU")
        check()
    assert len(study.repeats()) == 1


def test_parameters_of_unknown_configurations(store: Store, lease: Lease) -> None:
    assert store.study("noise").parameters(2) == {}
    with pytest.raises(UnknownNameError, match=r"trial '3'.* trials 0 to 2"):
        store.study("noise").parameters(3)


def table(*rows: tuple[int, str, float, float]) -> pd.DataFrame:
    columns = ["config_index", "state", "valid_nll", "test_nll_pooled"]
    return pd.DataFrame(rows, columns=columns)


def test_the_lowest_finite_validation_nll_of_a_finished_trial_is_selected() -> None:
    frame = table(
        (0, "finished", 9.0, 1.0),
        (1, "finished", 8.0, 8.0),
        (2, "finished", 8.0, 2.0),
        (3, "finished", math.inf, 0.0),
        (4, "running", 7.0, 0.0),
        (5, "failed", math.nan, math.nan),
    )
    assert selected_trial(frame) == 1
    assert selected_trial(frame.iloc[::-1]) == 1
    assert selected_trial(frame.iloc[3:]) is None
    assert selected_trial(frame.head(0)) is None


def test_measurements_are_columns_of_the_curves(
    store: Store, fake: ModuleType, lease: Lease
) -> None:
    first = replace(fake.record(1, 1), measurements={"test_nll_pooled": 8.5, "ratio": math.nan})
    lease.write([first, replace(fake.record(1, 2), measurements={"ratio": 0.25})])
    curve = store.study("noise").curves()
    assert curve["epoch"].tolist() == [1, 2]
    assert curve["ratio"].tolist() == pytest.approx([math.nan, 0.25], nan_ok=True)
    assert curve["test_nll_pooled"].tolist() == pytest.approx([8.5, math.nan], nan_ok=True)


@pytest.mark.parametrize("about", [None, [1], {"seed": 3}])
def test_samples_without_their_origin_are_damaged(
    store: Store, lease: Lease, fake: ModuleType, about: object
) -> None:
    lease.finish(fake.result(1, 1), "some CPU")
    rows = [
        {"trial_id": lease.trial_id, "name": name, "about": about} | tables.packed(np.ones((2, 3)))
        for name in ALWAYS_KEPT
    ]
    with store.database.write() as connection:
        connection.execute(tables.samples.insert(), rows)
    with pytest.raises(StoreError, match=r"a row is damaged: .*SampleOrigin"):
        store.study("noise").samples(0)


def test_samples_that_are_kept_while_their_trial_is_reopened_are_deleted(
    store: Store, fake: ModuleType, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = store.study("noise")
    result = replace(fake.result(1, study.definition.training.max_epochs), diverged=False)
    lease.finish(result, "some CPU")
    more = replace(study.definition.training, max_epochs=2 * result.n_epochs)
    extended = threading.Thread(
        target=create_study, args=(store, replace(study.definition, training=more), fake.DATA)
    )
    packed = tables.packed

    def packed_slowly(array: npt.NDArray[Any]) -> dict[str, Any]:
        # After the lock on the trial.
        if extended.ident is None:
            extended.start()
            extended.join(0.5)
        return packed(array)

    monkeypatch.setattr(tables, "packed", packed_slowly)
    origin = SampleOrigin(
        sequence=0, sequence_length=1, n_given=1, seed=1, step_quarters=None, code_version="1"
    )
    frames = np.zeros((1, 3), np.uint8)
    study.keep_samples(
        Samples(
            config_index=0,
            excerpt=frames,
            predictions=np.zeros((0, 3)),
            sample=frames,
            origin=origin,
        )
    )
    extended.join()
    assert study.trial(0).state == TrialState.WAITING
    assert study.samples(0) is None
