from __future__ import annotations

import math
import threading
from dataclasses import replace
from types import ModuleType

import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import FrozenTrial, TrialState

from fdrnn.search import SPACES, Store, StoreError, code_version, create_study, draw, run_worker
from fdrnn.search.mirror.optuna_tables import MOST_POINTS, Mirror, optuna_error
from fdrnn.search.work.claiming import claim, this_worker
from fdrnn.search.work.lease import Lease


@pytest.fixture
def mirror(store: Store, fake: ModuleType) -> Mirror:
    made = Mirror(create_study(store, fake.definition(n_trials=3), fake.DATA))
    made.sync()
    return made


def shown(url: str) -> list[FrozenTrial]:
    study = optuna.load_study(study_name="noise", storage=url)
    assert study.direction == optuna.study.StudyDirection.MINIMIZE
    return study.trials


def claimed(store: Store) -> Lease:
    lease = claim(store.database, store.study("noise").study_id, this_worker(), 60.0)
    assert lease is not None
    return lease


def test_waiting_trials_show_their_configurations(mirror: Mirror, url: str) -> None:
    for configuration, trial in zip(draw(SPACES["table2"], 7, range(3)), shown(url), strict=True):
        assert trial.state == TrialState.WAITING
        assert trial.user_attrs == {"config_index": configuration.index}
        assert trial.params == configuration.hyperparameters
        for parameter in SPACES["table2"].parameters:
            if parameter.name in trial.params:
                distribution = trial.distributions[parameter.name]
                assert isinstance(distribution, optuna.distributions.CategoricalDistribution)
                assert distribution == parameter.distribution.optuna()


def test_a_trial_is_followed_from_its_start_to_its_end(
    mirror: Mirror, store: Store, url: str, fake: ModuleType
) -> None:
    lease = claimed(store)
    mirror.claimed(0)
    assert shown(url)[0].state == TrialState.RUNNING
    assert shown(url)[0].user_attrs["worker"] == this_worker().name
    for epoch in range(1, 11):
        mirror.report(0, [fake.record(1, epoch)])
    # The first at once, the others came within 5 seconds.
    assert list(shown(url)[0].intermediate_values) == [1]
    mirror.waiting(0)
    assert shown(url)[0].state == TrialState.WAITING
    assert list(shown(url)[0].intermediate_values) == list(range(1, 11))
    mirror.claimed(0)
    mirror.report(0, [fake.record(1, 11)])
    lease.write([fake.record(1, epoch) for epoch in range(1, 12)])
    lease.finish(fake.result(1, 11), "some CPU")
    mirror.ended(0)
    trial = shown(url)[0]
    result = fake.result(1, 11)
    assert trial.state == TrialState.COMPLETE
    assert trial.value == result.valid_nll
    assert trial.intermediate_values == {
        epoch: fake.record(1, epoch).valid_nll_counted for epoch in range(1, 12)
    }
    assert trial.user_attrs == {
        "config_index": 0,
        "diverged": result.diverged,
        "n_epochs": 11,
        "best_epoch": result.best_epoch,
        "stopped_by": "max_epochs",
        "worker": this_worker().name,
        "train_nll": round(fake.record(1, result.best_epoch).train_nll, 4),
        "seconds_per_epoch": 0.25,
        "test_nll": pytest.approx(result.test_nll_pooled, abs=1e-4),
    }


def test_a_test_nll_without_one_sequence_is_not_shown(
    mirror: Mirror, store: Store, url: str, fake: ModuleType
) -> None:
    lease, result = claimed(store), fake.result(1, 11)
    mirror.claimed(0)
    sums = result.test_nll_sums.copy()
    sums[0] = math.nan
    lease.write([fake.record(1, epoch) for epoch in range(1, 12)])
    lease.finish(replace(result, test_nll_sums=sums), "some CPU")
    mirror.ended(0)
    assert shown(url)[0].state == TrialState.COMPLETE
    assert "test_nll" not in shown(url)[0].user_attrs


def test_the_study_shows_what_defines_it(
    mirror: Mirror, store: Store, url: str, fake: ModuleType
) -> None:
    definition = fake.definition(n_trials=3)

    def attributes() -> dict[str, object]:
        return optuna.load_study(study_name="noise", storage=url).user_attrs

    before = attributes()
    training = {"max_epochs": 4, "padding": "counted", "batch_size": 27, "record": []}
    expected = {"data": "Noise", "variant": "fast_dropout", "space": "table2", "seed": 7}
    assert before.items() >= (expected | training | {"n_trials": 3}).items()
    assert before["fdrnn"] == code_version()
    create_study(store, replace(definition, n_trials=5), fake.DATA)
    # A worker that knows the study as it was does not change it back.
    mirror.sync()
    assert attributes() == before | {"n_trials": 5}


