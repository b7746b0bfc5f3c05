"""The evidence of a study is of one moment, whatever changes in the store afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fdrnn.model import EpochRecord, TrialResult
from fdrnn.reports.missing import missing
from fdrnn.reports.numbers.evidence import Evidence, read
from fdrnn.reports.numbers.findings import Findings, read_evidence
from fdrnn.reports.numbers.table1 import row, table1
from fdrnn.reports.tables import costs
from fdrnn.reports.tables.table1 import tables
from fdrnn.search import PortableStudy, Store, Study, create_study, open_store
from fdrnn.search.work.claiming import WorkerIdentity, claim

GOLDEN = Path(__file__).parents[1] / "golden" / "golden-fd.fdrnn.zip"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "store.sqlite3"), create=True)
    PortableStudy.read(GOLDEN).insert(opened)
    yield opened
    opened.close()


def extend(store: Store) -> None:
    """Extend the study so that its selected trial waits again, without test sequences."""
    study = store.study("golden-fd")
    selected = study.selected
    assert selected is not None
    training = replace(study.definition.training, max_epochs=400, patience=400)
    create_study(store, replace(study.definition, training=training), study.data)
    assert study.test_sequences(selected).empty


def test_an_extension_does_not_change_what_was_read(store: Store) -> None:
    before = row(read(store.study("golden-fd")))
    assert before.test_nll_pooled.low is not None
    evidence = read(store.study("golden-fd"))
    extend(store)
    assert row(evidence) == before
    assert evidence.progress.complete
    notes = [note for table in tables([row(evidence)]) for note in table.notes]
    assert not [note for note in notes if "No interval" in note]
    assert "hours_left" not in costs.costs([evidence])
    findings = Findings([row(evidence)], {"golden-fd": evidence})
    assert not [line for line in missing(findings) if "not finished" in line]


def test_a_title_that_distinguishes_data_leaves_the_moment(store: Store, fd: Evidence) -> None:
    """Findings rename data sets of one title."""
    other = replace(fd.data, fingerprint="0" * 64)
    create_study(store, replace(fd.definition, name="other"), other)
    findings = read_evidence(store)
    study = findings.studies["golden-fd"]
    assert study.data.title != fd.data.title
    extend(store)
    (again,) = table1([study])
    assert again.test_nll_pooled.low is not None
    assert study.progress.complete


def train(store: Store, study: Study, valid_nll: float, *, fails: bool = False) -> int:
    """Train the next trial for an epoch of an hour, and return its number."""
    lease = claim(store.database, study.study_id, WorkerIdentity("ada-1", "ada", 1), 60.0)
    assert lease is not None
    epoch = EpochRecord(
        epoch=1,
        train_nll=valid_nll,
        valid_nll_counted=valid_nll,
        valid_nll_masked=valid_nll,
        spectral_radius=1.0,
        spectral_radius_squared=1.0,
        gradient_norm=1.0,
        seconds=3600.0,
    )
    lease.write([epoch])
    if fails:
        lease.fail("Traceback: it broke")
    else:
        result = TrialResult(
            diverged=False,
            n_epochs=1,
            best_epoch=1,
            valid_nll=valid_nll,
            valid_nll_counted=valid_nll,
            valid_nll_masked=valid_nll,
            test_nll_sums=np.array([valid_nll, 2.0]),
            test_steps=np.array([1, 1]),
            parameters={},
        )
        lease.finish(result, "some CPU")
    return lease.config_index


def test_repeats_of_an_earlier_selection_cost_and_are_no_repeats_of_the_selected_trial(
    fd: Evidence, tmp_path: Path
) -> None:
    with closing(open_store(str(tmp_path / "store.sqlite3"), create=True)) as store:
        one = replace(fd.definition, name="s", n_trials=1, repeats=2)
        study = create_study(store, one, fd.data)
        numbers = [train(store, study, 5.0), train(store, study, 5.5)]
        assert [*numbers, train(store, study, 5.5, fails=True)] == [0, -1, -2]
        study = create_study(store, replace(one, n_trials=2), fd.data)
        assert [train(store, study, nll) for nll in (4.0, 4.25, 4.75)] == [1, -3, -4]
        findings = read_evidence(store)
        (cost,) = costs.costs(list(findings.studies.values())).to_dict("records")
        assert cost["hours"] == 6.0 == study.progress().worker_seconds / 3600
        assert (cost["trials"], cost["epochs"]) == (6, 6)
        notes = costs.table(list(findings.studies.values())).notes
        assert "Trained on some CPU: s (5)." in notes
        assert not [line for line in missing(findings) if "repeats" in line]
        (found,) = findings.rows
        assert (found.selected_trial, found.repeats) == (1, 2)
        assert found.repeats_mean == (4.25 + 2 + 4.75 + 2) / 4
