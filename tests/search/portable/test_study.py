"""Studies as files: what goes in comes out to the last bit, or not at all."""

from __future__ import annotations

import io
import json
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import optuna
import pandas as pd
import pytest
import sqlalchemy as sa
from filled_study import everything, fill, take, without

from fdrnn.datasets.errors import UnknownNameError
from fdrnn.search import (
    DefinitionError,
    PortableFileError,
    PortableStudy,
    Space,
    Store,
    StudyConflictError,
    create_study,
    draw,
    run_worker,
)
from fdrnn.search.portable import study as portable_study
from fdrnn.search.store import tables
from fdrnn.search.store.tables import TrialState
from fdrnn.search.work.administration import delete_studies
from fdrnn.search.work.claiming import claim, this_worker


def test_there_and_back_without_loss(
    store: Store, other: Store, fake: ModuleType, tmp_path: Path
) -> None:
    fill(store, fake)
    before = everything(store, "noise")
    path = tmp_path / "noise.zip"
    exported = PortableStudy.from_study(store.study("noise"), weights=True)
    exported.write(path)
    assert exported.counts == {"finished": 2, "failed": 1, "waiting": 4}
    assert (exported.n_resumed, exported.n_restarted, exported.n_epochs_left_out) == (2, 1, 2)
    imported = PortableStudy.read(path)
    imported.insert(other)
    assert imported.counts == exported.counts
    assert (imported.n_resumed, imported.n_restarted) == (2, 1)
    after = everything(other, "noise")
    for name in ("study", "fdrnn_test_sequences", "fdrnn_parameters", "fdrnn_samples"):
        assert after[name] == before[name]
    assert after["fdrnn_checkpoints"] == before["fdrnn_checkpoints"]
    # Of running trials only: 3 goes on after its checkpoint at epoch 2, 4 begins anew.
    for name in ("fdrnn_epochs", "fdrnn_measurements"):
        gone = [row for row in before[name] if row[0] == 4 or (row[0] == 3 and row[1] == "3")]
        assert len(gone) == 2
        assert after[name] == [row for row in before[name] if row not in gone]
    ended = [row for row in before["fdrnn_trials"] if row[0] in {0, 1, 2, 5, 6}]
    assert [row for row in after["fdrnn_trials"] if row in ended] == ended
    back = tmp_path / "back.zip"
    PortableStudy.from_study(other.study("noise"), weights=True).write(back)
    assert back.read_bytes() == path.read_bytes()
    PortableStudy.read(back).insert(store, "again")
    renamed = everything(store, "again")
    assert renamed["study"][0].pop("name") == "again"
    assert after["study"][0].pop("name") == "noise"
    assert renamed == after


