"""What optuna-dashboard shows of studies in each state."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fdrnn.datasets import DataDescription
from fdrnn.model import EpochRecord, TrialResult
from fdrnn.reports import dashboard_note
from fdrnn.reports.dashboard_note import DashboardPage, dashboard_page
from fdrnn.reports.numbers.evidence import read
from fdrnn.reports.numbers.names import value_text
from fdrnn.search import SPACES, Store, StudyDefinition, create_study, open_store
from fdrnn.search.work.claiming import claim, this_worker

JSB = DataDescription(
    title="JSB Chorales", note="", n_features=88, lowest_midi_note=21, fingerprint="0" * 64
)
TEST_SUMS, TEST_STEPS = np.array([60.0, 20.0]), np.array([8, 2])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "store.sqlite3"), create=True)
    yield opened
    opened.close()


def create(
    store: Store,
    data: str = "jsb",
    variant: str = "fast_dropout",
    described: DataDescription = JSB,
) -> None:
    definition = StudyDefinition(
        name="mine",
        data=data,
        variant=variant,
        space=SPACES["table2-plain" if variant == "plain" else "table2"],
        n_trials=3,
        seed=2013,
    )
    create_study(store, definition, described)


def train(store: Store, valid_nll: float, n_epochs: int = 100, radius: float = 1.5) -> None:
    """Claim the next trial and finish it."""
    lease = claim(store.database, store.study("mine").study_id, this_worker(), 60.0)
    assert lease is not None
    records = [
        EpochRecord(
            epoch=epoch,
            train_nll=9.0,
            valid_nll_counted=9.0,
            valid_nll_masked=9.0,
            spectral_radius=radius + epoch / 3,
            spectral_radius_squared=1.0,
            gradient_norm=1.0,
            seconds=1.0,
        )
        for epoch in range(1, n_epochs + 1)
    ]
    lease.write(records)
    diverged = math.isinf(valid_nll)
    lease.finish(
        TrialResult(
            diverged=diverged,
            n_epochs=n_epochs,
            best_epoch=0 if diverged else min(7, n_epochs),
            valid_nll=valid_nll,
            valid_nll_counted=valid_nll,
            valid_nll_masked=valid_nll,
            test_nll_sums=np.zeros(0) if diverged else TEST_SUMS,
            test_steps=np.zeros(0, np.int64) if diverged else TEST_STEPS,
            parameters={},
        ),
        "some CPU",
    )


def page_of(store: Store) -> DashboardPage:
    return dashboard_page(read(store.study("mine")))


def test_an_unfinished_study_says_how_far_it_is_and_has_no_test_nll(store: Store) -> None:
    create(store)
    page = page_of(store)
    assert "**Not complete**: 0 of 3 trials have finished." in page.note
    assert page.figures == {}
    train(store, 8.25)
    train(store, math.inf, n_epochs=2)
    note = page_of(store).note
    assert "**Not complete**: 2 of 3 trials have finished (1 diverged)." in note
    assert "Lowest validation NLL so far (padding counted): **8.250**, trial 0" in note
    for number in ("8.00", "8.75", "8.01", "nats"):
        assert number not in note


def test_a_complete_study_has_table_1_and_the_selected_trial(store: Store) -> None:
    create(store)
    for valid_nll in (8.5, 8.25, math.inf):
        train(store, valid_nll)
    note = page_of(store).note
    assert "Complete: 3 of 3 trials have finished (1 diverged)." in note
    assert "(padding counted): **8.250**, trial 1 (`config_index`), epoch 7." in note
    # 80 nats over 10 steps; the mean of 60 / 8 and 20 / 2.
    assert "| **this study, pooled** | **8.00** |" in note
    assert "| this study, by sequence | 8.75 |" in note
    assert "| Paper: FD | 8.01 |" in note
    assert "| plain* | 8.58 |" in note
    assert "Caution: 3 draws." in note
    assert "space table2, seed 2013, padding counted" in note
    with store.database.read() as connection:
        (drawn,) = connection.exec_driver_sql(
            "SELECT hyperparameters FROM fdrnn_trials WHERE config_index = 1"
        ).scalars()
    for name, value in json.loads(drawn).items():
        assert f"| `{name}` | {value_text(name, value)} |" in note
    assert note.count("| `") == len(json.loads(drawn))
    assert page_of(store) == page_of(store)


def test_pruned_trials_complete_a_study(store: Store) -> None:
    create(store)
    for valid_nll in (8.5, 8.25, 9.0):
        train(store, valid_nll)
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE fdrnn_trials SET state='pruned' WHERE config_index = 2")
    note = page_of(store).note
    assert "Complete: 2 of 3 trials have finished, 1 was pruned." in note
    assert "| **this study, pooled** | **8.00** |" in note


def test_own_data_stand_beside_no_number_of_the_paper(store: Store) -> None:
    described = dataclasses.replace(JSB, baseline_nll=9.5)
    create(store, data="rolls.npz", variant="plain", described=described)
    for valid_nll in (8.5, 8.25, 9.0):
        train(store, valid_nll)
    note = page_of(store).note
    assert "plain RNN" in note.splitlines()[0]
    assert "| **this study, pooled** | **8.00** |" in note
    assert "| naive prediction | 9.50 |" in note
    assert "paper" not in note


def test_a_study_whose_trials_all_diverged(store: Store) -> None:
    create(store)
    for _ in range(3):
        train(store, math.inf)
    note = page_of(store).note
    assert "Every finished trial diverged before it had a finite validation NLL." in note
    assert "| --- |" not in note


def test_failed_trials_leave_a_study_incomplete(store: Store) -> None:
    create(store)
    train(store, 8.5)
    train(store, 8.25)
    lease = claim(store.database, store.study("mine").study_id, this_worker(), 60.0)
    assert lease is not None
    lease.fail("Traceback")
    note = page_of(store).note
    assert "**Not complete**: 2 of 3 trials have finished; 1 failed with a program error" in note
    assert "pooled" not in note


def test_the_figure_has_the_spectral_radius_of_every_trial(store: Store) -> None:
    create(store)
    train(store, 8.5, n_epochs=100)
    train(store, 8.25, n_epochs=3)
    train(store, 9.0, n_epochs=40, radius=math.nan)
    (figure,) = page_of(store).figures.values()
    lines = {line["name"]: line for line in json.loads(figure)["data"]}
    assert list(lines) == ["trial 0", "trial 2", "trial 1, selected"]
    table = store.study("mine").curves().set_index(["config_index", "epoch"])["spectral_radius"]
    for index, name in ((0, "trial 0"), (1, "trial 1, selected")):
        x, y = lines[name]["x"], lines[name]["y"]
        assert len(x) == min(40, len(table[index]))
        assert (x[0], x[-1]) == (1, len(table[index]))
        np.testing.assert_allclose(y, table[index][x], rtol=5e-4)
    assert lines["trial 2"]["y"] == []
    assert lines["trial 1, selected"]["line"]["width"] > lines["trial 0"]["line"]["width"]
    assert len(figure) < 2000


def test_texts_of_data_are_no_html_and_no_links(store: Store) -> None:
    described = dataclasses.replace(JSB, title="<b>[x](y)", note="<i>[a](b)")
    create(store, described=described)
    note = dashboard_page(read(store.study("mine"))).note
    assert note.startswith("## \\<b>[x]\\(y): ")
    assert "\\<i>[a]\\(b)." in note
    study = store.study("mine")
    space = dataclasses.replace(study.definition.space, name="<u>[c](d)")
    definition = dataclasses.replace(study.definition, space=space)
    note = dashboard_page(read(dataclasses.replace(study, definition=definition))).note
    assert "space \\<u>[c]\\(d), seed" in note


def test_a_value_with_a_bar_stays_in_its_cell(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(store)
    for _ in range(3):
        train(store, 8.0)
    monkeypatch.setattr(dashboard_note, "value_text", lambda *_: "a|b")
    assert "| `n_hidden` | a\\|b |" in dashboard_page(read(store.study("mine"))).note
