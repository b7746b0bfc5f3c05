from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState

from fdrnn.datasets import DataError
from fdrnn.model import TrainingInterrupted
from fdrnn.search import (
    EventKind,
    ForeignStudyError,
    Store,
    StoreError,
    StoreUnavailableError,
    StudyConflictError,
    Training,
    WorkerEvent,
    WorkerSettings,
    create_study,
    run_worker,
    run_workers,
)
from fdrnn.search.store import tables
from fdrnn.search.store.database import Database
from fdrnn.search.work import worker as worker_module
from fdrnn.search.work.administration import delete_studies
from fdrnn.search.work.claiming import WorkerIdentity, claim
from fdrnn.search.work.lease import Lease
from fdrnn.search.work.worker import MOST_TROUBLES

GONE = WorkerIdentity("gone-1", "gone", 1)


class Events(list[WorkerEvent]):
    def of(self, kind: EventKind) -> list[WorkerEvent]:
        return [event for event in self if event.kind is kind]


@pytest.fixture
def create(store: Store, fake: ModuleType) -> Callable[..., int]:
    def create_noise(**changes: Any) -> int:
        definition = fake.definition(**changes)
        return create_study(store, definition, fake.DATA).study_id

    return create_noise


def with_trainer(fake: ModuleType, trainer: type[Any], **changes: Any) -> WorkerSettings:
    def make(data: Any, definition: Any, hyperparameters: Any, seed: int) -> Any:
        return trainer(seed, definition.training.max_epochs)

    training = Training(load_dataset=fake.load_noise, make_trainer=make)
    settings: WorkerSettings = fake.settings(training=training, **changes)
    return settings


def taken_over(store: Store, study_id: int) -> Lease:
    """Claim the only trial, as if its worker had been asleep for longer than its lease."""
    with store.database.write() as connection:
        connection.execute(sa.update(tables.trials).values(lease_expires=0.0))
    # Again where the claim had to wait for that worker's own writes.
    while (taken := claim(store.database, study_id, GONE, 1.0)) is None:
        pass
    return taken


def assert_undisturbed(store: Store, fake: ModuleType, n_trials: int, n_epochs: int) -> None:
    """Every trial is finished with the numbers that follow from its seed."""
    table, epochs = store.study("noise").trials(), store.study("noise").curves()
    assert table["state"].tolist() == ["finished"] * n_trials
    assert table["n_epochs"].tolist() == [n_epochs] * n_trials
    for row in table.itertuples():
        result = fake.result(row.seed, n_epochs)
        assert row.valid_nll == result.valid_nll
        assert row.best_epoch == result.best_epoch
        assert row.diverged == result.diverged
        assert row.test_nll_pooled == pytest.approx(result.test_nll_pooled, rel=1e-14)
        mean = pytest.approx(result.test_nll_sequence_mean, rel=1e-14)
        assert row.test_nll_sequence_mean == mean
        curve = epochs[epochs["config_index"] == row.config_index].drop(columns="config_index")
        expected = [fake.curve_row(row.seed, epoch) for epoch in range(1, n_epochs + 1)]
        assert curve.to_dict("records") == expected


def test_a_worker_finishes_every_trial_and_makes_up_none(
    store: Store, url: str, fake: ModuleType, create: Callable[..., int]
) -> None:
    create(n_trials=6, n_epochs=4)
    events = Events()
    run_worker(url, "noise", on_event=events.append, settings=fake.settings())
    assert_undisturbed(store, fake, n_trials=6, n_epochs=4)
    machine = store.study("noise").trials()["machine"].unique()
    assert len(machine) == 1
    assert "openblas" in machine[0]
    begin = [EventKind.CLAIMED, EventKind.COMPILED]
    expected = [*begin, *[EventKind.EPOCH] * 4, EventKind.FINISHED] * 6
    assert [event.kind for event in events] == expected
    last = events.of(EventKind.EPOCH)[-1]
    seed = int(store.study("noise").trials()["seed"].iloc[5])
    assert (last.config_index, last.epoch, last.seconds) == (5, 4, 0.25)
    assert last.valid_nll == fake.record(seed, 4).valid_nll_counted
    assert last.best_valid_nll == fake.result(seed, 4).valid_nll
    mirrored = optuna.load_study(study_name="noise", storage=url).trials
    assert [trial.state for trial in mirrored] == [TrialState.COMPLETE] * 6
    assert [t.value for t in mirrored] == store.study("noise").trials()["valid_nll"].tolist()
    # Once more there is nothing to do.
    again = Events()
    run_worker(url, "noise", on_event=again.append, settings=fake.settings())
    assert again == []


