"""The golden store's tables against plain SQL and Python that share no code with the reports."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from fdrnn.reports.numbers import table1
from fdrnn.reports.numbers.evidence import Evidence, read
from fdrnn.reports.numbers.findings import read_evidence
from fdrnn.reports.numbers.names import LABELS
from fdrnn.reports.numbers.paper import TABLE_1
from fdrnn.reports.tables import table2, table3
from fdrnn.search import SPACES, TABLE_3, Space, Store

STUDIES = ("golden-fd", "golden-plain")


@pytest.fixture(scope="module")
def sql(golden: Store) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(str(golden.database.file))
    connection.row_factory = sqlite3.Row
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def rows(golden: Store) -> dict[str, table1.Row]:
    return {row.study: row for row in read_evidence(golden).rows}


def best(sql: sqlite3.Connection, study: str) -> sqlite3.Row:
    row: sqlite3.Row = sql.execute(
        """
        SELECT t.* FROM fdrnn_trials t JOIN fdrnn_studies s USING (study_id)
        WHERE s.name = ? AND t.state = 'finished' AND abs(t.valid_nll) < 1e300
        ORDER BY t.valid_nll, t.config_index LIMIT 1
        """,
        (study,),
    ).fetchone()
    return row


def test_the_golden_studies_are_what_the_tests_need(rows: dict[str, table1.Row]) -> None:
    assert tuple(rows) == STUDIES
    assert all(row.trials_finished == row.trials_planned == 8 for row in rows.values())
    assert rows["golden-fd"].trials_diverged >= 1
    assert rows["golden-fd"].plain_study == "golden-plain"


@pytest.mark.parametrize("study", STUDIES)
def test_table_1(rows: dict[str, table1.Row], sql: sqlite3.Connection, study: str) -> None:
    row, trial = rows[study], best(sql, study)
    assert (row.selected_trial, row.best_epoch) == (trial["config_index"], trial["best_epoch"])
    assert row.valid_nll == trial["valid_nll"]
    (lowest,) = sql.execute(
        "SELECT min(valid_nll_counted) FROM fdrnn_epochs WHERE trial_id = ?", (trial["trial_id"],)
    ).fetchone()
    assert row.valid_nll == lowest
    scores = sql.execute(
        "SELECT nll_sum, n_steps FROM fdrnn_test_sequences WHERE trial_id = ?",
        (trial["trial_id"],),
    ).fetchall()
    assert len(scores) == 77  # the test split of JSB Chorales
    pooled = math.fsum(s for s, _ in scores) / sum(n for _, n in scores)
    sequence_mean = math.fsum(s / n for s, n in scores) / len(scores)
    assert row.test_nll_pooled.value == pytest.approx(pooled, rel=1e-12)
    assert row.test_nll_sequence_mean.value == pytest.approx(sequence_mean, rel=1e-12)
    (diverged,) = sql.execute(
        "SELECT count(*) FROM fdrnn_trials WHERE study_id = ? AND diverged", (trial["study_id"],)
    ).fetchone()
    assert row.trials_diverged == diverged
    assert row.paper_fd == TABLE_1["jsb"].fd == 8.01


@pytest.mark.parametrize("study", STUDIES)
def test_the_intervals_of_table_1(
    rows: dict[str, table1.Row], sql: sqlite3.Connection, study: str
) -> None:
    row, trial = rows[study], best(sql, study)
    scores = np.array(
        sql.execute(
            "SELECT nll_sum, n_steps FROM fdrnn_test_sequences WHERE trial_id = ?",
            (trial["trial_id"],),
        ).fetchall()
    )
    random = np.random.default_rng(99)
    pooled, means = [], []
    for _ in range(4000):
        sums, steps = scores[random.choice(len(scores), len(scores))].T
        pooled.append(sums.sum() / steps.sum())
        means.append((sums / steps).mean())
    for found, values in (
        (row.test_nll_pooled, pooled),
        (row.test_nll_sequence_mean, means),
    ):
        expected = np.quantile(values, [0.025, 0.975])
        ends = pytest.approx(expected.tolist(), abs=0.04 * np.ptp(expected))
        assert [found.low, found.high] == ends


@pytest.mark.parametrize("study", STUDIES)
def test_table_2(golden: Store, sql: sqlite3.Connection, study: str) -> None:
    drawn: dict[str, Counter[float | None]] = {}
    for (text,) in sql.execute(
        "SELECT hyperparameters FROM fdrnn_trials JOIN fdrnn_studies USING (study_id) "
        "WHERE name = ?",
        (study,),
    ):
        for name, value in json.loads(text).items():
            drawn.setdefault(name, Counter())[value] += 1
    table = table2.counts(read(golden.study(study)))
    assert set(table["parameter"]) == set(drawn)
    texts = {True: "yes", False: "no"}
    for name, counter in drawn.items():
        rows = table[table["parameter"] == name]
        assert set(rows["drawn"]) == {counter.total()}
        found = {
            value: count for value, count in zip(rows["value"], rows["count"], strict=True) if count
        }
        if name == "fast_dropout_final_layer":
            assert found == {texts[bool(value)]: count for value, count in counter.items()}
            continue
        # As numbers, because the paper writes 0.00001 and Python 1e-05.
        assert found.pop("no limit", 0) == counter.pop(None, 0)
        assert {float(value): count for value, count in found.items()} == counter


def test_table_3(fd: Evidence, plain: Evidence, sql: sqlite3.Connection) -> None:
    (table,) = table3.tables([fd, plain])
    cells = {row[0]: row[1:] for row in table.rows}
    expected = json.loads(best(sql, "golden-fd")["hyperparameters"])
    of_plain = json.loads(best(sql, "golden-plain")["hyperparameters"])
    assert table.header[1] == "Paper: FD"
    assert "golden-fd, trial" in table.header[2]
    assert "plain RNN" in table.header[3]
    for label, name in (
        ("hidden units", "n_hidden"),
        ("step rate", "step_rate"),
        ("momentum", "momentum"),
        ("decay", "decay"),
        ("spectral radius of W_rec", "spectral_radius"),
    ):
        paper, ours, other = (float(cell) for cell in cells[label])
        assert paper == getattr(TABLE_3["jsb"], name)
        assert (ours, other) == (expected[name], of_plain[name])
    assert cells["dropout: hidden to hidden"][0] == "0.2"
    assert cells["dropout: hidden to hidden"][2] == "-"
    limit = of_plain["max_incoming"]
    assert cells["incoming connections (nu)"][2] == ("no limit" if limit is None else str(limit))


def test_table_3_has_the_settings_that_another_study_draws(fd: Evidence, plain: Evidence) -> None:
    space = Space.from_mapping({"extends": "table2-wide", "batch_size": [9, 54]}, "fast_dropout")
    study = replace(fd.study, definition=replace(fd.definition, space=space))
    drawing = replace(fd, study=study, trials=fd.trials.assign(batch_size=54))
    (table,) = table3.tables([drawing, plain])
    (row,) = (row for row in table.rows if row[0] == "chunks per minibatch")
    assert row[1:] == ("-", "54", "27")
    note = "A training setting that a study does not draw is the one of all its trials"
    assert f"{note}; the paper's Table 3 has none." in table.notes
    (table,) = table3.tables([fd, plain])
    assert not any(note in one for one in table.notes)


def test_the_paper_s_table_3() -> None:
    # Typed in again from the paper, row by row: Piano-midi.de, Nottingham, MuseData, JSB.
    expected = {
        "n_hidden": (600, 400, 600, 400),
        "dropout_input": (0.1, 0.1, 0.2, 0.1),
        "dropout_hidden_to_hidden": (0.3, 0.4, 0.3, 0.2),
        "dropout_hidden_to_output": (None, 0.0, 0.0, 0.5),
        "fast_dropout_final_layer": (False, True, True, True),
        "step_rate": (0.005, 0.001, 0.0005, 0.001),
        "momentum": (0.995, 0.99, 0.995, 0.99),
        "decay": (0.8, 0.9, 0.9, 0.8),
        "sigma2_rec_out": (0.1, 0.001, 0.1, 0.0001),
        "sigma2_in": (0.0001, 0.1, 0.0001, 0.01),
        "spectral_radius": (1.2, 1.2, 1.2, 1.2),
        "max_incoming": (25, None, None, 15),
    }
    order = ("piano", "nottingham", "musedata", "jsb")
    found = {name: tuple(getattr(TABLE_3[data], name) for data in order) for name in expected}
    assert found == expected


def test_every_hyperparameter_of_every_space_has_a_name() -> None:
    assert {name for space in SPACES.values() for name in space.names} <= set(LABELS)


def test_table_3_of_own_files_has_a_name_for_each_and_none_of_their_folders(fd: Evidence) -> None:
    paths = ["/secret/a b.npz", "/secret/a-b.npz", "/secret/ä.npz", "/secret/ö.npz", "jsb"]
    tables = table3.tables([_of(fd, path, f"{path:*^64}") for path in paths])
    names = [one.name for one in tables]
    assert len(set(names)) == len(names)
    assert names[-1] == "table3-jsb"
    for name in names:
        assert re.fullmatch(r"table3-[A-Za-z0-9-]+", name)
        assert "secret" not in name


def test_table_3_is_of_the_same_data_and_not_of_the_same_path(fd: Evidence) -> None:
    first = [_of(fd, path, "1" * 64, name) for path, name in (("/a/jsb.npz", "a"), ("jsb", "b"))]
    second = [_of(fd, path, "2" * 64, name) for path, name in (("mine.npz", "a"), ("jsb", "b"))]
    third = _of(fd, "mine.npz", "3" * 64)
    tables = table3.tables([*first, *second, third])
    assert [one.name for one in tables[:2]] == ["table3-jsb-11111111", "table3-jsb-22222222"]
    assert tables[2].name.startswith("table3-mine-")
    assert [len(one.header) for one in tables] == [4, 4, 2]
    assert tables[0].header[1] == "Paper: FD"
    (_, alone) = table3.tables([second[0], third])
    assert alone.name.endswith("-33333333")


def _of(evidence: Evidence, path: str, fingerprint: str, name: str = "study") -> Evidence:
    study = replace(
        evidence.study,
        definition=replace(evidence.definition, name=name, data=path),
        data=replace(evidence.data, fingerprint=fingerprint),
    )
    return replace(evidence, study=study)