def test_rows_are_inserted_in_blocks(
    store: Store, other: Store, fake: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(other, fake)
    PortableStudy.from_study(other.study("noise"), weights=True).write(tmp_path / "noise.zip")
    monkeypatch.setattr(portable_study, "BLOCK_ROWS", 3)
    sizes = []

    def noted(connection: object, cursor: object, *about: object) -> None:
        statement, parameters, _, many = about
        if str(statement).startswith("INSERT") and many:
            assert isinstance(parameters, list)
            sizes.append(len(parameters))

    sa.event.listen(store.database.engine, "before_cursor_execute", noted)
    PortableStudy.read(tmp_path / "noise.zip").insert(store, mirrored=False)
    assert max(sizes) == 3
    PortableStudy.from_study(store.study("noise"), weights=True).write(tmp_path / "back.zip")
    assert (tmp_path / "back.zip").read_bytes() == (tmp_path / "noise.zip").read_bytes()


def test_draws_of_an_own_space_keep_their_bits(
    store: Store, other: Store, fake: ModuleType, tmp_path: Path
) -> None:
    own = {
        "extends": "table2-wide",
        "n_hidden": {"int": [64, 512], "log": True, "step": 8},
        "step_rate": {"float": [1e-4, 1e-2], "log": True},
        "dropout_hidden_to_hidden": {"float": [0.0, 0.95]},
        "momentum": 0.99,
        "dropout_hidden_to_output": {
            "choices": [0.0, 0.2],
            "when": {"fast_dropout_final_layer": True},
        },
        "batch_size": [9, 27, 54],
    }
    space = Space.from_mapping(own, "own")
    definition = replace(fake.definition(n_trials=40), space=space)
    create_study(store, definition, fake.DATA)
    PortableStudy.from_study(store.study("noise")).write(tmp_path / "noise.zip")
    PortableStudy.read(tmp_path / "noise.zip").insert(other)
    drawn = [one.hyperparameters for one in draw(space, definition.seed, range(40))]
    for study in (store.study("noise"), other.study("noise")):
        assert study.definition == definition
        assert [study.trial(index).hyperparameters for index in range(40)] == drawn


def test_unfinished_trials_wait_under_their_attempts_number(
    store: Store, other: Store, fake: ModuleType, tmp_path: Path
) -> None:
    fill(store, fake)
    PortableStudy.from_study(store.study("noise")).write(tmp_path / "noise.zip")
    PortableStudy.read(tmp_path / "noise.zip").insert(other)
    table = other.study("noise").trials().set_index("config_index")
    assert table["state"].tolist() == ["finished"] * 2 + ["failed"] + ["waiting"] * 4
    assert table["n_epochs"].tolist() == [3, 2, 2, 2, 0, 1, 0]
    assert table["machine"].isna().tolist() == [False, False, True, False, True, True, True]
    assert table["worker"].isna().tolist() == [False, False, False, True, True, True, True]
    with other.database.read() as connection:
        assert connection.scalars(sa.select(tables.trials.c.stalls)).all() == [0] * 7
    lease = take(other, other.study("noise").study_id)
    assert (lease.config_index, lease.attempt) == (3, 2)
    assert (lease.epoch, lease.checkpoint) == (2, b"\x00\xff state of 3")


def test_a_failed_trial_is_retried_elsewhere_from_its_checkpoint(
    store: Store, other: Store, fake: ModuleType
) -> None:
    study = create_study(store, fake.definition(n_trials=1), fake.DATA)
    lease = claim(store.database, study.study_id, this_worker(), 60.0)
    assert lease
    lease.write([fake.record(lease.seed, 1)], b"after 1")
    lease.fail("Traceback: no memory")
    PortableStudy.from_study(study).insert(other)
    there = other.study("noise")
    assert there.retry_failed() == 1
    again = claim(other.database, there.study_id, this_worker(), 60.0)
    assert again
    assert (again.epoch, again.checkpoint) == (1, b"after 1")


def test_without_checkpoints_the_unfinished_begin_anew(
    store: Store, other: Store, fake: ModuleType, tmp_path: Path
) -> None:
    fill(store, fake)
    exported = PortableStudy.from_study(store.study("noise"), checkpoints=False)
    exported.write(tmp_path / "noise.zip")
    assert (exported.n_resumed, exported.n_restarted, exported.n_epochs_left_out) == (0, 3, 5)
    PortableStudy.read(tmp_path / "noise.zip").insert(other)
    table = other.study("noise").trials()
    assert table["n_epochs"].tolist() == [3, 2, 2, 0, 0, 0, 0]
    assert table["machine"].isna().tolist() == [False, False, True, True, True, True, True]
    assert everything(other, "noise")["fdrnn_checkpoints"] == []
    lease = take(other, other.study("noise").study_id)
    assert (lease.attempt, lease.epoch, lease.checkpoint) == (2, 0, None)


def test_weights_are_left_out_unless_asked_for(
    store: Store, other: Store, fake: ModuleType, tmp_path: Path
) -> None:
    fill(store, fake)
    before = everything(store, "noise")
    PortableStudy.from_study(store.study("noise")).write(tmp_path / "noise.zip")
    PortableStudy.read(tmp_path / "noise.zip").insert(other)
    after = everything(other, "noise")
    assert after["fdrnn_parameters"] == []
    assert after["fdrnn_samples"] == before["fdrnn_samples"]


def test_an_interrupted_study_goes_on_elsewhere_to_the_same_numbers(
    store: Store, other: Store, url: str, fake: ModuleType, tmp_path: Path
) -> None:
    definition = fake.definition(n_trials=3, n_epochs=4)
    create_study(store, definition, fake.DATA)
    epochs = iter(range(6))
    run_worker(url, "noise", stop=lambda: next(epochs, None) is None, settings=fake.settings())
    PortableStudy.from_study(store.study("noise")).write(tmp_path / "noise.zip")
    PortableStudy.read(tmp_path / "noise.zip").insert(other)
    assert 0 < len(other.study("noise").curves()) < 12
    run_worker(other.database.url, "noise", settings=fake.settings())
    table = other.study("noise").trials()
    assert table["state"].tolist() == ["finished"] * 3
    expected = [
        {"config_index": row.config_index, **fake.curve_row(row.seed, epoch)}
        for row in table.itertuples()
        for epoch in range(1, 5)
    ]
    pd.testing.assert_frame_equal(
        other.study("noise").curves(), pd.DataFrame(expected), check_exact=True
    )


def test_the_same_study_gives_the_same_bytes(
    store: Store, fake: ModuleType, tmp_path: Path
) -> None:
    fill(store, fake)
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    PortableStudy.from_study(store.study("noise")).write(one)
    os.utime(one, (0, 0))
    PortableStudy.from_study(store.study("noise")).write(two)
    assert one.read_bytes() == two.read_bytes()


def test_an_export_sees_one_state_of_the_store(store: Store, fake: ModuleType) -> None:
    study_id = create_study(store, fake.definition(), fake.DATA).study_id
    count = sa.select(sa.func.count()).where(tables.trials.c.state == TrialState.RUNNING)
    with ThreadPoolExecutor() as pool, store.database.snapshot() as connection:
        assert connection.scalar(count) == 0
        claimed = pool.submit(take, store, study_id)
        # SQLite lets the writer wait, PostgreSQL lets it go on.
        wait([claimed], timeout=0.5)
        assert connection.scalar(count) == 0
    assert claimed.result().attempt == 1
    with store.database.read() as connection:
        assert connection.scalar(count) == 1


def test_the_mirror_is_filled(store: Store, url: str, fake: ModuleType, tmp_path: Path) -> None:
    fill(store, fake)
    PortableStudy.from_study(store.study("noise")).write(tmp_path / "noise.zip")
    PortableStudy.read(tmp_path / "noise.zip").insert(store, "copy")
    mirrored = optuna.load_study(study_name="copy", storage=store.database.url).trials
    states = [trial.state.name for trial in mirrored]
    assert states == ["COMPLETE", "COMPLETE", "FAIL", *["WAITING"] * 4]
    assert mirrored[0].value == store.study("copy").trials()["valid_nll"][0]


def test_the_file_is_read_without_fdrnn(store: Store, fake: ModuleType, tmp_path: Path) -> None:
    fill(store, fake)
    PortableStudy.from_study(store.study("noise"), weights=True).write(tmp_path / "noise.zip")
    with zipfile.ZipFile(tmp_path / "noise.zip") as archive:
        manifest = json.loads(archive.read("manifest.json"))
        columns, *rows = map(json.loads, archive.read("epochs.jsonl").splitlines())
        weights = np.load(io.BytesIO(archive.read("parameters/0/W_rec.npy")))
    assert manifest["study"] == "noise"
    assert (manifest["format_version"], manifest["schema_version"]) == (2, tables.SCHEMA_VERSION)
    first = dict(zip(columns, rows[0], strict=True))
    assert first["train_nll"] == fake.record(1, 1).train_nll
    hard = dict(zip(columns, rows[3], strict=True))
    assert (hard["train_nll"], hard["valid_nll_counted"]) == ("inf", "-inf")
    assert hard["gradient_norm"] is None
    np.testing.assert_array_equal(weights, fake.result(1, 3).parameters["W_rec"])


def test_a_full_study_is_small_enough_to_keep(
    store: Store, fake: ModuleType, tmp_path: Path
) -> None:
    study_id = create_study(store, fake.definition(n_trials=32), fake.DATA).study_id
    with store.database.write() as connection:
        trial_ids = connection.scalars(
            sa.select(tables.trials.c.trial_id).where(tables.trials.c.study_id == study_id)
        ).all()
        for table in (tables.epochs, tables.measurements):
            rows = [
                {"trial_id": trial_id, "name": "test_nll_pooled", "value": measured} | vars(record)
                for trial_id in trial_ids
                for record in (fake.record(trial_id, epoch) for epoch in range(1, 301))
                for measured in record.measurements.values()
            ]
            connection.execute(
                table.insert(),
                [{column.name: row[column.name] for column in table.c} for row in rows],
            )
        connection.execute(tables.trials.update().values(state=TrialState.FINISHED, n_epochs=300))
    PortableStudy.from_study(store.study("noise")).write(tmp_path / "noise.zip")
    assert (tmp_path / "noise.zip").stat().st_size < 700_000


def test_the_very_same_study_again_changes_nothing(
    store: Store, other: Store, fake: ModuleType, tmp_path: Path
) -> None:
    fill(store, fake)
    path = tmp_path / "noise.zip"
    exported = PortableStudy.from_study(store.study("noise"))
    exported.write(path)
    assert exported.insert(other)
    before = everything(other, "noise")
    assert not exported.insert(other)
    assert everything(other, "noise") == before
    take(other, other.study("noise").study_id).fail("broken since")
    with pytest.raises(StudyConflictError, match=r"'noise'.* differs from the file's.*--name"):
        PortableStudy.read(path).insert(other)
    PortableStudy.read(path).insert(other, "noise-2")
    assert other.study_names() == ["noise", "noise-2"]
    assert without(everything(other, "noise-2"), "study") == without(before, "study")
    with pytest.raises(DefinitionError, match="name must be"):
        PortableStudy.read(path).insert(other, "no name")


def test_an_unknown_study(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown study 'noise'"):
        PortableStudy.from_study(store.study("noise")).write(tmp_path / "noise.zip")
    assert not (tmp_path / "noise.zip").exists()


def test_nothing_else_is_replaced_and_nothing_left_half_written(
    store: Store, fake: ModuleType, tmp_path: Path
) -> None:
    fill(store, fake)
    notes = tmp_path / "notes.txt"
    notes.write_text("a year's work")
    with pytest.raises(PortableFileError, match=r"notes.txt exists and is no exported study"):
        PortableStudy.from_study(store.study("noise")).write(notes)
    assert notes.read_text() == "a year's work"
    with pytest.raises(PortableFileError, match=r"/noise.zip cannot be written: File exists"):
        PortableStudy.from_study(store.study("noise")).write(notes / "noise.zip")
    with pytest.raises(PortableFileError, match="exists and is no exported study"):
        PortableStudy.from_study(store.study("noise")).write(tmp_path)
    assert not list(tmp_path.glob(".fdrnn-*"))


def test_an_export_of_a_deleted_study_is_one_line(store: Store, fake: ModuleType) -> None:
    study = create_study(store, fake.definition(n_trials=1), fake.DATA)
    delete_studies(store, [study.name])
    with pytest.raises(StudyConflictError, match="has been deleted meanwhile"):
        PortableStudy.from_study(study)
