from __future__ import annotations

import math
import multiprocessing
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import sqlalchemy as sa

from fdrnn.model import TrialResult
from fdrnn.search import (
    LeaseLostError,
    Store,
    StoreError,
    create_study,
    curves,
    open_store,
    parameters,
    tables,
    test_sequences,
    trials,
)
from fdrnn.search.lease import (
    Lease,
    LeaseKeeper,
    WorkerIdentity,
    claim,
    seconds_to_expiry,
    this_worker,
)

test_sequences.__test__ = False  # type: ignore[attr-defined]

ADA = WorkerIdentity("ada-1", "ada", 1)
BOB = WorkerIdentity("bob-2", "bob", 2)


@pytest.fixture
def study_id(store: Store, fake: ModuleType) -> int:
    return int(create_study(store, fake.definition(n_trials=2), fake.DATA).study_id)


def claimed(store: Store, study_id: int, worker: WorkerIdentity, lease_s: float = 60.0) -> Lease:
    lease = claim(store.database, study_id, worker, lease_s)
    assert lease is not None
    return lease


def states(store: Store) -> list[str]:
    return list(trials(store, "noise")["state"])


def test_trials_are_claimed_once_and_in_order(store: Store, study_id: int) -> None:
    one, two = claimed(store, study_id, ADA), claimed(store, study_id, BOB)
    assert [one.config_index, two.config_index] == [0, 1]
    assert [one.attempt, one.checkpoint] == [1, None]
    assert one.hyperparameters["n_hidden"] in {200, 400, 600}
    assert claim(store.database, study_id, ADA, 60.0) is None
    assert trials(store, "noise")["worker"].tolist() == ["ada-1", "bob-2"]


def test_an_expired_lease_is_taken_up_and_its_holder_can_write_nothing_more(
    store: Store, study_id: int, fake: ModuleType
) -> None:
    old = claimed(store, study_id, ADA, lease_s=0.05)
    old.write([fake.record(1, 1)], b"after 1")
    old.write([fake.record(1, 2), fake.record(1, 3)])
    time.sleep(0.1)
    new = claimed(store, study_id, BOB)
    assert (new.config_index, new.attempt) == (0, 2)
    assert (new.epoch, new.checkpoint) == (1, b"after 1")
    # Epochs 2 and 3 came after the checkpoint: the new attempt trains them again.
    assert curves(store, "noise")["epoch"].tolist() == [1]
    before = _everything(store)
    for write in (
        old.renew,
        old.release,
        old.restart,
        lambda: old.write([fake.record(1, 2)], b"late"),
        lambda: old.finish(fake.result(1, 3), "old machine"),
        lambda: old.fail("late"),
    ):
        with pytest.raises(LeaseLostError, match="trial 0: attempt 1 has lost its lease"):
            write()
    assert _everything(store) == before
    new.write([fake.record(1, 2)])
    assert curves(store, "noise")["epoch"].tolist() == [1, 2]


def _everything(store: Store) -> list[list[sa.Row[tuple[object, ...]]]]:
    with store.database.read() as connection:
        return [
            list(connection.execute(sa.select(table))) for table in tables.metadata.sorted_tables
        ]


def test_an_expired_lease_that_nobody_took_is_still_its_holders(
    store: Store, study_id: int, fake: ModuleType
) -> None:
    lease = claimed(store, study_id, ADA, lease_s=0.05)
    time.sleep(0.1)
    lease.write([fake.record(1, 1)])
    assert claimed(store, study_id, BOB).config_index == 1


def test_every_write_renews(store: Store, study_id: int, fake: ModuleType) -> None:
    lease = claimed(store, study_id, ADA, lease_s=0.5)
    for epoch in range(1, 5):
        time.sleep(0.2)
        lease.write([fake.record(1, epoch)])
    assert claimed(store, study_id, BOB).config_index == 1


def test_a_released_trial_waits_with_its_checkpoint(
    store: Store, study_id: int, fake: ModuleType
) -> None:
    lease = claimed(store, study_id, ADA)
    lease.write([fake.record(1, 1)], b"first")
    lease.write([fake.record(1, 2)], b"second")
    lease.release()
    assert states(store) == ["waiting", "waiting"]
    assert seconds_to_expiry(store.database, study_id) is None
    again = claimed(store, study_id, BOB)
    assert (again.config_index, again.attempt, again.checkpoint) == (0, 2, b"second")
    again.restart()
    assert curves(store, "noise").empty
    again.release()
    assert claimed(store, study_id, BOB).checkpoint is None


def test_the_result_is_stored_whole(store: Store, study_id: int, fake: ModuleType) -> None:
    lease = claimed(store, study_id, ADA)
    lease.write([fake.record(1, 1)], b"state")
    result = fake.result(1, 1)
    lease.finish(result, "some CPU")
    row = trials(store, "noise").iloc[0]
    assert (row["state"], row["machine"]) == ("finished", "some CPU")
    for key in ("diverged", "n_epochs", "best_epoch", "valid_nll", "valid_nll_masked"):
        assert row[key] == getattr(result, key)
    sequences = test_sequences(store, "noise")
    np.testing.assert_array_equal(sequences["nll_sum"], result.test_nll_sums)
    np.testing.assert_array_equal(sequences["n_steps"], result.test_steps)
    stored = parameters(store, "noise", 0)
    assert stored.keys() == result.parameters.keys()
    for name, array in result.parameters.items():
        assert stored[name].dtype == array.dtype
        np.testing.assert_array_equal(stored[name], array)
    with store.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.checkpoints)) == 0
    with pytest.raises(LeaseLostError):
        lease.finish(result, "some CPU")