def test_epochs_are_written_in_batches_and_checkpoints_at_intervals(
    store: Store, url: str, fake: ModuleType, create: Callable[..., int], monkeypatch: Any
) -> None:
    create(n_trials=1, n_epochs=50)
    writes: list[tuple[int, bool]] = []
    original = Lease.write

    def write(
        lease: Lease, records: Any, checkpoint: bytes | None = None, machine: str | None = None
    ) -> None:
        writes.append((len(records), checkpoint is not None))
        original(lease, records, checkpoint, machine)

    monkeypatch.setattr(Lease, "write", write)
    lazy = fake.settings(write_interval_s=60.0, checkpoint_interval_s=60.0)
    run_worker(url, "noise", settings=lazy)
    # The first epoch of an attempt at once, so that it is progress; the others with the end.
    assert writes == [(1, True), (49, False)]
    assert_undisturbed(store, fake, n_trials=1, n_epochs=50)


def test_a_stopped_worker_releases_its_trial_and_another_goes_on(
    store: Store, url: str, fake: ModuleType, create: Callable[..., int]
) -> None:
    create(n_trials=2, n_epochs=6)
    lazy = fake.settings(write_interval_s=60.0, checkpoint_interval_s=60.0)
    events = Events()

    def enough() -> bool:
        return len(events.of(EventKind.EPOCH)) >= 3

    run_worker(url, "noise", stop=enough, on_event=events.append, settings=lazy)
    assert [event.epoch for event in events.of(EventKind.RELEASED)] == [3]
    progress = store.study("noise").progress()
    assert (progress.waiting, progress.running, progress.finished) == (2, 0, 0)
    assert store.study("noise").curves()["epoch"].tolist() == [1, 2, 3]
    mirrored = optuna.load_study(study_name="noise", storage=url).trials
    assert mirrored[0].state == TrialState.WAITING

    resumed = Events()
    run_worker(url, "noise", on_event=resumed.append, settings=lazy)
    assert resumed[0].kind is EventKind.CLAIMED
    assert (resumed[0].config_index, resumed[0].epoch) == (0, 3)
    assert_undisturbed(store, fake, n_trials=2, n_epochs=6)


def test_an_interrupted_epoch_is_lost_and_nothing_else(
    store: Store, url: str, fake: ModuleType, create: Callable[..., int], monkeypatch: Any
) -> None:
    create(n_trials=1, n_epochs=3)
    events = Events()

    class Slow(fake.FakeTrainer):  # type: ignore[name-defined,misc]
        def run_epoch(self, interrupted: Callable[[], bool]) -> Any:
            if self.epoch == 1 and not stopping:
                stopping.append(True)
                assert interrupted()
                raise TrainingInterrupted
            return super().run_epoch(interrupted)

    stopping: list[bool] = []
    stop = lambda: bool(stopping)  # noqa: E731
    run_worker(url, "noise", stop=stop, on_event=events.append, settings=with_trainer(fake, Slow))
    assert [event.kind for event in events][-1] is EventKind.RELEASED
    assert store.study("noise").curves()["epoch"].tolist() == [1]
    run_worker(url, "noise", settings=with_trainer(fake, Slow))
    assert_undisturbed(store, fake, n_trials=1, n_epochs=3)


