from __future__ import annotations

import math
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from fdrnn.model import TrialResult
from fdrnn.search import LeaseLostError, Store, StoreError, create_study, open_store
from fdrnn.search.store import tables
from fdrnn.search.work import claiming
from fdrnn.search.work.administration import delete_studies
from fdrnn.search.work.claiming import (
    MOST_STALLS,
    WorkerIdentity,
    claim,
    expire,
    requeue_expired,
    seconds_to_claim,
    this_worker,
)
from fdrnn.search.work.lease import Lease
from postgres import PostgresServer, PostgresUnavailableError

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
    return list(store.study("noise").trials()["state"])


def test_trials_are_claimed_once_and_in_order(store: Store, study_id: int) -> None:
    one, two = claimed(store, study_id, ADA), claimed(store, study_id, BOB)
    assert [one.config_index, two.config_index] == [0, 1]
    assert [one.attempt, one.checkpoint] == [1, None]
    assert one.hyperparameters["n_hidden"] in {200, 400, 600}
    assert claim(store.database, study_id, ADA, 60.0) is None
    assert store.study("noise").trials()["worker"].tolist() == ["ada-1", "bob-2"]


def test_an_expired_lease_is_taken_up_and_its_holder_can_write_nothing_more(
    store: Store, study_id: int, fake: ModuleType
) -> None:
    old = claimed(store, study_id, ADA)
    old.write([fake.record(1, 1)], b"after 1")
    old.write([fake.record(1, 2), fake.record(1, 3)])
    fake.elapse(store, 61.0)
    new = claimed(store, study_id, BOB)
    assert (new.config_index, new.attempt) == (0, 2)
    assert (new.epoch, new.checkpoint) == (1, b"after 1")
    # Epochs 2 and 3 came after the checkpoint: the new attempt trains them again.
    assert store.study("noise").curves()["epoch"].tolist() == [1]
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
    assert store.study("noise").curves()["epoch"].tolist() == [1, 2]


def _everything(store: Store) -> list[list[sa.Row[tuple[object, ...]]]]:
    with store.database.read() as connection:
        return [
            list(connection.execute(sa.select(table))) for table in tables.metadata.sorted_tables
        ]


def test_an_expired_lease_that_nobody_took_is_still_its_holders(
    store: Store, study_id: int, fake: ModuleType
) -> None:
    lease = claimed(store, study_id, ADA)
    fake.elapse(store, 61.0)
    lease.write([fake.record(1, 1)])
    assert claimed(store, study_id, BOB).config_index == 1


