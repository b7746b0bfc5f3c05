"""A report as a whole: its sections, what it lacks and its files."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from made_evidence import with_reads

from fdrnn.datasets.errors import FileError
from fdrnn.model import ToolchainError
from fdrnn.reports.artefacts import Figure, Report, Table
from fdrnn.reports.document.writing import write_report
from fdrnn.reports.errors import NothingToReportError
from fdrnn.reports.figures import figure1
from fdrnn.reports.missing import missing
from fdrnn.reports.numbers.bootstrap import Estimate
from fdrnn.reports.numbers.findings import Findings, read_evidence
from fdrnn.reports.numbers.table1 import table1
from fdrnn.reports.report import build
from fdrnn.reports.tables import table1 as tables_of_table1
from fdrnn.search import SPACES, SampleOrigin, Samples, Store, create_study, open_store
from fdrnn.search.design.halving import Halving
from fdrnn.search.store import tables

LEASED = {"lease_renewed": 2e9, "lease_expires": 2e9}


@pytest.fixture
def copied(golden: Store, tmp_path: Path) -> Store:
    """A copy of the golden store, to be changed."""
    assert golden.database.file is not None
    shutil.copy(golden.database.file, tmp_path / "copy.sqlite3")
    return open_store(str(tmp_path / "copy.sqlite3"))


def built(store: Store, names: Sequence[str] = (), *, of_exports: bool = False) -> Report:
    return build(read_evidence(store, names), of_exports=of_exports)


def figures(folder: Path) -> set[str]:
    return {path.name for path in (folder / "figures").iterdir()}


def test_every_table_and_figure_is_there(written: Path) -> None:
    names = {path.name for path in (written / "tables").iterdir()}
    stems = {
        "table1",
        "table1-intervals",
        "literature",
        "studies",
        "costs",
        "table3-jsb",
        "golden-fd-table2",
        "golden-plain-table2",
    }
    assert names == {f"{stem}.{suffix}" for stem in stems for suffix in ("csv", "md", "tex")}
    of_study = (
        "learning-curves",
        "spectral-radius",
        "gap",
        "best-of-k",
        "values",
        "importance",
        "cost",
    )
    stems = {f"golden-{network}-{one}" for network in ("fd", "plain") for one in of_study}
    stems |= {"figure1", "figure2-golden-fd"}
    assert figures(written) == {f"{stem}.{suffix}" for stem in stems for suffix in ("svg",)}


def test_the_same_store_gives_the_same_bytes(golden: Store, written: Path, tmp_path: Path) -> None:
    write_report(tmp_path, built(golden))
    files = {path.relative_to(written) for path in written.rglob("*") if path.is_file()}
    assert files == {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    for name in files:
        assert (written / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_the_csv_has_the_rows_of_table_1(golden: Store, written: Path) -> None:
    rows = read_evidence(golden).rows
    table = pd.read_csv(written / "tables" / "table1.csv")
    assert table["study"].tolist() == [row.study for row in rows]
    for column, expected in (
        ("valid_nll", [row.valid_nll for row in rows]),
        ("test_nll_pooled", [row.test_nll_pooled.value for row in rows]),
        ("test_nll_sequence_mean_high", [row.test_nll_sequence_mean.high for row in rows]),
    ):
        assert table[column].tolist() == pytest.approx(expected, 1e-9)


def test_an_untrained_study_says_so(tmp_path: Path, golden: Store) -> None:
    store = open_store(str(tmp_path / "new.sqlite3"), create=True)
    stored = golden.study("golden-fd")
    create_study(store, replace(stored.definition, name="new"), stored.data)
    report = built(store)
    lacking = " ".join(report.missing)
    assert "new is not finished: 8 of 8 trials are to be trained" in lacking
    assert "`fdrnn worker new` trains them." in lacking
    assert "fdrnn run new" not in lacking
    assert "No plain counterpart of new" in lacking
    assert "Figure 2 is not drawn" not in lacking  # it records the test NLL, but has no trial yet
    assert "Figure 2 is without new: no trial of it is selected." in lacking
    assert not [line for line in built(store, of_exports=True).missing if "`" in line]
    write_report(tmp_path / "report", report)
    assert figures(tmp_path / "report") == {"figure1.svg"}
    assert "No trial has finished yet." in (tmp_path / "report" / "report.html").read_text()


def test_an_unfinished_study_is_reported_as_far_as_it_is(copied: Store, tmp_path: Path) -> None:
    index = read_evidence(copied).rows[0].selected_trial
    _set(copied, tables.trials.c.config_index == index, state="running", valid_nll=None, **LEASED)
    report = built(copied, ["golden-fd"])
    assert report.missing[0].startswith("golden-fd is not finished: 1 of 8 trials")
    (row,) = read_evidence(copied, ["golden-fd"]).rows
    assert row.selected_trial not in {None, index}
    assert row.note == "provisional: 7 of 8 trials have finished"
    write_report(tmp_path / "report", report)
    assert "golden-fd-importance.svg" not in figures(tmp_path / "report")


def test_studies_with_one_test_sequence(copied: Store, tmp_path: Path) -> None:
    with copied.database.write() as connection:
        connection.execute(
            tables.test_sequences.delete().where(tables.test_sequences.c.sequence_index > 0)
        )
    findings = read_evidence(copied)
    for row in findings.rows:
        sequences = copied.study(row.study).test_sequences(row.selected_trial)
        assert row.test_nll_pooled.value == sequences.nll_sum[0] / sequences.n_steps[0]
        assert row.test_nll_pooled.low is None
    write_report(tmp_path / "report", built(copied))
    assert "nan" not in (tmp_path / "report" / "tables" / "table1.csv").read_text()


def test_a_study_of_diverged_trials_alone(copied: Store, tmp_path: Path) -> None:
    _set(copied, sa.true(), diverged=True, valid_nll=float("inf"), best_epoch=0)
    with copied.database.write() as connection:
        connection.execute(tables.test_sequences.delete())
    report = built(copied)
    assert sum("has no selected trial" in line for line in report.missing) == 2
    write_report(tmp_path / "report", report)
    assert "golden-fd-spectral-radius.svg" in figures(tmp_path / "report")
    assert "golden-fd-best-of-k.svg" not in figures(tmp_path / "report")


def test_the_plain_counterpart_that_comes_with_the_program_is_named(golden: Store) -> None:
    findings = read_evidence(golden, ["golden-fd"])
    names = ("piano", "jsb")
    rows = [replace(findings.rows[0], study=name, data=name) for name in names]
    known = Findings(rows, dict.fromkeys(names, findings.studies["golden-fd"]))
    (line,) = (one for one in missing(known) if "counterpart" in one)
    assert line.startswith("No plain counterpart of piano, jsb: ")
    assert line.endswith("`fdrnn run` makes `piano-plain`, `jsb-plain`, with the same options.")


def test_plain_rnns_are_no_counterpart_of_other_networks(golden: Store) -> None:
    findings = read_evidence(golden)
    lstm, plain = (
        replace(row, study=study, data="jsb", variant=variant, plain_study=beside)
        for row, study, variant, beside in zip(
            findings.rows,
            ("jsb-lstm-fast-dropout", "jsb-plain"),
            ("lstm_fast_dropout", "plain"),
            ("jsb-plain", None),
            strict=True,
        )
    )
    studies = dict(
        zip(("jsb-lstm-fast-dropout", "jsb-plain"), findings.studies.values(), strict=True)
    )
    (line,) = (one for one in missing(Findings([lstm, plain], studies)) if "counterpart" in one)
    assert line.startswith("No plain counterpart of jsb-lstm-fast-dropout: ")
    assert line.endswith("`fdrnn run` makes `jsb-lstm`, with the same options.")
    results = tables_of_table1.tables([lstm, plain])[0]
    assert any("jsb-plain (plain RNN)" in note for note in results.notes)


def test_a_network_without_dropout_lacks_no_counterpart(golden: Store) -> None:
    findings = read_evidence(golden, ["golden-fd"])
    rows = [
        replace(findings.rows[0], study=f"jsb-{name}", data="jsb", variant=name.replace("-", "_"))
        for name in ("stacked", "deep-output-fast-dropout")
    ]
    studies = {row.study: findings.studies["golden-fd"] for row in rows}
    (line,) = (one for one in missing(Findings(rows, studies)) if "counterpart" in one)
    assert line.startswith("No plain counterpart of jsb-deep-output-fast-dropout: ")
    assert line.endswith("`fdrnn run` makes `jsb-deep-output`, with the same options.")


def test_figure_2_has_the_plain_counterpart_that_records(copied: Store) -> None:
    """And not another plain study of the same settings, whose name comes first."""
    stored = copied.study("golden-plain")
    training = replace(stored.definition.training, record=())
    create_study(copied, replace(stored.definition, name="a-plain", training=training), stored.data)
    known = built(copied)
    figures2 = [
        one
        for section in known.overview
        for one in section.artefacts
        if one.name.startswith("figure2")
    ]
    assert [one.name for one in figures2] == ["figure2-golden-fd"]
    assert isinstance(figures2[0], Figure)
    assert "golden-plain" in figures2[0].caption


def test_figure_2_of_own_data_needs_no_study_of_the_paper(golden: Store) -> None:
    known = read_evidence(golden)
    rows = [replace(row, data="mine.npz", paper_fd=None) for row in known.rows]
    report = build(Findings(rows, known.studies))
    (section,) = (one for one in report.overview if one.anchor == "figures")
    assert section.title == "The paper's Figure 2"
    assert [one.name for one in section.artefacts] == ["figure2-golden-fd"]


def test_best_of_k_has_the_same_search_with_halving_beside_it(golden: Store) -> None:
    fd = read_evidence(golden).studies["golden-fd"]
    definition = replace(fd.definition, name="halved", halving=Halving((2,)))
    halved = replace(fd, study=replace(fd.study, definition=definition))
    studies = {one.name: one for one in (fd, halved)}
    report = build(Findings(table1(studies.values()), studies))
    captions = {
        one.name: one.caption
        for section in report.studies
        for one in section.artefacts
        if isinstance(one, Figure)
    }
    assert "those of halved (8, halving) took" in captions["golden-fd-best-of-k"]
    assert "those of golden-fd (8, no halving) took" in captions["halved-best-of-k"]


def test_without_a_compiler_figure_1_alone_is_missing(
    golden: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise ToolchainError("no C++ compiler: install one")

    monkeypatch.setattr(figure1, "_losses", refuse)
    report = built(golden)
    expected = "Figure 1 is not drawn, whose fields Theano computes: no C++ compiler: install one."
    assert expected in report.missing
    names = [one.name for section in report.overview for one in section.artefacts]
    assert "figure1" not in names
    assert "figure2-golden-fd" in names


def test_a_study_of_one_configuration_tells_of_no_draws(golden: Store, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "fixed.sqlite3"), create=True)
    stored = golden.study("golden-fd")
    definition = replace(stored.definition, name="fixed", space=SPACES["table3-jsb"], n_trials=1)
    create_study(store, definition, stored.data)
    _set(
        store, sa.true(), state="finished", diverged=False, valid_nll=8.1, best_epoch=1, n_epochs=1
    )
    report = built(store)
    artefacts = [one for part in (*report.overview, *report.studies) for one in part.artefacts]
    names = {one.name for one in artefacts}
    assert not names & {"fixed-best-of-k", "fixed-values", "fixed-importance"}
    (space,) = (one for one in artefacts if one.name == "fixed-table2")
    assert isinstance(space, Table)
    assert space.title == "The one configuration of the space table3-jsb"
    assert ("hidden units", "400") in space.rows
    (chosen,) = (one for one in artefacts if one.name == "table3-jsb")
    assert isinstance(chosen, Table)
    assert chosen.header == ("Hyperparameter", "Paper: FD", "fixed")
    assert "selected" not in chosen.title
    assert chosen.notes[0] == "Given by the study, neither drawn nor selected: fixed."


def test_failed_trials_are_missing(copied: Store) -> None:
    _set(copied, tables.trials.c.config_index == 0, state="failed", error="Traceback")
    lacking = " ".join(built(copied, ["golden-fd"]).missing)
    assert "golden-fd: 1 of 8 trials failed with a program error" in lacking
    assert "fdrnn study retry golden-fd" in lacking


def test_repeats_to_come_and_failed_ones_are_missing(golden: Store) -> None:
    findings = read_evidence(golden, ["golden-fd"])
    fd = findings.studies["golden-fd"]

    def lacking(**counts: int) -> list[str]:
        study = replace(fd.study, definition=replace(fd.definition, repeats=3))
        progress = replace(fd.progress, repeats_planned=3, **counts)
        made = with_reads(replace(fd, study=study), progress=progress)
        known = Findings(findings.rows, {"golden-fd": made})
        return [line for line in missing(known) if "repeat" in line]

    assert lacking() == []
    to_come = (
        "golden-fd: {} of 3 repeats of the selected configuration are to be trained. `fdrnn worker "
        "golden-fd` trains them."
    )
    failed = (
        "golden-fd: 1 of 3 repeats of the selected configuration failed with a program error. "
        "`fdrnn study status golden-fd` shows it, `fdrnn study retry golden-fd` retries them."
    )
    assert lacking(repeats_left=3) == [to_come.format(3)]
    assert lacking(repeats_left=1, repeats_failed=1) == [to_come.format(1), failed]


def test_a_repeat_is_not_the_selected_trial(copied: Store) -> None:
    """Where an extension trains all draws further, nothing is selected; a repeat is still there."""
    trial = tables.trials.c
    ours = trial.study_id == copied.study("golden-fd").study_id
    _set(copied, ours & (trial.config_index == 7), config_index=-1, repeat_of=0)
    nothing = {"diverged": None, "n_epochs": None, "best_epoch": None, "valid_nll": None}
    _set(copied, ours & (trial.config_index >= 0), state="waiting", **nothing)
    assert len(copied.study("golden-fd").test_sequences(-1)) > 0
    (row,) = read_evidence(copied, ["golden-fd"]).rows
    assert row.selected_trial is None
    assert row.test_nll_pooled == Estimate()


def test_a_trial_that_ends_while_a_report_is_made(copied: Store, tmp_path: Path) -> None:
    # A report on the store of one moment: the same bytes whether or not it changes meanwhile.
    with copied.database.write() as connection:
        columns = (tables.epochs.c.trial_id, tables.epochs.c.epoch)
        ours = sa.select(tables.trials.c.trial_id).where(
            tables.trials.c.study_id == copied.study("golden-fd").study_id
        )
        query = sa.select(*columns).where(columns[0].in_(ours)).order_by(columns[1].desc()).limit(1)
        last = connection.execute(query).one()
    _set(copied, tables.trials.c.config_index == 3, state="running", valid_nll=None, **LEASED)
    write_report(tmp_path / "still", built(copied))
    report = built(copied)
    _set(
        copied,
        tables.trials.c.config_index == 3,
        state="finished",
        valid_nll=1.0,
        best_epoch=1,
        n_epochs=1,
    )
    with copied.database.write() as connection:
        query = sa.select(tables.epochs).where(
            tables.epochs.c.trial_id == last.trial_id, tables.epochs.c.epoch == last.epoch
        )
        record = dict(connection.execute(query).one()._mapping) | {"epoch": last.epoch + 1}
        connection.execute(tables.epochs.insert().values(record))
    write_report(tmp_path / "changing", report)
    for path in (tmp_path / "still").rglob("*"):
        if path.is_file():
            other = tmp_path / "changing" / path.relative_to(tmp_path / "still")
            assert path.read_bytes() == other.read_bytes(), path.name


def test_the_music_that_is_kept_is_shown(copied: Store, tmp_path: Path) -> None:
    index = read_evidence(copied).rows[0].selected_trial
    assert index is not None
    frames = np.random.default_rng(0).integers(0, 2, (12, 88), dtype=np.uint8)
    origin = SampleOrigin(
        sequence=5,
        sequence_length=60,
        n_given=4,
        seed=1,
        step_quarters=1.0,
        code_version="0.1.0",
    )
    kept = Samples(
        config_index=index,
        excerpt=frames,
        predictions=np.full((11, 88), 0.25),
        sample=frames,
        origin=origin,
    )
    copied.study("golden-fd").keep_samples(kept)
    report = built(copied)
    assert "No sample of golden-plain. `fdrnn sample STUDY`" in " ".join(report.missing)
    write_report(tmp_path / "report", report)
    assert "golden-fd-music.svg" in figures(tmp_path / "report")
    for name in ("excerpt", "sample"):
        file = tmp_path / "report" / "files" / f"golden-fd-{name}.mid"
        assert file.read_bytes().startswith(b"MThd")
    text = (tmp_path / "report" / "report.html").read_text()
    assert 'href="files/golden-fd-sample.mid"' in text
    assert "a mean probability of 0.25 for the notes that sound" in text


def _set(store: Store, which: sa.ColumnElement[bool], **changes: object) -> None:
    if changes.get("state") in ("running", "failed"):
        changes |= {"n_epochs": None, "best_epoch": None}
    if changes.get("state") == "running":
        changes |= {"worker": "ada-1", "host": "ada", "pid": 1, "attempt": 1}
        changes |= {"lease_renewed": 0.0, "lease_expires": 0.0}
    elif "state" in changes:
        changes |= {"lease_renewed": None, "lease_expires": None}
    with store.database.write() as connection:
        connection.execute(tables.trials.update().where(which).values(**changes))


def test_an_empty_store(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "empty.sqlite3"), create=True)
    with pytest.raises(NothingToReportError, match="holds no study"):
        built(store)


def test_a_report_that_cannot_be_written_leaves_nothing(golden: Store, tmp_path: Path) -> None:
    (tmp_path / "report.html" / "in the way").mkdir(parents=True)
    with pytest.raises(FileError):
        write_report(tmp_path, built(golden, ["golden-plain"]))
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_pdf_and_progress_on_request_and_no_figures(golden: Store, tmp_path: Path) -> None:
    lines: list[str] = []
    findings = read_evidence(golden, ["golden-plain"])
    write_report(tmp_path / "a", build(findings), pdf=True, progress=lines.append)
    assert {"golden-plain-gap.svg", "golden-plain-gap.pdf"} <= figures(tmp_path / "a")
    assert 'href="figures/golden-plain-gap.pdf"' in (tmp_path / "a" / "report.html").read_text()
    assert lines == [f"figure {number} of 9" for number in range(1, 10)]
    write_report(tmp_path / "b", build(findings, figures=False))
    assert not (tmp_path / "b" / "figures").exists()
    tables = {path.name for path in (tmp_path / "a" / "tables").iterdir()}
    assert tables == {path.name for path in (tmp_path / "b" / "tables").iterdir()}