def test_a_program_error_is_recorded_with_its_traceback_and_the_worker_goes_on(
    store: Store, url: str, fake: ModuleType, create: Callable[..., int]
) -> None:
    create(n_trials=3, n_epochs=2)
    bad_seed = int(store.study("noise").trials()["seed"].iloc[1])

    class Buggy(fake.FakeTrainer):  # type: ignore[name-defined,misc]
        def run_epoch(self, interrupted: Callable[[], bool]) -> Any:
            if self.seed == bad_seed:
                raise ZeroDivisionError("a bug")
            return super().run_epoch(interrupted)

    events = Events()
    run_worker(url, "noise", on_event=events.append, settings=with_trainer(fake, Buggy))
    assert store.study("noise").trials()["state"].tolist() == ["finished", "failed", "finished"]
    (failed,) = store.study("noise").progress().failed_trials
    assert failed.config_index == 1
    assert failed.error.startswith("Traceback")
    assert failed.error.rstrip().endswith("ZeroDivisionError: a bug")
    (event,) = events.of(EventKind.FAILED)
    assert (event.config_index, event.text) == (1, "ZeroDivisionError: a bug")
    mirrored = optuna.load_study(study_name="noise", storage=url).trials
    assert mirrored[1].state == TrialState.FAIL


def test_trouble_of_a_worker_that_is_told_to_stop_is_the_signal_s(
    store: Store, url: str, fake: ModuleType, create: Callable[..., int]
) -> None:
    create(n_trials=1, n_epochs=2)
    told: list[bool] = []

    class Stopped(fake.FakeTrainer):  # type: ignore[name-defined,misc]
        def run_epoch(self, interrupted: Callable[[], bool]) -> Any:
            told.append(True)
            raise DataError("the compiler was ended")

    events = Events()
    run_worker(
        url,
        "noise",
        on_event=events.append,
        stop=lambda: bool(told),
        settings=with_trainer(fake, Stopped),
    )
    assert events.of(EventKind.RELEASED)
    assert not events.of(EventKind.TROUBLE)
    assert store.study("noise").trials()["state"].tolist() == ["waiting"]
    assert store.study("noise").progress().troubled_trials == ()


@pytest.mark.parametrize("trouble", [DataError("no compiler"), MemoryError(), OSError(28, "full")])
def test_the_machines_trouble_is_no_verdict_on_a_trial(
    store: Store,
    url: str,
    fake: ModuleType,
    create: Callable[..., int],
    trouble: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_module, "_TROUBLE_PAUSE_S", 0.01)
    create(n_trials=2, n_epochs=2)

    class Helpless(fake.FakeTrainer):  # type: ignore[name-defined,misc]
        def run_epoch(self, interrupted: Callable[[], bool]) -> Any:
            raise trouble

    with pytest.raises(type(trouble)):
        run_worker(url, "noise", settings=with_trainer(fake, Helpless))
    assert store.study("noise").trials()["state"].tolist() == ["waiting", "waiting"]
    run_worker(url, "noise", settings=fake.settings())
    assert_undisturbed(store, fake, n_trials=2, n_epochs=2)


def test_a_damaged_checkpoint_restarts_the_trial_and_says_so(
    store: Store, url: str, fake: ModuleType, create: Callable[..., int]
) -> None:
    study_id = create(n_trials=1, n_epochs=3)
    seed = int(store.study("noise").trials()["seed"].iloc[0])
    lease = claim(store.database, study_id, GONE, 60.0)
    assert lease is not None
    lease.write([fake.record(seed, 1)], b"{damaged")
    lease.release()
    events = Events()
    run_worker(url, "noise", on_event=events.append, settings=fake.settings())
    assert [event.text for event in events.of(EventKind.RESTARTED)] == ["the checkpoint is damaged"]
    assert_undisturbed(store, fake, n_trials=1, n_epochs=3)


def test_the_trial_of_a_vanished_worker_is_taken_up_when_its_lease_expires(
    store: Store, url: str, fake: ModuleType, create: Callable[..., int]
) -> None:
    study_id = create(n_trials=2, n_epochs=2)
    assert claim(store.database, study_id, GONE, 60.0) is not None
    events = Events()

    def on_event(event: WorkerEvent) -> None:
        events.append(event)
        if event.kind is EventKind.WAITING:
            fake.elapse(store, 61.0)

    run_worker(url, "noise", on_event=on_event, settings=fake.settings())
    assert len(events.of(EventKind.WAITING)) == 1
    assert [event.config_index for event in events.of(EventKind.FINISHED)] == [1, 0]
    assert_undisturbed(store, fake, n_trials=2, n_epochs=2)