def test_a_trial_that_ends_while_its_study_is_extended_is_trained_further(
    store: Store, study_id: int, fake: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = claimed(store, study_id, ADA)
    stored = store.study("noise").definition
    more = replace(stored.training, max_epochs=2 * stored.training.max_epochs)
    extended = threading.Thread(
        target=create_study, args=(store, replace(stored, training=more), fake.DATA)
    )
    finished = fake.result(1, stored.training.max_epochs)

    def is_continued(*arguments: object) -> bool:
        # After the definition was read, and before the commit.
        extended.start()
        extended.join(0.5)
        return False

    monkeypatch.setattr("fdrnn.search.work.lease.is_continued", is_continued)
    lease.finish(finished, "machine")
    extended.join()
    assert states(store) == ["waiting", "waiting"]


@pytest.fixture
def deletion(store: Store, study_id: int) -> Iterator[Callable[[], None]]:
    """Start the study's deletion in a thread, which must succeed, and let it take its locks."""
    errors: list[Exception] = []

    def delete() -> None:
        try:
            delete_studies(store, ["noise"])
        except StoreError as error:
            errors.append(error)

    thread = threading.Thread(target=delete)

    def begin() -> None:
        if thread.ident is None:
            thread.start()
            thread.join(0.5)

    yield begin
    thread.join()
    assert errors == []
    assert store.study_names() == []


def test_a_trial_ends_while_its_study_is_deleted(
    store: Store,
    study_id: int,
    fake: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    deletion: Callable[[], None],
) -> None:
    lease = claimed(store, study_id, ADA)

    def add_machine(*arguments: object) -> None:
        # After the lock on the trial.
        deletion()

    monkeypatch.setattr(Lease, "_add_machine", add_machine)
    lease.finish(fake.result(1, 1), "machine")


def test_a_trial_fails_in_a_claim_while_its_study_is_deleted(
    store: Store, study_id: int, monkeypatch: pytest.MonkeyPatch, deletion: Callable[[], None]
) -> None:
    with store.database.write() as connection:
        connection.execute(tables.trials.update().values(stalls=MOST_STALLS))
    decide = claiming.settle

    def settle(*arguments: Any) -> bool:
        # After the locks on the trials, before that on the study.
        deletion()
        return decide(*arguments)

    monkeypatch.setattr(claiming, "settle", settle)
    assert claim(store.database, study_id, ADA, 60.0) is None


def test_every_write_renews(store: Store, study_id: int, fake: ModuleType) -> None:
    lease = claimed(store, study_id, ADA)
    for epoch in range(1, 5):
        fake.elapse(store, 30.0)
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
    assert seconds_to_claim(store.database, study_id) == 0.0
    again = claimed(store, study_id, BOB)
    assert (again.config_index, again.attempt, again.checkpoint) == (0, 2, b"second")
    again.restart()
    assert store.study("noise").curves().empty
    again.release()
    assert claimed(store, study_id, BOB).checkpoint is None


def test_the_result_is_stored_whole(store: Store, study_id: int, fake: ModuleType) -> None:
    lease = claimed(store, study_id, ADA)
    lease.write([fake.record(1, 1)], b"state")
    result = fake.result(1, 1)
    lease.finish(result, "some CPU")
    row = store.study("noise").trials().iloc[0]
    assert (row["state"], row["machine"]) == ("finished", "some CPU")
    for key in ("diverged", "n_epochs", "best_epoch", "valid_nll", "valid_nll_masked"):
        assert row[key] == getattr(result, key)
    sequences = store.study("noise").test_sequences()
    np.testing.assert_array_equal(sequences["nll_sum"], result.test_nll_sums)
    np.testing.assert_array_equal(sequences["n_steps"], result.test_steps)
    stored = store.study("noise").parameters(0)
    assert stored.keys() == result.parameters.keys()
    for name, array in result.parameters.items():
        assert stored[name].dtype == array.dtype
        np.testing.assert_array_equal(stored[name], array)
    # Its last state stays: more epochs extend the study from it.
    with store.database.read() as connection:
        assert connection.scalar(sa.select(tables.checkpoints.c.state)) == b"state"
    with pytest.raises(LeaseLostError):
        lease.renew()


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
    row = store.study("noise").trials().iloc[0]
    assert row["diverged"]
    assert row["valid_nll"] == math.inf
    assert math.isnan(row["test_nll_pooled"])
    curve = store.study("noise").curves().iloc[0]
    assert math.isnan(curve["train_nll"])
    assert curve["valid_nll_counted"] == math.inf
    assert store.study("noise").parameters(0) == {}


def test_a_failed_trial_is_claimed_again_only_when_requeued(
    store: Store, study_id: int, fake: ModuleType
) -> None:
    lease = claimed(store, study_id, ADA)
    lease.write([fake.record(1, 1)], b"state")
    lease.fail("Traceback: it broke")
    assert states(store) == ["failed", "waiting"]
    assert claimed(store, study_id, BOB).config_index == 1
    assert claim(store.database, study_id, BOB, 60.0) is None
    assert store.study("noise").retry_failed() == 1
    assert store.study("noise").retry_failed() == 0
    again = claimed(store, study_id, BOB)
    assert (again.config_index, again.checkpoint) == (0, b"state")


def test_the_time_to_the_first_expiry(store: Store, study_id: int) -> None:
    assert seconds_to_claim(store.database, study_id) == 0.0
    claimed(store, study_id, ADA, lease_s=600.0)
    claimed(store, study_id, ADA, lease_s=30.0)
    assert seconds_to_claim(store.database, study_id) == pytest.approx(30.0, abs=5.0)


def test_nothing_is_waited_for_only_where_nothing_is_left(
    store: Store, study_id: int, fake: ModuleType
) -> None:
    # A worker whose claim found nothing must not leave while a trial waits: another may have
    # been claiming it at that moment, and have been killed.
    claimed(store, study_id, ADA).finish(fake.result(1, 1), "some CPU")
    assert seconds_to_claim(store.database, study_id) == 0.0
    claimed(store, study_id, ADA).fail("Traceback: it broke")
    assert seconds_to_claim(store.database, study_id) is None


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


def test_a_write_may_be_repeated(store: Store, study_id: int, fake: ModuleType) -> None:
    lease = claimed(store, study_id, ADA)
    for _ in range(2):
        lease.write([fake.record(1, 1), fake.record(1, 2)], b"after 2", "some CPU")
    lease.write([fake.record(1, 2), fake.record(1, 3)])
    assert store.study("noise").curves()["epoch"].tolist() == [1, 2, 3]
    result = fake.result(1, 3)
    lease.finish(result, "some CPU")
    before = _everything(store)
    lease.finish(result, "some CPU")
    assert _everything(store) == before
    released = claimed(store, study_id, ADA)
    released.release()
    released.release()
    failed = claimed(store, study_id, BOB)
    failed.fail("Traceback: it broke")
    failed.fail("Traceback: it broke")
    assert states(store) == ["finished", "failed"]
    for late in (released.release, lambda: released.fail("late"), failed.release):
        with pytest.raises(LeaseLostError):
            late()


def test_attempts_without_a_later_checkpoint_are_limited(store: Store, fake: ModuleType) -> None:
    study_id = create_study(store, fake.definition(n_trials=1), fake.DATA).study_id
    for _ in range(MOST_STALLS - 1):
        claimed(store, study_id, ADA).release("ada-1: MemoryError")
    # Neither a stop that was asked for nor a checkpoint counts.
    claimed(store, study_id, ADA).release()
    lease = claimed(store, study_id, ADA)
    lease.write([fake.record(1, 1)], b"after 1")
    lease.release("ada-1: MemoryError")
    for _ in range(MOST_STALLS):
        again = claimed(store, study_id, ADA)
        again.release("ada-1: MemoryError")
    assert claim(store.database, study_id, ADA, 60.0) is None
    row = store.study("noise").trials().iloc[0]
    assert row["state"] == "failed"
    for part in (f"{MOST_STALLS} attempts in a row", "ada-1: MemoryError", "fdrnn study retry"):
        assert part in row["error"]
    assert store.study("noise").retry_failed() == 1
    again = claimed(store, study_id, BOB)
    assert (again.config_index, again.checkpoint) == (0, b"after 1")


def test_a_silent_worker_counts_as_an_attempt_too(store: Store, fake: ModuleType) -> None:
    study_id = create_study(store, fake.definition(n_trials=1), fake.DATA).study_id
    for _ in range(MOST_STALLS):
        claimed(store, study_id, ADA)
        fake.elapse(store, 61.0)
    assert claim(store.database, study_id, ADA, 60.0) is None
    assert "the last by worker ada-1;" in store.study("noise").trials()["error"].iloc[0]


def test_other_trials_are_trained_before_one_that_kills_its_workers(
    store: Store, study_id: int
) -> None:
    assert claimed(store, study_id, ADA).config_index == 0
    expire(store.database, "ada-1")
    assert claimed(store, study_id, ADA).config_index == 1


def test_a_lease_on_a_deleted_study_writes_into_no_other(store: Store, fake: ModuleType) -> None:
    # SQLite gives the keys of deleted rows to later ones.
    study = create_study(store, fake.definition(n_trials=1), fake.DATA)
    old = claimed(store, study.study_id, ADA)
    fake.elapse(store, 61.0)
    delete_studies(store, [study.name])
    again = create_study(store, replace(fake.definition(n_trials=1), seed=8), fake.DATA)
    new = claimed(store, again.study_id, BOB)
    with pytest.raises(LeaseLostError):
        old.renew()
    with pytest.raises(LeaseLostError):
        old.write([fake.record(1, 1)], b"1")
    with pytest.raises(LeaseLostError):
        old.finish(fake.result(1, 4), "some CPU")
    new.renew()


def test_expired_leases_are_left_alone_by_who_could_not_reach_the_store(
    store: Store, study_id: int
) -> None:
    for _ in range(2):
        claimed(store, study_id, ADA)
    expire(store.database, "ada-1")
    assert claim(store.database, study_id, BOB, 60.0, claim_expired=False) is None
    assert claimed(store, study_id, BOB).config_index == 0


def test_no_lease_expires_while_a_claim_waits_for_the_store(other: Store, fake: ModuleType) -> None:
    study_id = create_study(other, fake.definition(n_trials=1), fake.DATA).study_id
    claimed(other, study_id, ADA)
    expire(other.database, "ada-1")
    with ThreadPoolExecutor() as pool:
        with other.database.write():
            waiting = pool.submit(claim, other.database, study_id, BOB, 2.0)
            time.sleep(2.0)
        assert waiting.result() is None
    begun = time.monotonic()
    while claim(other.database, study_id, BOB, 2.0) is None:
        assert time.monotonic() - begun < 60.0


def test_a_claim_that_finds_nothing_waits_for_no_other(
    postgres: PostgresServer, initialized_database: str, fake: ModuleType
) -> None:
    # All workers without a trial ask again and again while the last trials of a study run.
    name = postgres.create_database(initialized_database)
    with (
        closing(open_store(postgres.url(name))) as store,
        closing(open_store(postgres.url(name, options="-c lock_timeout=10000"))) as asking,
    ):
        study_id = create_study(store, fake.definition(n_trials=1), fake.DATA).study_id
        claimed(store, study_id, ADA)
        with store.database.write() as connection:
            connection.execute(sa.select(tables.studies).with_for_update())
            assert claim(asking.database, study_id, BOB, 60.0) is None
    postgres.drop_database(name)


@pytest.mark.parametrize("text", ["no \udcff file", "a NUL: \0"])
def test_a_text_that_no_database_stores_is_kept_with_escapes(
    store: Store, study_id: int, text: str
) -> None:
    claimed(store, study_id, ADA).fail(text)
    claimed(store, study_id, ADA).release(text)
    kept = text.replace("\udcff", "\\udcff").replace("\0", "\\0")
    progress = store.study("noise").progress()
    assert [trial.error for trial in progress.failed_trials] == [kept]
    assert [trial.trouble for trial in progress.troubled_trials] == [kept]


@pytest.fixture
def mortal() -> Iterator[PostgresServer]:
    """A server that a test may stop."""
    try:
        server = PostgresServer()
    except PostgresUnavailableError as error:
        pytest.skip(str(error))
    with server:
        yield server


def test_after_a_crash_of_the_server_no_lease_expires_within_its_length(
    mortal: PostgresServer, fake: ModuleType
) -> None:
    store = open_store(mortal.url(mortal.create_database()), create=True)
    study_id = create_study(store, fake.definition(n_trials=2), fake.DATA).study_id
    claimed(store, study_id, ADA, lease_s=2.0)
    claimed(store, study_id, ADA)
    mortal.stop("immediate")
    time.sleep(2.5)
    mortal.start()
    begun = time.monotonic()
    assert claim(store.database, study_id, BOB, 60.0) is None
    left_s = seconds_to_claim(store.database, study_id)
    assert left_s is not None
    assert 0.0 < left_s <= 2.0
    while (taken := claim(store.database, study_id, BOB, 60.0)) is None:
        assert time.monotonic() - begun < 60.0
        time.sleep(0.05)
    assert taken.config_index == 0
    assert time.monotonic() - begun > 1.0
    # Known to have ended, nobody is waited for.
    claimed_too = claim(store.database, study_id, BOB, 60.0)
    assert claimed_too is None
    expire(store.database, "ada-1")
    assert claimed(store, study_id, BOB).config_index == 1
    store.close()


def test_the_leases_of_a_dead_worker_expire_at_once(store: Store, study_id: int) -> None:
    claimed(store, study_id, ADA)
    claimed(store, study_id, BOB)
    expire(store.database, "ada-1")
    again = claimed(store, study_id, BOB)
    assert (again.config_index, again.attempt) == (0, 2)


def test_expired_trials_wait_again_without_a_worker(
    store: Store, study_id: int, fake: ModuleType
) -> None:
    old = claimed(store, study_id, ADA)
    claimed(store, study_id, ADA, lease_s=600.0)
    old.write([fake.record(1, 1)], b"after 1")
    fake.elapse(store, 61.0)
    assert requeue_expired(store.database, study_id) == 1
    assert requeue_expired(store.database, study_id) == 0
    assert states(store) == ["waiting", "running"]
    with pytest.raises(LeaseLostError):
        old.write([fake.record(1, 2)])
    again = claimed(store, study_id, BOB)
    assert (again.config_index, again.attempt, again.checkpoint) == (0, 2, b"after 1")


def test_every_kind_of_machine_that_trained_is_noted(
    store: Store, study_id: int, fake: ModuleType
) -> None:
    for epoch, machine in enumerate(["old CPU", "new CPU", "old CPU"], 1):
        lease = claimed(store, study_id, ADA)
        lease.write([fake.record(1, epoch)], b"state", machine)
        lease.release()
    claimed(store, study_id, BOB).finish(fake.result(1, 3), "new CPU")
    assert store.study("noise").trials()["machine"].iloc[0] == "old CPU\nnew CPU"
    # A trial that begins anew owes nothing to those before.
    lease = claimed(store, study_id, ADA)
    lease.write([fake.record(2, 1)], b"damaged", "old CPU")
    lease.restart()
    lease.finish(fake.result(2, 1), "new CPU")
    assert store.study("noise").trials()["machine"].iloc[1] == "new CPU"


def test_a_damaged_row_is_an_error_of_the_store_in_a_write_too(
    store: Store, study_id: int, damage: Callable[[str], None]
) -> None:
    damage("UPDATE fdrnn_trials SET hyperparameters = '[1]'")
    with pytest.raises(StoreError, match=r"a row is damaged: .* a JSON object is expected"):
        claim(store.database, study_id, ADA, 60.0)
