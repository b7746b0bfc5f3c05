from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from fdrnn.datasets.errors import UnknownNameError
from fdrnn.search import Store, TimeLeft, create_study
from fdrnn.search.work.claiming import WorkerIdentity, claim, expire
from fdrnn.search.work.lease import Lease


def test_an_unknown_study(store: Store) -> None:
    with pytest.raises(UnknownNameError, match="unknown study 'noise'"):
        store.study("noise").progress()


def test_every_state_is_counted(store: Store, fake: ModuleType) -> None:
    study_id = create_study(store, fake.definition(n_trials=7), fake.DATA).study_id
    # Another study's trials are not counted.
    create_study(store, fake.definition("other", n_trials=2), fake.DATA)
    worker = WorkerIdentity("ada-1", "ada", 1)
    one, two, three, four, five = (claim(store.database, study_id, worker, 60.0) for _ in range(5))
    assert one and two and three and four and five
    one.finish(replace(fake.result(1, 3), diverged=True), "some CPU")
    two.finish(replace(fake.result(2, 3), diverged=False), "some CPU")
    three.fail("Traceback: it broke")
    records = [replace(fake.record(4, epoch), valid_nll_counted=np.nan) for epoch in (1, 2)]
    records += [replace(fake.record(4, 3), valid_nll_counted=8.5)]
    records += [replace(fake.record(4, 4), valid_nll_counted=9.0)]
    four.write(records)
    progress = store.study("noise").progress()
    assert progress.n_trials == 7
    counts = [getattr(progress, s) for s in ("waiting", "running", "finished", "failed")]
    assert counts == [2, 2, 2, 1]
    assert progress.diverged == 1
    failed = [(trial.config_index, trial.error) for trial in progress.failed_trials]
    assert failed == [(2, "Traceback: it broke")]
    training, begun = progress.running_trials
    assert (training.config_index, training.worker, training.host) == (3, "ada-1", "ada")
    assert (training.epoch, training.best_valid_nll) == (4, 8.5)
    assert (begun.config_index, begun.epoch, begun.best_valid_nll) == (4, 0, None)
    assert 0.0 <= training.lease_age_s < 10.0
    assert 50.0 < training.lease_left_s <= 60.0
    assert not progress.complete


def test_trouble_is_told_of_trials_in_every_state(store: Store, fake: ModuleType) -> None:
    study_id = create_study(store, fake.definition(n_trials=3), fake.DATA).study_id
    worker = WorkerIdentity("ada-1", "ada", 1)

    def take() -> Lease:
        lease = claim(store.database, study_id, worker, 60.0)
        assert lease is not None
        return lease

    take().release("out of memory")
    take().release("disk full")
    # No trouble: a checkpoint was written.
    take().write([fake.record(3, 1)], b"state")
    first, second = take(), take()
    assert (first.config_index, second.config_index) == (0, 1)
    first.finish(fake.result(1, 3), "some CPU")
    expire(store.database, worker.name)
    assert [take().config_index, take().config_index] == [2, 1]
    troubled = store.study("noise").progress().troubled_trials
    assert [(one.config_index, one.state, one.stalls, one.trouble) for one in troubled] == [
        (0, "finished", 0, "out of memory"),
        (1, "running", 2, "disk full"),
    ]


def test_a_failed_trial_is_told_by_its_error_alone(store: Store, fake: ModuleType) -> None:
    study_id = create_study(store, fake.definition(n_trials=1), fake.DATA).study_id
    lease = claim(store.database, study_id, WorkerIdentity("ada-1", "ada", 1), 60.0)
    assert lease is not None
    lease.fail("ValueError: no")
    progress = store.study("noise").progress()
    assert [one.error for one in progress.failed_trials] == ["ValueError: no"]
    assert progress.troubled_trials == ()


