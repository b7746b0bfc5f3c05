"""The evidence of a study is of one moment, whatever changes in the store afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fdrnn.reports.missing import missing
from fdrnn.reports.numbers.evidence import Evidence, read
from fdrnn.reports.numbers.findings import Findings, read_evidence
from fdrnn.reports.numbers.table1 import row, table1
from fdrnn.reports.tables import costs
from fdrnn.reports.tables.table1 import tables
from fdrnn.search import PortableStudy, Store, create_study, open_store

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
