from __future__ import annotations

import json
from types import ModuleType

import optuna
import pytest
from optuna_dashboard import get_note, save_note
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

from fdrnn.search import Store, StoreUnavailableError, create_study, open_store
from fdrnn.search.mirror.notes import update_note
from fdrnn.search.work.administration import rename_studies
from fdrnn.search.work.claiming import claim, this_worker
from postgres import PostgresServer

FIGURE = json.dumps({"data": [{"x": [1], "y": [2]}], "layout": {}})
SHORT = "## Short\n"
LONG = "## Long\n\n" + "word " * 1500 + "\n"


@pytest.fixture
def study(store: Store, fake: ModuleType, url: str) -> optuna.Study:
    create_study(store, fake.definition(n_trials=2), fake.DATA)
    return optuna.load_study(study_name="noise", storage=url)


def figures(study: optuna.Study) -> dict[str, str]:
    return get_plotly_graph_objects(study._storage.get_study_system_attrs(study._study_id))


def test_a_note_is_written_once_and_replaced_by_another(store: Store, study: optuna.Study) -> None:
    for note in (SHORT, LONG, SHORT):
        assert update_note(store.study("noise"), note, {})
        assert note in get_note(study)
        assert not update_note(store.study("noise"), note, {})
    assert "word" not in get_note(study)
    assert study.metric_names == ["validation NLL"]


def test_what_a_user_wrote_stays(store: Store, study: optuna.Study) -> None:
    save_note(study, "My own thoughts.\n")
    update_note(store.study("noise"), SHORT, {})
    note = get_note(study)
    assert note.index("## Short") < note.index("My own thoughts.")
    save_note(study, f"Above.\n\n{note}\nBelow.\n")
    update_note(store.study("noise"), LONG, {})
    note = get_note(study)
    positions = [note.index(text) for text in ("Above", "## Long", "My own thoughts", "Below")]
    assert positions == sorted(positions)
    assert "## Short" not in note
    assert not update_note(store.study("noise"), LONG, {})


def test_the_note_of_a_renamed_study_leaves_its_old_name_free(
    store: Store, study: optuna.Study
) -> None:
    before = store.study("noise")
    rename_studies(store, [("noise", "renamed")])
    assert not update_note(before, SHORT, {})
    rename_studies(store, [("renamed", "noise")])
    assert update_note(store.study("noise"), SHORT, {})


def test_figures_are_written_once_and_replaced(store: Store, study: optuna.Study) -> None:
    assert update_note(store.study("noise"), SHORT, {"radius": FIGURE})
    assert figures(study) == {"radius": FIGURE}
    assert not update_note(store.study("noise"), SHORT, {"radius": FIGURE})
    big = json.dumps({"data": [{"x": list(range(2000))}], "layout": {}})
    for figure in (big, FIGURE):
        assert update_note(store.study("noise"), SHORT, {"radius": figure})
        assert figures(study) == {"radius": figure}
    assert not update_note(store.study("noise"), SHORT, {})
    assert figures(study) == {"radius": FIGURE}


def test_trials_that_a_killed_worker_left_behind_are_shown_as_they_are(
    store: Store, study: optuna.Study
) -> None:
    lease = claim(store.database, store.study("noise").study_id, this_worker(), 60.0)
    assert lease is not None
    lease.fail("made up")
    update_note(store.study("noise"), SHORT, {})
    assert [trial.state.name for trial in study.trials] == ["FAIL", "WAITING"]


def test_a_store_that_is_only_read(
    postgres: PostgresServer, initialized_database: str, fake: ModuleType
) -> None:
    url = postgres.url(postgres.create_database(initialized_database))
    store = open_store(url)
    create_study(store, fake.definition(n_trials=1), fake.DATA)
    update_note(store.study("noise"), SHORT, {})
    store.close()
    reader = open_store(f"{url}?options=-c%20default_transaction_read_only%3Don")
    assert not update_note(reader.study("noise"), SHORT, {})
    with pytest.raises(StoreUnavailableError, match=r"Optuna's tables: .*read-only"):
        update_note(reader.study("noise"), LONG, {})
    reader.close()