def test_a_long_study_shows_every_nth_epoch(store: Store, url: str, fake: ModuleType) -> None:
    definition = fake.definition(n_trials=1, n_epochs=3 * MOST_POINTS)
    made = Mirror(create_study(store, definition, fake.DATA))
    made.sync()
    made.report(0, [fake.record(1, epoch) for epoch in range(1, 11)])
    assert list(shown(url)[0].intermediate_values) == [1, 3, 6, 9]


def test_a_trial_without_a_finite_nll_is_complete_and_infinite(
    mirror: Mirror, store: Store, url: str, fake: ModuleType
) -> None:
    lease = claimed(store)
    mirror.claimed(0)
    mirror.report(0, [replace(fake.record(1, 1), valid_nll_counted=math.inf)])
    lease.finish(replace(fake.result(1, 1), valid_nll=math.inf, diverged=True), "some CPU")
    mirror.ended(0)
    trial = shown(url)[0]
    assert (trial.state, trial.value) == (TrialState.COMPLETE, math.inf)
    assert trial.intermediate_values == {1: math.inf}
    assert trial.user_attrs["diverged"] is True


def test_what_was_missed_is_made_up_for(
    mirror: Mirror, store: Store, url: str, fake: ModuleType
) -> None:
    # A worker that finished one trial and failed another was killed before it told Optuna.
    finished, failed = claimed(store), claimed(store)
    mirror.claimed(0)
    finished.write([fake.record(1, epoch) for epoch in range(1, 101)])
    finished.finish(fake.result(1, 100), "some CPU")
    failed.fail("Traceback: it broke")
    mirror.sync()
    trials = shown(url)
    assert [trial.state for trial in trials] == [
        TrialState.COMPLETE,
        TrialState.FAIL,
        TrialState.WAITING,
    ]
    assert trials[0].value == fake.result(1, 100).valid_nll
    assert trials[0].intermediate_values == {
        epoch: fake.record(1, epoch).valid_nll_counted for epoch in range(1, 101)
    }
    mirror.sync()
    assert shown(url) == trials


def test_missing_trials_are_created_once(store: Store, url: str, fake: ModuleType) -> None:
    stored = create_study(store, fake.definition(n_trials=3), fake.DATA)
    study = optuna.load_study(study_name="noise", storage=url)
    optuna.delete_study(study_name="noise", storage=url)
    assert create_study(store, fake.definition(n_trials=3), fake.DATA) == stored
    # A trial that somebody enqueued by hand is none of ours.
    study = optuna.load_study(study_name="noise", storage=url)
    study.enqueue_trial({"n_hidden": 200})
    Mirror(stored).sync()
    indices = [trial.user_attrs.get("config_index") for trial in shown(url)]
    assert indices == [0, 1, 2, None]


def test_a_retried_trial_is_mirrored_anew(mirror: Mirror, store: Store, url: str) -> None:
    claimed(store).fail("Traceback: it broke")
    mirror.sync()
    store.study("noise").retry_failed()
    mirror.sync()
    states = [(trial.user_attrs["config_index"], trial.state) for trial in shown(url)]
    assert states[0] == (0, TrialState.FAIL)
    assert states[3] == (0, TrialState.WAITING)
    mirror.claimed(0)
    assert shown(url)[3].state == TrialState.RUNNING


def test_a_retried_trial_is_shown_by_a_worker_that_saw_it_fail(
    mirror: Mirror, store: Store, url: str
) -> None:
    mirror.claimed(0)
    claimed(store).fail("Traceback: it broke")
    mirror.ended(0)
    store.study("noise").retry_failed()
    mirror.claimed(0)
    states = [(trial.user_attrs["config_index"], trial.state) for trial in shown(url)]
    assert states[0] == (0, TrialState.FAIL)
    assert states[3] == (0, TrialState.RUNNING)