def test_a_worker_whose_trial_was_taken_over_lets_go_of_it(
    store: Store, url: str, fake: ModuleType, create: Callable[..., int]
) -> None:
    study_id = create(n_trials=1, n_epochs=3)
    thief: list[Any] = []

    class Robbed(fake.FakeTrainer):  # type: ignore[name-defined,misc]
        def run_epoch(self, interrupted: Callable[[], bool]) -> Any:
            if not thief:
                thief.append(taken_over(store, study_id))
            return super().run_epoch(interrupted)

    events = Events()
    run_worker(url, "noise", on_event=events.append, settings=with_trainer(fake, Robbed))
    kinds = [event.kind for event in events]
    lost = kinds.index(EventKind.LOST)
    assert set(kinds[2:lost]) <= {EventKind.EPOCH}
    assert kinds[lost + 1 :].count(EventKind.FINISHED) == kinds.count(EventKind.FINISHED) == 1
    assert thief[0].attempt == 2
    assert_undisturbed(store, fake, n_trials=1, n_epochs=3)


def test_other_data_than_the_studys_are_refused(store: Store, url: str, fake: ModuleType) -> None:
    create_study(store, fake.definition(), replace(fake.DATA, fingerprint="0" * 64))
    with pytest.raises(StudyConflictError, match=r"data set 'noise' is not the one .* --data-dir"):
        run_worker(url, "noise", settings=fake.settings())


@pytest.mark.parametrize(
    ("version", "is_refused"), [("999.0", True), ("0.0.1", False), ("not installed", False)]
)
def test_an_fdrnn_older_than_the_study_is_refused_before_a_claim(
    store: Store,
    url: str,
    fake: ModuleType,
    create: Callable[..., int],
    version: str,
    is_refused: bool,
) -> None:
    create(n_trials=2, n_epochs=1)
    with store.database.write() as connection:
        connection.execute(sa.update(tables.studies).values(code_version=version))
    if is_refused:
        with pytest.raises(
            ForeignStudyError, match=r"created by fdrnn 999\.0, and .*; install 999"
        ):
            run_worker(url, "noise", settings=fake.settings())
        assert set(store.study("noise").trials()["state"]) == {"waiting"}
    else:
        run_worker(url, "noise", settings=fake.settings())
        assert set(store.study("noise").trials()["state"]) == {"finished"}


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [("lease_s", 0.0, "positive"), ("wait_s", -1.0, "positive"), ("write_interval_s", -1.0, "0")],
)
def test_settings_out_of_range_are_refused(key: str, value: float, rule: str) -> None:
    with pytest.raises(ValueError, match=f"{key} must be .*{rule}, got {value}"):
        WorkerSettings(**{key: value})  # type: ignore[arg-type]


