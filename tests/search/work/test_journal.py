from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa

from fdrnn.search import LeaseLostError, Store, StoreError, StoreUnavailableError, create_study
from fdrnn.search.mirror.optuna_tables import Mirror
from fdrnn.search.store import tables
from fdrnn.search.store.database import Database
from fdrnn.search.work import journal as journal_module
from fdrnn.search.work.claiming import WorkerIdentity, claim, expire
from fdrnn.search.work.journal import TrialJournal
from fdrnn.search.work.lease import Lease
from fdrnn.search.work.outage import StoreWatch
from waiting import wait_until

ADA = WorkerIdentity("ada-1", "ada", 1)
BOB = WorkerIdentity("bob-2", "bob", 2)


class Outage:
    """What becomes of every write transaction while it is set."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.after_commit = False
        self.n_refused = 0
        self.n_left = math.inf

    def begin(self, error: Exception | None = None, *, after_commit: bool = False) -> None:
        self.error = error or StoreUnavailableError("the store is away")
        self.after_commit = after_commit

    def end(self) -> None:
        self.error, self.n_left = None, math.inf

    def end_after(self, n_more: int) -> None:
        self.n_left = n_more

    def strike(self, *, committed: bool) -> None:
        if (error := self.error) is not None and committed == self.after_commit:
            self.n_refused += 1
            self.n_left -= 1
            if not self.n_left:
                self.end()
            raise error


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> Outage:
    made = Outage()
    original = Database.write

    @contextmanager
    def write(database: Database) -> Iterator[sa.Connection]:
        made.strike(committed=False)
        with original(database) as connection:
            yield connection
        made.strike(committed=True)

    monkeypatch.setattr(Database, "write", write)
    return made


class Bench:
    """A study of two trials, one of them claimed, and what its journal needs."""

    def __init__(self, store: Store, fake: ModuleType, lease_s: float) -> None:
        self.store = store
        self.fake = fake
        stored = create_study(store, fake.definition(n_trials=2), fake.DATA)
        self.study_id = stored.study_id
        self.mirror = Mirror(stored)
        self.mirror.sync()
        self.stopped = threading.Event()
        self.told: list[str] = []
        self.watch = StoreWatch(
            lease_s, lambda reason: self.told.append("away"), lambda s: self.told.append("back")
        )
        claimed = claim(store.database, self.study_id, ADA, lease_s)
        assert claimed is not None
        self.lease: Lease = claimed
        self.trainer = fake.FakeTrainer(claimed.seed, 10)

    def journal(self, write_s: float = 0.0, checkpoint_s: float = 60.0) -> TrialJournal:
        return TrialJournal(
            self.lease, self.mirror, self.watch, write_s, checkpoint_s, self.stopped.is_set
        )

    def train(self, journal: TrialJournal, n_epochs: int) -> None:
        for _ in range(n_epochs):
            journal.add(self.trainer.run_epoch(journal.__class__))

    def epochs(self) -> list[int]:
        return list(self.store.study("noise").curves()["epoch"])

    def state(self) -> str:
        return str(self.store.study("noise").trials()["state"].iloc[0])

    def checkpoint(self) -> tuple[int, bytes] | None:
        columns = tables.checkpoints.c
        with self.store.database.read() as connection:
            row = connection.execute(sa.select(columns.epoch, columns.state)).one_or_none()
        return None if row is None else (row.epoch, row.state)


@pytest.fixture
def bench(store: Store, fake: ModuleType) -> Bench:
    return Bench(store, fake, lease_s=3.0)


def test_a_lease_is_renewed_without_an_epoch(store: Store, fake: ModuleType) -> None:
    bench = Bench(store, fake, lease_s=0.6)

    def renewed() -> float:
        query = sa.select(tables.trials.c.lease_renewed).where(tables.trials.c.config_index == 0)
        with store.database.read() as connection:
            return float(connection.execute(query).scalar_one())

    with bench.journal():
        for _ in range(3):
            before = renewed()
            wait_until(lambda: renewed() > before)  # noqa: B023 - called at once
        other = claim(store.database, bench.study_id, BOB, 60.0, claim_expired=False)
        assert other is not None
        assert other.config_index == 1
    fake.elapse(store, 1.0)
    again = claim(store.database, bench.study_id, BOB, 60.0)
    assert again is not None
    assert again.config_index == 0


def test_epochs_are_collected_and_the_end_is_written_with_them(bench: Bench) -> None:
    with bench.journal(write_s=60.0) as journal:
        journal.attach(bench.trainer)
        bench.train(journal, 10)
        assert journal.finish(bench.trainer.result())
        assert journal.interrupted
    assert bench.epochs() == list(range(1, 11))
    assert bench.state() == "finished"
    assert "openblas" in bench.store.study("noise").trials()["machine"].iloc[0]


def test_checkpoints_come_at_intervals_and_at_the_release(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1000.0
    monkeypatch.setattr(journal_module, "_now_s", lambda: now_s)
    with bench.journal(write_s=60.0, checkpoint_s=50.0) as journal:
        journal.attach(bench.trainer)
        bench.train(journal, 1)
        after_1 = bench.trainer.state()
        bench.train(journal, 1)
        wait_until(lambda: bench.checkpoint() == (1, after_1))
        now_s += 50.0
        bench.train(journal, 1)
        after_3 = bench.trainer.state()
        bench.train(journal, 2)
        wait_until(lambda: bench.checkpoint() == (3, after_3))
        assert bench.epochs()[:3] == [1, 2, 3]
        assert journal.release()
    assert bench.state() == "waiting"
    assert bench.checkpoint() == (5, bench.trainer.state())
    assert bench.epochs() == [1, 2, 3, 4, 5]


def test_training_goes_on_through_an_outage_and_nothing_is_written_twice(
    bench: Bench, outage: Outage
) -> None:
    with bench.journal(checkpoint_s=0.0) as journal:
        journal.attach(bench.trainer)
        bench.train(journal, 2)
        wait_until(lambda: bench.epochs() == [1, 2])
        outage.begin()
        # It returns, though nothing can be written.
        bench.train(journal, 5)
        wait_until(lambda: outage.n_refused >= 3)
        assert bench.epochs() == [1, 2]
        assert not journal.interrupted
        outage.end()
        wait_until(lambda: bench.checkpoint() == (7, bench.trainer.state()))
        assert bench.epochs() == [1, 2, 3, 4, 5, 6, 7]
        wait_until(lambda: bench.told == ["away", "back"])
        bench.train(journal, 3)
        assert journal.finish(bench.trainer.result())
    assert bench.epochs() == list(range(1, 11))
    assert bench.told == ["away", "back"]


@pytest.mark.parametrize("ending", ["finish", "release", "trouble", "fail"])
def test_commits_that_nobody_heard_of_change_nothing_when_repeated(
    bench: Bench, outage: Outage, ending: str
) -> None:
    with bench.journal(checkpoint_s=0.0) as journal:
        journal.attach(bench.trainer)
        outage.begin(after_commit=True)
        bench.train(journal, 4)
        wait_until(lambda: outage.n_refused >= 2)
        outage.end()
        wait_until(lambda: bench.epochs() == [1, 2, 3, 4])
        outage.begin(after_commit=True)
        outage.end_after(3)
        end = {
            "finish": lambda: journal.finish(bench.trainer.result()),
            "release": journal.release,
            "trouble": lambda: journal.release("full disk"),
            "fail": lambda: journal.fail("Traceback: it broke"),
        }[ending]
        assert end()
    expected = {"finish": "finished", "release": "waiting", "trouble": "waiting"}
    assert bench.state() == expected.get(ending, "failed")
    assert bench.epochs() == [1, 2, 3, 4]


def test_the_end_waits_for_the_store(bench: Bench, outage: Outage) -> None:
    with bench.journal() as journal:
        journal.attach(bench.trainer)
        outage.begin()
        bench.train(journal, 10)
        outage.end_after(3)
        assert journal.finish(bench.trainer.result())
        assert outage.error is None
    assert bench.epochs() == list(range(1, 11))


def test_a_stop_does_not_wait_for_a_store_that_is_away(
    bench: Bench, outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "STOP_PATIENCE_S", 0.5)
    with bench.journal() as journal:
        journal.attach(bench.trainer)
        outage.begin()
        bench.train(journal, 3)
        bench.stopped.set()
        # It returns, though the store does not.
        assert not journal.release()
    assert bench.state() == "running"


def test_a_stop_puts_the_trial_back_though_training_does_not_yield(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "STOP_PATIENCE_S", 0.3)
    with bench.journal(write_s=60.0) as journal:
        journal.attach(bench.trainer)
        bench.train(journal, 3)
        bench.stopped.set()
        wait_until(lambda: bench.state() == "waiting")
        assert bench.checkpoint() == (3, bench.trainer.state())
        assert journal.release()
        # It was in the test set's scoring, say, and comes back too late.
        assert not journal.finish(bench.trainer.result())
    assert bench.state() == "waiting"


def test_a_stop_during_compilation_puts_the_trial_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "STOP_PATIENCE_S", 0.3)
    with bench.journal() as journal:
        bench.stopped.set()
        wait_until(lambda: journal.interrupted)
    assert bench.state() == "waiting"
    assert bench.checkpoint() is None


def test_a_lost_lease_is_noticed_and_nothing_more_is_written(bench: Bench) -> None:
    with bench.journal() as journal:
        journal.attach(bench.trainer)
        bench.train(journal, 1)
        wait_until(lambda: bench.checkpoint() is not None)
        expire(bench.store.database, "ada-1")
        time.sleep(0.01)
        taken = claim(bench.store.database, bench.study_id, BOB, 60.0)
        assert taken is not None
        assert taken.attempt == 2
        bench.train(journal, 1)
        wait_until(lambda: journal.interrupted)
        with pytest.raises(LeaseLostError):
            journal.finish(bench.trainer.result())
    assert bench.epochs() == [1]
    assert bench.store.study("noise").trials()["worker"].iloc[0] == "bob-2"


def test_an_error_that_cannot_pass_ends_training(bench: Bench, outage: Outage) -> None:
    with bench.journal() as journal:
        journal.attach(bench.trainer)
        outage.begin(StoreError("no such table: fdrnn_epochs"))
        bench.train(journal, 1)
        wait_until(lambda: journal.interrupted)
        with pytest.raises(StoreError, match="no such table"):
            journal.release()


def test_a_restarted_trial_is_checkpointed_from_its_new_beginning(
    bench: Bench, fake: ModuleType
) -> None:
    bench.lease.write([fake.record(1, epoch) for epoch in range(1, 6)], b"damaged")
    bench.lease.release()
    again: Any = claim(bench.store.database, bench.study_id, BOB, 3.0)
    assert again.epoch == 5
    again.restart()
    bench.lease = again
    with bench.journal(checkpoint_s=60.0) as journal:
        journal.attach(bench.trainer)
        bench.train(journal, 2)
        assert journal.release()
    assert bench.checkpoint() == (2, bench.trainer.state())
    assert bench.epochs() == [1, 2]