def test_a_failing_mirror_does_not_stop_a_worker(
    mirror: Mirror, url: str, fake: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    optuna.delete_study(study_name="noise", storage=url)
    mirror.claimed(0)
    mirror.report(0, [fake.record(1, 1)])
    mirror.waiting(0)
    assert "trial 0 is not up to date in Optuna" in caplog.text


@pytest.mark.parametrize(
    ("version", "way_out"),
    [("v9.9.9", "updating optuna to the latest"), ("v3.0.0.d", "`fdrnn store migrate` upgrades")],
)
def test_optunas_tables_of_another_version_are_one_line(
    store: Store, fake: ModuleType, version: str, way_out: str
) -> None:
    stored = create_study(store, fake.definition(n_trials=3), fake.DATA)
    with store.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")
    with pytest.raises(StoreError, match=f"Optuna's tables: .*{way_out}") as caught:
        Mirror(stored)
    assert "\n" not in str(caught.value)


def test_a_refused_look_at_optunas_tables_is_no_loss_of_them(store: Store) -> None:
    class RefusedError(Exception):
        sqlstate = "42501"

    error = sa.exc.ProgrammingError(
        "", {}, RefusedError("permission denied for table version_info")
    )
    line = str(optuna_error(store.database, error))
    assert line.endswith("Optuna's tables: permission denied for table version_info")


def test_trials_that_ended_before_optuna_knew_of_them_are_shown_whole(
    store: Store, url: str, fake: ModuleType
) -> None:
    stored = create_study(store, fake.definition(n_trials=3), fake.DATA)
    finished, failed = claimed(store), claimed(store)
    finished.write([fake.record(1, epoch) for epoch in range(1, 101)])
    finished.finish(replace(fake.result(1, 100), valid_nll=math.inf, diverged=True), "some CPU")
    failed.fail("Traceback: it broke")
    optuna.delete_study(study_name="noise", storage=url)
    Mirror(stored).sync()
    trials = shown(url)
    assert [trial.state for trial in trials] == [
        TrialState.COMPLETE,
        TrialState.FAIL,
        TrialState.WAITING,
    ]
    assert trials[0].value == math.inf
    assert trials[0].user_attrs["diverged"] is True
    assert trials[0].user_attrs["n_epochs"] == 100
    assert len(trials[0].intermediate_values) == 100
    assert [trial.user_attrs["config_index"] for trial in trials] == [0, 1, 2]


def test_tables_that_another_process_is_creating_are_waited_for(
    mirror: Mirror, store: Store
) -> None:
    # Optuna writes its version last: until then the tables are not complete.
    version = sa.table("alembic_version", sa.column("version_num"))
    with store.database.write() as connection:
        written = connection.scalar(sa.select(version.c.version_num))
        connection.execute(version.delete())
    second = threading.Thread(target=Mirror, args=(store.study("noise"),))
    with store.database.exclusive():
        second.start()
        second.join(1.0)
        assert second.is_alive()
        with store.database.write() as connection:
            connection.execute(version.insert().values(version_num=written))
    second.join()
    with store.database.read() as connection:
        assert connection.scalars(sa.select(version.c.version_num)).all() == [written]


def test_a_trial_that_was_extended_without_optunas_knowledge_has_its_new_value(
    store: Store, url: str, fake: ModuleType
) -> None:
    short = replace(fake.definition(n_trials=1, n_epochs=1), seed=1)
    study = create_study(store, short, fake.DATA)
    first, seed = claimed(store), study.trial(0).seed
    first.finish(replace(fake.result(seed, 1), valid_nll=8.0), "some CPU")
    mirror = Mirror(study)
    mirror.sync()
    longer = replace(short, training=replace(short.training, max_epochs=2))
    # Neither the extension nor the claim reaches Optuna's tables.
    store.extend_study(study, longer, ())
    claimed(store).finish(replace(fake.result(seed, 2), valid_nll=6.0), "some CPU")
    mirror.ended(0)
    mirror.sync()
    shown = optuna.load_study(study_name="noise", storage=url)
    assert [trial.values for trial in shown.trials] == [[8.0], [6.0]]
    mirror.sync()
    assert len(shown.get_trials()) == 2


def test_the_whole_curve_of_an_extended_trial_is_mirrored(
    store: Store, url: str, fake: ModuleType
) -> None:
    short = replace(fake.definition(n_trials=1, n_epochs=3), seed=1)
    create_study(store, short, fake.DATA)
    run_worker(url, "noise", settings=fake.settings())
    longer = replace(short, training=replace(short.training, max_epochs=5))
    create_study(store, longer, fake.DATA)
    run_worker(url, "noise", settings=fake.settings())
    shown = optuna.load_study(study_name="noise", storage=url).trials[-1]
    assert sorted(shown.intermediate_values) == [1, 2, 3, 4, 5]
