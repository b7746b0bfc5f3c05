"""Halving, repeats and extensions of studies of fake trials, whose curves are known beforehand."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import optuna
import pandas as pd
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState as OptunaState

from fdrnn.model import TrainingSettings
from fdrnn.search import (
    EventKind,
    PortableStudy,
    Store,
    StudyConflictError,
    StudyDefinition,
    WorkerEvent,
    create_study,
    draw,
    open_store,
    run_worker,
)
from fdrnn.search.design.halving import Halving, lowest, replay
from fdrnn.search.design.sampler import repeat_seed
from fdrnn.search.store import tables
from fdrnn.search.store.tables import TrialState
from fdrnn.search.work.administration import delete_studies
from fdrnn.search.work.claiming import WorkerIdentity, claim, expire

Start = Callable[..., subprocess.Popen[str]]

ADA = WorkerIdentity("ada-1", "ada", 1)
N_EPOCHS = 8
HALVING = Halving((1, 2, 4), keep=0.5)


@pytest.fixture
def definition(fake: ModuleType) -> StudyDefinition:
    plain: StudyDefinition = fake.definition(n_trials=9, n_epochs=N_EPOCHS)
    return replace(plain, halving=HALVING)


def curve(fake: ModuleType, seed: int, n_epochs: int) -> list[float]:
    return [fake.record(seed, epoch).valid_nll_counted for epoch in range(1, n_epochs + 1)]


def assert_as_replayed(
    store: Store, fake: ModuleType, halving: Halving = HALVING, n_epochs: int = N_EPOCHS
) -> None:
    trials = store.study("noise").trials()
    curves = {row.config_index: curve(fake, row.seed, n_epochs) for row in trials.itertuples()}
    expected = replay(halving, curves)
    assert dict(zip(trials["config_index"], trials["n_epochs"], strict=True)) == expected.n_epochs
    for row in trials.itertuples():
        continued = row.config_index in expected.continued
        assert row.state == (TrialState.FINISHED if continued else TrialState.PRUNED)
        trained = curves[row.config_index][: row.n_epochs]
        assert row.valid_nll == lowest(trained)
        assert row.best_epoch == 1 + trained.index(row.valid_nll)
        assert pd.isna(row.test_nll_pooled) == (not continued)


def test_bad_draws_are_pruned_as_a_replay_says(
    store: Store, url: str, fake: ModuleType, definition: StudyDefinition
) -> None:
    create_study(store, definition, fake.DATA)
    run_worker(url, "noise", settings=fake.settings())
    assert_as_replayed(store, fake)
    progress = store.study("noise").progress()
    assert progress.complete
    assert (progress.finished, progress.pruned, progress.paused) == (2, 7, 0)
    assert store.study("noise").selected in {
        row.config_index
        for row in store.study("noise").trials().itertuples()
        if row.state == TrialState.FINISHED
    }


@pytest.mark.parametrize("n_workers", [2, 8])
def test_any_number_of_workers_decides_alike_through_kills(
    store: Store,
    url: str,
    fake: ModuleType,
    definition: StudyDefinition,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    n_workers: int,
) -> None:
    monkeypatch.setenv(fake.EPOCH_S, "0.05")
    create_study(store, definition, fake.DATA)
    pool = start("run_script.py", url, n_workers, 1.0)
    assert pool.stdout is not None
    generator = random.Random(n_workers)
    left_to_kill = 2
    for line in pool.stdout:
        worker, kind, *_ = line.split("|")
        if kind == "paused" and left_to_kill and generator.random() < 0.3:
            os.kill(int(worker), signal.SIGKILL)
            left_to_kill -= 1
    assert pool.wait(timeout=60) == 0
    assert_as_replayed(store, fake)


def test_a_rung_waits_for_the_lease_of_a_dead_worker(
    store: Store, url: str, fake: ModuleType, definition: StudyDefinition
) -> None:
    study = create_study(store, replace(definition, n_trials=3), fake.DATA)
    dead = WorkerIdentity("dead", "host", 1)
    assert claim(store.database, study.study_id, dead, 600.0) is not None
    waiting: list[EventKind] = []

    def on_event(event: WorkerEvent) -> None:
        if event.kind is EventKind.WAITING:
            waiting.append(event.kind)

    def stop() -> bool:
        # Asked at least once for each look at the store.
        waiting.extend(waiting[:1])
        return len(waiting) > 20

    run_worker(url, "noise", settings=fake.settings(wait_s=0.05), stop=stop, on_event=on_event)
    progress = study.progress()
    assert (progress.paused, progress.running, progress.pruned) == (2, 1, 0)
    expire(store.database, "dead")
    run_worker(url, "noise", settings=fake.settings())
    assert_as_replayed(store, fake)


def test_trials_that_extend_a_study_are_compared_with_each_other(
    store: Store, url: str, fake: ModuleType, definition: StudyDefinition
) -> None:
    create_study(store, definition, fake.DATA)
    run_worker(url, "noise", settings=fake.settings())
    before = store.study("noise").trials()
    create_study(store, replace(definition, n_trials=15), fake.DATA)
    run_worker(url, "noise", settings=fake.settings())
    after = store.study("noise").trials()
    pd.testing.assert_frame_equal(after[:9], before)
    added = after[9:]
    curves = {row.config_index: curve(fake, row.seed, N_EPOCHS) for row in added.itertuples()}
    expected = replay(HALVING, curves)
    assert dict(zip(added["config_index"], added["n_epochs"], strict=True)) == expected.n_epochs


def test_more_epochs_extend_trials_that_ended_at_their_limit(
    store: Store, url: str, fake: ModuleType
) -> None:
    short = fake.definition(n_trials=3, n_epochs=3)
    create_study(store, short, fake.DATA)
    run_worker(url, "noise", settings=fake.settings())
    longer = replace(short, training=TrainingSettings(max_epochs=5))
    study = create_study(store, longer, fake.DATA)
    diverged = study.trials()["diverged"]
    assert study.progress().waiting == (~diverged).sum() > 0
    claimed: list[int] = []
    run_worker(
        url,
        "noise",
        settings=fake.settings(),
        on_event=lambda event: claimed.append(event.epoch) if event.kind == "claimed" else None,
    )
    assert claimed == [3] * (~diverged).sum()
    for row in study.trials().itertuples():
        expected = fake.result(row.seed, 3 if row.diverged else 5)
        assert (row.n_epochs, row.valid_nll) == (expected.n_epochs, expected.valid_nll)
    assert study.definition.training.max_epochs == 5
    # A smaller number is another study; the same one changes nothing.
    assert create_study(store, longer, fake.DATA).progress().complete


def test_dropped_last_states_are_trained_anew(store: Store, url: str, fake: ModuleType) -> None:
    short = fake.definition(n_trials=3, n_epochs=3)
    study = create_study(store, short, fake.DATA)
    run_worker(url, "noise", settings=fake.settings())
    n_kept = (~study.trials()["diverged"]).sum()
    assert study.last_states()[0] == n_kept > 0
    assert study.last_states()[1] > 0
    study.drop_last_states()
    assert study.last_states() == (0, 0)
    create_study(store, replace(short, training=TrainingSettings(max_epochs=5)), fake.DATA)
    run_worker(url, "noise", settings=fake.settings())
    for row in study.trials().itertuples():
        assert row.n_epochs == (3 if row.diverged else 5)
        expected = fake.result(row.seed, row.n_epochs)
        assert row.valid_nll == expected.valid_nll


def test_a_wider_halving_reconsiders_the_pruned(
    store: Store, url: str, fake: ModuleType, definition: StudyDefinition
) -> None:
    create_study(store, definition, fake.DATA)
    run_worker(url, "noise", settings=fake.settings())
    continued = set(store.study("noise").trials().query("state == 'finished'")["config_index"])
    wide = replace(definition, halving=Halving(HALVING.rungs, keep=0.8))
    create_study(store, wide, fake.DATA)
    run_worker(url, "noise", settings=fake.settings())
    trials = store.study("noise").trials()
    finished = set(trials.query("state == 'finished'")["config_index"])
    curves = {row.config_index: curve(fake, row.seed, N_EPOCHS) for row in trials.itertuples()}
    assert wide.halving is not None
    assert finished == continued | set(replay(wide.halving, curves).continued)
    create_study(store, replace(definition, halving=None), fake.DATA)
    run_worker(url, "noise", settings=fake.settings())
    assert set(store.study("noise").trials()["n_epochs"]) == {N_EPOCHS}
    assert store.study("noise").progress().finished == 9


def test_repeats_train_the_selected_configuration_with_further_seeds(
    store: Store, url: str, fake: ModuleType, definition: StudyDefinition
) -> None:
    repeated = replace(definition, repeats=3)
    study = create_study(store, repeated, fake.DATA)
    assert study.progress().repeats_left == 3
    claimed: list[int | None] = []
    run_worker(
        url,
        "noise",
        settings=fake.settings(),
        on_event=lambda event: (
            claimed.append(event.config_index) if event.kind == "claimed" else None
        ),
    )
    assert claimed[-3:] == [-1, -2, -3]
    assert_as_replayed(store, fake)
    selected = study.selected
    assert selected is not None
    repeats = study.repeats().sort_values("config_index", ascending=False)
    assert repeats["config_index"].tolist() == [-1, -2, -3]
    assert repeats["seed"].tolist() == [repeat_seed(7, selected, r) for r in (1, 2, 3)]
    trials = study.trials()
    names = list(definition.space.names)
    for _, repeat in repeats.iterrows():
        pd.testing.assert_series_equal(
            repeat[names], trials.loc[selected, names], check_names=False
        )
        assert repeat["valid_nll"] == fake.result(repeat["seed"], N_EPOCHS).valid_nll
    assert len(study.curves()["config_index"].unique()) == 9
    progress = study.progress()
    assert (progress.repeats_planned, progress.repeats_left, progress.n_trials) == (3, 0, 9)
    create_study(store, replace(definition, repeats=4), fake.DATA)
    run_worker(url, "noise", settings=fake.settings())
    assert len(study.repeats()) == 4


def test_a_failed_repeat_is_counted(
    store: Store, url: str, fake: ModuleType, definition: StudyDefinition
) -> None:
    study = create_study(store, replace(definition, repeats=1), fake.DATA)
    assert study.repeats().empty
    # The draws end, and the repeat is claimed and released.
    run_worker(url, "noise", settings=fake.settings(), stop=lambda: len(study.repeats()) > 0)
    lease = claim(store.database, study.study_id, ADA, 60.0)
    assert lease is not None
    assert lease.config_index == -1
    lease.fail("Traceback: it broke")
    progress = study.progress()
    assert (progress.failed, progress.repeats_failed, progress.complete) == (0, 1, True)


def test_repeats_are_not_halved_in_a_study_with_further_rungs(
    store: Store, url: str, fake: ModuleType, definition: StudyDefinition
) -> None:
    short = replace(
        definition, halving=Halving((1, 2), 0.5), training=TrainingSettings(max_epochs=3), repeats=2
    )
    create_study(store, short, fake.DATA)
    run_worker(url, "noise", settings=fake.settings())
    assert len(store.study("noise").repeats()) == 2
    further = replace(short, halving=HALVING, training=TrainingSettings(max_epochs=N_EPOCHS))
    study = create_study(store, further, fake.DATA)

    def paused() -> bool:
        return TrialState.PAUSED in set(study.repeats()["state"])

    run_worker(url, "noise", settings=fake.settings(), stop=paused)
    assert study.progress().complete
    assert set(study.repeats()["state"]) == {TrialState.FINISHED}


def test_a_rung_waits_for_trials_that_train_its_epochs_again(
    store: Store, url: str, fake: ModuleType, definition: StudyDefinition
) -> None:
    create_study(store, definition, fake.DATA)
    run_worker(url, "noise", settings=fake.settings())
    study = store.study("noise")
    study.drop_last_states()
    wide = Halving(HALVING.rungs, keep=0.6)
    longer = replace(definition, halving=wide, training=TrainingSettings(max_epochs=N_EPOCHS + 2))
    create_study(store, longer, fake.DATA)
    reopened = [
        claim(store.database, study.study_id, ADA, 60.0) for _ in range(study.progress().waiting)
    ]
    # Their epochs are deleted; what they will have at the first rung is in no curve.
    assert claim(store.database, study.study_id, ADA, 60.0) is None
    for lease in reopened:
        assert lease is not None
        lease.release()
    run_worker(url, "noise", settings=fake.settings())
    trials = study.trials()
    curves = {row.config_index: curve(fake, row.seed, N_EPOCHS + 2) for row in trials.itertuples()}
    continued = set(replay(wide, curves).continued)
    assert continued <= set(trials.query("state == 'finished'")["config_index"])


def test_a_worker_that_waits_ends_where_its_study_is_deleted(
    store: Store, fake: ModuleType, definition: StudyDefinition
) -> None:
    study = create_study(store, definition, fake.DATA)
    delete_studies(store, [study.name])
    assert claim(store.database, study.study_id, ADA, 60.0) is None


def test_a_study_with_halving_and_repeats_travels(
    store: Store, other: Store, url: str, fake: ModuleType, definition: StudyDefinition
) -> None:
    create_study(store, replace(definition, repeats=2), fake.DATA)
    n_paused = 0

    def stop() -> bool:
        return n_paused >= 4

    def count(event: object) -> None:
        nonlocal n_paused
        n_paused += event.kind == "paused"  # type: ignore[attr-defined]

    run_worker(url, "noise", settings=fake.settings(), stop=stop, on_event=count)
    portable = PortableStudy.from_study(store.study("noise"))
    assert portable.counts[TrialState.PAUSED] >= 4
    portable.insert(other)
    run_worker(other.database.url, "noise", settings=fake.settings())
    assert_as_replayed(other, fake)
    assert len(other.study("noise").repeats()) == 2
    done = PortableStudy.from_study(other.study("noise"))
    done.insert(store, "copy")
    assert PortableStudy.from_study(store.study("copy")).rows == done.rows


def test_a_failed_trial_that_is_retried_is_ranked_among_all(
    store: Store, url: str, fake: ModuleType, definition: StudyDefinition
) -> None:
    study = create_study(store, definition, fake.DATA)
    lease = claim(store.database, study.study_id, WorkerIdentity("a", "b", 1), 60.0)
    assert lease is not None
    lease.fail("Traceback")
    run_worker(url, "noise", settings=fake.settings())
    assert study.progress().failed == 1
    assert study.retry_failed() == 1
    run_worker(url, "noise", settings=fake.settings())
    trials = study.trials()
    assert study.progress().complete
    curves = {row.config_index: curve(fake, row.seed, N_EPOCHS) for row in trials.itertuples()}
    continued = replay(HALVING, curves).continued
    finished = set(trials.query("state == 'finished'")["config_index"])
    assert finished >= set(continued)
    assert (0 in finished) == (0 in continued)


def test_repeats_of_a_study_of_failed_trials_are_refused(
    store: Store, fake: ModuleType, definition: StudyDefinition
) -> None:
    one = replace(definition, n_trials=1)
    study = create_study(store, one, fake.DATA)
    lease = claim(store.database, study.study_id, WorkerIdentity("a", "b", 1), 60.0)
    assert lease is not None
    lease.fail("Traceback")
    with pytest.raises(
        StudyConflictError, match=r"of 1 trials 1 failed and .* `fdrnn study retry noise` retries"
    ):
        create_study(store, replace(one, repeats=2), fake.DATA)
    assert store.study("noise").definition.repeats == 0


def test_a_definition_keeps_its_halving_and_repeats(
    store: Store, fake: ModuleType, definition: StudyDefinition
) -> None:
    wanted = replace(definition, repeats=2)
    create_study(store, wanted, fake.DATA)
    reopened = open_store(store.database.url)
    assert reopened.study("noise").definition == wanted
    reopened.close()


def test_optuna_shows_the_pruned_as_pruned_and_no_repeats(
    store: Store, url: str, fake: ModuleType, definition: StudyDefinition
) -> None:
    create_study(store, replace(definition, repeats=1), fake.DATA)
    run_worker(url, "noise", settings=fake.settings())
    create_study(store, replace(definition, repeats=1), fake.DATA)
    shown = optuna.load_study(study_name="noise", storage=url).trials
    states = Counter(trial.state for trial in shown)
    assert states == {OptunaState.PRUNED: 7, OptunaState.COMPLETE: 2}
    trials = store.study("noise").trials()
    for trial in shown:
        row = trials.loc[trial.user_attrs["config_index"]]
        assert trial.user_attrs["n_epochs"] == row["n_epochs"]
        assert min(trial.intermediate_values.values()) >= row["valid_nll"]


def test_a_wider_halving_after_a_retry(store: Store, url: str, fake: ModuleType) -> None:
    definition = replace(fake.definition(n_trials=4), halving=Halving((1, 2), 0.5), seed=2)
    study = create_study(store, definition, fake.DATA)
    first = claim(store.database, study.study_id, ADA, 60.0)
    assert first
    first.fail("Traceback: out of memory")
    run_worker(url, "noise", settings=fake.settings())
    study.retry_failed()
    run_worker(url, "noise", settings=fake.settings())
    create_study(store, replace(definition, halving=Halving((1, 2), 0.6)), fake.DATA)
    run_worker(url, "noise", settings=fake.settings())
    assert study.progress().complete


def test_a_failed_trial_takes_no_place_of_those_that_continue(
    store: Store, url: str, fake: ModuleType
) -> None:
    definition = replace(fake.definition(n_trials=2), halving=Halving((2,), 0.5))
    study = create_study(store, definition, fake.DATA)
    lease = claim(store.database, study.study_id, ADA, 60.0)
    assert lease
    lease.write([replace(fake.record(lease.seed, 1), valid_nll_counted=0.5)], b"1")
    lease.fail("Traceback: out of memory")
    run_worker(url, "noise", settings=fake.settings())
    selected = study.progress().selected
    assert selected is not None
    assert selected.config_index == 1


@pytest.mark.parametrize("begun", [False, True])
def test_repeats_of_what_is_no_longer_selected_are_not_trained(
    store: Store, url: str, fake: ModuleType, begun: bool
) -> None:
    def seeds_of(seed: int) -> list[int]:
        return [one.seed for one in draw(fake.definition().space, seed, range(4))]

    def best(seed: int) -> int:
        nlls = [fake.result(one, 4).valid_nll for one in seeds_of(seed)]
        return nlls.index(min(nlls))

    seed = next(seed for seed in range(50) if best(seed) >= 2)
    definition = replace(fake.definition(n_trials=2), seed=seed, repeats=2)
    study = create_study(store, definition, fake.DATA)

    def repeats_wait() -> bool:
        return len(study.repeats()) > 0 and not study.progress().running

    run_worker(url, "noise", settings=fake.settings(), stop=repeats_wait)
    if begun:
        repeat = claim(store.database, study.study_id, ADA, 60.0)
        assert repeat
        assert repeat.config_index < 0
        repeat.write([fake.record(repeat.seed, 1)], b"1")
        repeat.release()
    create_study(store, replace(definition, n_trials=4), fake.DATA)
    run_worker(url, "noise", settings=fake.settings())
    repeats = study.repeats()
    with store.database.read() as connection:
        everything = connection.execute(sa.select(tables.trials)).all()
    assert (len(repeats), len(everything)) == (2, 6)
    assert study.progress().complete


def test_repeats_that_are_left_out_have_their_seeds_when_they_are_due_again(
    store: Store, url: str, fake: ModuleType
) -> None:
    definition = replace(fake.definition(n_trials=1, n_epochs=1), seed=1, repeats=3)
    study = create_study(store, definition, fake.DATA)
    only = claim(store.database, study.study_id, ADA, 60.0)
    assert only
    only.write([fake.record(only.seed, 1)])
    only.finish(fake.result(only.seed, 1), "some CPU")
    # The first and the third wait again, the second has begun.
    leases = [claim(store.database, study.study_id, ADA, 60.0) for _ in range(3)]
    first, second, third = (lease for lease in leases if lease)
    second.write([fake.record(second.seed, 1)])
    for lease in (first, second, third):
        lease.release()
    longer = replace(definition, training=replace(definition.training, max_epochs=2))
    create_study(store, longer, fake.DATA)
    run_worker(url, "noise", settings=fake.settings())
    expected = [repeat_seed(1, 0, number) for number in (1, 2, 3)]
    assert sorted(study.repeats()["seed"]) == sorted(expected)
    assert study.progress().complete


def test_decisions_and_extensions_need_few_parameters_a_statement(
    other: Store, fake: ModuleType
) -> None:
    # Databases have a limit, which a study of many trials must not meet: on PostgreSQL 65,535.
    definition = replace(fake.definition(n_trials=70, n_epochs=2), halving=Halving((1,), 0.5))
    study = create_study(other, definition, fake.DATA)

    def limited(connection: sqlite3.Connection, record: object) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 60)

    sa.event.listen(other.database.engine, "connect", limited)
    other.close()
    leases = [claim(other.database, study.study_id, ADA, 60.0) for _ in range(70)]
    for lease in leases:
        assert lease
        lease.write([fake.record(lease.seed, 1)], b"1")
        lease.pause()
    kept = []
    while lease := claim(other.database, study.study_id, ADA, 60.0):
        lease.write([fake.record(lease.seed, 2)], b"2")
        lease.finish(fake.result(lease.seed, 2), "some CPU")
        kept.append(lease.config_index)
    assert len(kept) >= 35 * 0.7
    wider = replace(definition, halving=Halving((1,), 0.99))
    longer = replace(wider, training=replace(wider.training, max_epochs=4))
    create_study(other, longer, fake.DATA)
    assert other.study("noise").progress().left > 60