def test_a_run_that_never_had_a_finite_nll_is_stored(
    store: Store, study_id: int, fake: ModuleType
) -> None:
    lease = claimed(store, study_id, ADA)
    lease.write([replace(fake.record(1, 1), train_nll=math.nan, valid_nll_counted=math.inf)])
    lease.finish(
        TrialResult(
            diverged=True,
            n_epochs=1,
            best_epoch=0,
            valid_nll=math.inf,
            valid_nll_counted=math.inf,
            valid_nll_masked=math.inf,
            test_nll_sums=np.zeros(0),
            test_steps=np.zeros(0, np.int64),
            parameters={},
        ),
        "some CPU",
    )
    row = trials(store, "noise").iloc[0]
    assert row["diverged"]
    assert row["valid_nll"] == math.inf
    assert math.isnan(row["test_nll_pooled"])
    curve = curves(store, "noise").iloc[0]
    assert math.isnan(curve["train_nll"])
    assert curve["valid_nll_counted"] == math.inf
    assert parameters(store, "noise", 0) == {}


def test_a_failed_trial_is_claimed_again_only_when_requeued(
    store: Store, study_id: int, fake: ModuleType
) -> None:
    lease = claimed(store, study_id, ADA)
    lease.write([fake.record(1, 1)], b"state")
    lease.fail("Traceback: it broke")
    assert states(store) == ["failed", "waiting"]
    assert claimed(store, study_id, BOB).config_index == 1
    assert claim(store.database, study_id, BOB, 60.0) is None
    assert store.requeue_failed(study_id) == 1
    assert store.requeue_failed(study_id) == 0
    again = claimed(store, study_id, BOB)
    assert (again.config_index, again.checkpoint) == (0, b"state")


def test_the_time_to_the_first_expiry(store: Store, study_id: int) -> None:
    assert seconds_to_expiry(store.database, study_id) is None
    claimed(store, study_id, ADA, lease_s=600.0)
    claimed(store, study_id, ADA, lease_s=30.0)
    assert seconds_to_expiry(store.database, study_id) == pytest.approx(30.0, abs=5.0)


def _claim_all(url: str, name: str, claimed_by: Path) -> None:
    store = open_store(url)
    study_id = store.study(name).study_id
    lines = []
    while (lease := claim(store.database, study_id, this_worker(), 600.0)) is not None:
        lines.append(f"{lease.config_index} {lease.attempt}\n")
    (claimed_by / str(os.getpid())).write_text("".join(lines))


def test_no_trial_is_claimed_twice_by_several_processes(
    url: str, store: Store, fake: ModuleType, tmp_path: Path
) -> None:
    create_study(store, fake.definition("many", n_trials=40), fake.DATA)
    store.close()
    claimed_by = tmp_path / "claimed"
    claimed_by.mkdir()
    context = multiprocessing.get_context("fork")
    claimers = [
        context.Process(target=_claim_all, args=(url, "many", claimed_by)) for _ in range(4)
    ]
    for claimer in claimers:
        claimer.start()
    for claimer in claimers:
        claimer.join()
    assert [claimer.exitcode for claimer in claimers] == [0] * 4
    lines = [line for file in claimed_by.iterdir() for line in file.read_text().splitlines()]
    assert sorted(lines, key=lambda line: int(line.split()[0])) == [f"{k} 1" for k in range(40)]


def test_the_keeper_renews_until_its_end(store: Store, study_id: int) -> None:
    lease = claimed(store, study_id, ADA, lease_s=0.3)
    with LeaseKeeper(lease) as keeper:
        time.sleep(0.8)
        assert not keeper.lost
        assert claimed(store, study_id, BOB).config_index == 1
        assert claim(store.database, study_id, BOB, 60.0) is None
    time.sleep(0.4)
    assert claimed(store, study_id, BOB).config_index == 0


def test_the_keeper_notices_that_the_lease_is_lost(store: Store, study_id: int) -> None:
    lease = claimed(store, study_id, ADA, lease_s=0.3)
    time.sleep(0.35)
    claimed(store, study_id, BOB)
    with LeaseKeeper(lease) as keeper:
        until = time.monotonic() + 5.0
        while not keeper.lost and time.monotonic() < until:
            time.sleep(0.01)
        assert keeper.lost


def test_the_keeper_survives_errors_of_the_store() -> None:
    calls: list[int] = []
    renewed_after = threading.Event()

    class Moody(Lease):
        def renew(self) -> None:
            calls.append(1)
            if len(calls) < 4:
                raise StoreError("the store is away")
            renewed_after.set()

    lease = Moody(None, 1, 0, 0, {}, 1, 0, None, 0.03)  # type: ignore[arg-type]
    with LeaseKeeper(lease) as keeper:
        assert renewed_after.wait(5.0)
        assert not keeper.lost