def test_a_worker_waits_for_a_store_that_is_away_and_no_number_is_lost(
    store: Store,
    url: str,
    fake: ModuleType,
    create: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create(n_trials=3, n_epochs=20)
    monkeypatch.setenv("FAKE_EPOCH_S", "0.02")
    n_writes = itertools.count()
    original = Database.write

    @contextmanager
    def write(database: Database) -> Iterator[Any]:
        # Away for two writes of every five; the first, of the claim, succeeds.
        if next(n_writes) % 5 >= 3:
            raise StoreUnavailableError("the store is away")
        with original(database) as connection:
            yield connection

    monkeypatch.setattr(Database, "write", write)
    events = Events()
    run_worker(url, "noise", on_event=events.append, settings=fake.settings())
    assert_undisturbed(store, fake, n_trials=3, n_epochs=20)
    away, back = events.of(EventKind.OUTAGE), events.of(EventKind.RECONNECTED)
    assert away
    assert len(back) == len(away)
    assert away[0].text == "the store is away"
    assert all(event.seconds > 0.0 for event in back)


def test_a_store_that_cannot_be_written_is_an_error_at_the_start(
    store: Store, url: str, fake: ModuleType, create: Callable[..., int], monkeypatch: Any
) -> None:
    create(n_trials=1)

    @contextmanager
    def write(database: Database) -> Iterator[Any]:
        raise StoreUnavailableError("attempt to write a readonly database")
        yield

    monkeypatch.setattr(Database, "write", write)
    with pytest.raises(StoreError, match="readonly"):
        run_worker(url, "noise", settings=fake.settings())
    with pytest.raises(StoreError, match="readonly"):
        run_workers(url, "noise", 1, settings=fake.settings())


def test_a_worker_stays_while_a_trial_waits_that_it_could_not_claim(
    store: Store, url: str, fake: ModuleType, create: Callable[..., int], monkeypatch: Any
) -> None:
    create(n_trials=2, n_epochs=2)
    n_empty = iter(range(3))

    def passing_over(*arguments: Any, **options: Any) -> Lease | None:
        # As on PostgreSQL, where rows that others are just claiming are passed over.
        return claim(*arguments, **options) if next(n_empty, None) is None else None

    monkeypatch.setattr(worker_module, "claim", passing_over)
    run_worker(url, "noise", settings=fake.settings())
    assert_undisturbed(store, fake, n_trials=2, n_epochs=2)


def test_passing_trouble_of_the_machine_is_tried_again(
    store: Store,
    url: str,
    fake: ModuleType,
    create: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_module, "_TROUBLE_PAUSE_S", 0.01)
    create(n_trials=2, n_epochs=2)
    troubles: list[int] = []

    class Hungry(fake.FakeTrainer):  # type: ignore[name-defined,misc]
        def run_epoch(self, interrupted: Callable[[], bool]) -> Any:
            if len(troubles) < MOST_TROUBLES - 1:
                troubles.append(1)
                raise MemoryError("4 GB asked for\nApply node that caused the error: a page")
            return super().run_epoch(interrupted)

    events = Events()
    run_worker(url, "noise", on_event=events.append, settings=with_trainer(fake, Hungry))
    assert_undisturbed(store, fake, n_trials=2, n_epochs=2)
    told = [event.text for event in events.of(EventKind.TROUBLE)]
    assert told == ["MemoryError: 4 GB asked for"] * (MOST_TROUBLES - 1)


def test_a_worker_that_is_stopped_lets_go_of_a_claim_that_was_taken_over(
    store: Store, url: str, fake: ModuleType, create: Callable[..., int]
) -> None:
    study_id = create(n_trials=1, n_epochs=2)
    thief: list[Lease] = []

    def stop() -> bool:
        if not thief:
            thief.append(taken_over(store, study_id))
        return True

    events = Events()
    run_worker(url, "noise", stop=stop, on_event=events.append, settings=fake.settings())
    assert not events
    assert store.study("noise").trials()["worker"].tolist() == [GONE.name]


def test_a_worker_trains_no_study_that_took_the_place_of_its_own(
    store: Store, url: str, fake: ModuleType
) -> None:
    create_study(store, fake.definition("first", n_trials=2), fake.DATA)
    finished = []

    def on_event(event: WorkerEvent) -> None:
        if event.kind is EventKind.FINISHED and not finished:
            finished.append(event)
            delete_studies(store, ["first"])
            other = replace(fake.DATA, fingerprint="f" * 64)
            create_study(store, fake.definition("second", n_trials=2), other)

    run_worker(url, "first", settings=fake.settings(), on_event=on_event)
    assert store.study("second").progress().waiting == 2
    assert optuna.get_all_study_names(url) == ["second"]


def test_a_worker_stays_where_repeats_are_due(
    store: Store, url: str, fake: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = replace(fake.definition(n_trials=1, n_epochs=1), repeats=2, seed=1)
    study = create_study(store, definition, fake.DATA)
    lease = claim(store.database, study.study_id, GONE, 60.0)
    assert lease
    look = worker_module.seconds_to_claim

    def after_the_last_draw(*arguments: Any) -> float | None:
        # Another worker finishes it between this one's claim and this look.
        if not study.progress().finished:
            lease.write([fake.record(lease.seed, 1)], b"1")
            lease.finish(fake.result(lease.seed, 1), "some CPU")
        return look(*arguments)

    monkeypatch.setattr(worker_module, "seconds_to_claim", after_the_last_draw)
    run_worker(url, "noise", settings=fake.settings())
    assert study.progress().left == 0