def test_the_time_left(store: Store, fake: ModuleType) -> None:
    study_id = create_study(store, fake.definition(n_trials=3), fake.DATA).study_id
    assert store.study("noise").progress().time_left is None
    worker = WorkerIdentity("ada-1", "ada", 1)
    one, two = (claim(store.database, study_id, worker, 60.0) for _ in range(2))
    assert one and two
    one.write([fake.record(1, epoch) for epoch in (1, 2, 3)])
    one.finish(fake.result(1, 3), "some CPU")
    two.write([replace(fake.record(2, 1), seconds=2.0)])
    # Two epochs of 2 s, and then as long as the first: three of 0.25 s.
    assert store.study("noise").progress().time_left == TimeLeft(
        seconds=4.75, worker_seconds=4.75, n_workers=1, n_finished=1
    )
    two.finish(fake.result(2, 1), "some CPU")
    three = claim(store.database, study_id, worker, 60.0)
    assert three
    three.finish(fake.result(3, 1), "some CPU")
    progress = store.study("noise").progress()
    assert progress.complete
    assert progress.time_left is None


def test_repeats_are_planned_while_a_trial_can_be_selected(store: Store, fake: ModuleType) -> None:
    definition = replace(fake.definition(n_trials=1), repeats=3)
    study_id = create_study(store, definition, fake.DATA).study_id
    worker = WorkerIdentity("ada-1", "ada", 1)

    def repeats() -> tuple[int, int, int]:
        progress = store.study("noise").progress()
        return progress.repeats_planned, progress.repeats_left, progress.repeats_failed

    assert repeats() == (3, 3, 0)
    draw = claim(store.database, study_id, worker, 60.0)
    assert draw
    draw.write([fake.record(1, 1)])
    draw.finish(fake.result(1, 1), "some CPU")
    one, two, three = (claim(store.database, study_id, worker, 60.0) for _ in range(3))
    assert one and two and three
    one.finish(fake.result(2, 1), "some CPU")
    two.fail("Traceback: it broke")
    assert repeats() == (3, 1, 1)


def test_a_failed_repeat_of_an_earlier_selection_is_not_counted(
    store: Store, fake: ModuleType
) -> None:
    worker = WorkerIdentity("ada-1", "ada", 1)

    def train(valid_nll: float) -> int:
        trial = claim(store.database, study.study_id, worker, 60.0)
        assert trial
        trial.write([fake.record(1, 1)])
        trial.finish(replace(fake.result(5, 1), valid_nll=valid_nll), "some CPU")
        return trial.config_index

    definition = replace(fake.definition(n_trials=1), repeats=2)
    study = create_study(store, definition, fake.DATA)
    assert [train(5.0), train(5.0)] == [0, -1]
    failed = claim(store.database, study.study_id, worker, 60.0)
    assert failed
    failed.write([fake.record(1, 1)])
    failed.fail("Traceback: it broke")
    assert study.progress().n_failed == 1
    study = create_study(store, replace(definition, n_trials=2), fake.DATA)
    assert study.progress().repeats_failed == 1
    assert [train(4.0), train(4.0), train(4.0)] == [1, -3, -4]
    progress = study.progress()
    assert (progress.repeats_planned, progress.repeats_left, progress.n_failed) == (2, 0, 0)
    assert [trial.config_index for trial in progress.failed_trials] == [-2]
    assert progress.complete
    assert progress.worker_seconds == 6 * 0.25
    repeats = study.snapshot().repeats
    of = dict(zip(repeats["config_index"], repeats["repeat_of"], strict=True))
    assert of == {-4: 1, -3: 1, -2: 0, -1: 0}
    assert set(study.repeats()["config_index"]) == {-4, -3}


def test_no_repeat_is_left_where_nothing_can_be_selected(store: Store, fake: ModuleType) -> None:
    definition = replace(fake.definition(n_trials=1), repeats=3)
    study_id = create_study(store, definition, fake.DATA).study_id
    trial = claim(store.database, study_id, WorkerIdentity("ada-1", "ada", 1), 60.0)
    assert trial
    trial.finish(replace(fake.result(1, 1), valid_nll=np.inf), "some CPU")
    progress = store.study("noise").progress()
    assert (progress.repeats_planned, progress.repeats_left) == (0, 0)
    assert progress.complete
