"""What studies cost, against plain SQL."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from statistics import median

import pytest
from made_evidence import with_reads

from fdrnn.reports.numbers.evidence import Evidence, read
from fdrnn.reports.tables import costs
from fdrnn.search import Store, TimeLeft


def test_the_golden_studies_cost(golden: Store) -> None:
    studies = [read(golden.study(name)) for name in ("golden-plain", "golden-fd")]
    table = costs.table(studies)
    connection = sqlite3.connect(str(golden.database.file))
    for row in costs.costs(studies).itertuples():
        epochs = connection.execute(
            """
            SELECT count(*), sum(e.seconds) FROM fdrnn_epochs e
            JOIN fdrnn_trials t USING (trial_id) JOIN fdrnn_studies s USING (study_id)
            WHERE s.name = ? GROUP BY trial_id
            """,
            (row.study,),
        ).fetchall()
        assert row.trials == len(epochs) == 8
        assert row.epochs == sum(n for n, _ in epochs)
        assert row.hours == pytest.approx(sum(seconds for _, seconds in epochs) / 3600)
        assert row.seconds_per_epoch == pytest.approx(median(s / n for n, s in epochs))
    machines = connection.execute("SELECT DISTINCT machine FROM fdrnn_trials").fetchall()
    assert [line[0] for line in table.rows] == ["golden-plain", "golden-fd", "all"]
    assert len(table.notes) == 1 + len(machines)
    for (machine,) in machines:
        assert any(f"Trained on {machine}: golden-plain (" in note for note in table.notes)


def test_hours_left_are_shown_while_a_study_is_not_complete(fd: Evidence, plain: Evidence) -> None:
    left = TimeLeft(seconds=None, worker_seconds=5400.0, n_workers=0, n_finished=8)
    going = with_reads(fd, progress=replace(fd.progress, waiting=2, time_left=left))
    table = costs.table([plain, going])
    column = table.header.index("Hours left")
    assert [row[column] for row in table.rows] == ["0.00", "1.50", "1.50"]
    unknown = with_reads(fd, progress=replace(fd.progress, waiting=2, time_left=None))
    assert [row[column] for row in costs.table([plain, unknown]).rows] == ["0.00", "-", "-"]


def test_a_small_study_costs_more_than_nothing(fd: Evidence) -> None:
    trials = fd.trials.assign(n_epochs=1000, seconds=[1.0] * 7 + [2.0])
    left = TimeLeft(seconds=None, worker_seconds=0.036, n_workers=0, n_finished=8)
    progress = replace(fd.progress, waiting=2, time_left=left)
    (row,) = costs.table([with_reads(fd, trials, progress=progress)]).rows
    assert row == ("golden-fd", "8", "8000", "0.0025", "0.00001", "0.001")


def test_a_study_before_its_first_epoch(fd: Evidence) -> None:
    trials = fd.trials.assign(state="waiting", n_epochs=0, seconds=float("nan"), machine=None)
    table = costs.table([replace(fd, trials=trials)])
    assert table.rows == (("golden-fd", "0", "0", "0.00", "-"),)
    assert len(table.notes) == 1
