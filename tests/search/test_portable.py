"""Studies as files: what goes in comes out to the last bit, or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import shutil
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
import sqlalchemy as sa

from fdrnn.datasets.errors import UnknownNameError
from fdrnn.search import (
    DefinitionError,
    PortableFileError,
    PortableStudy,
    Store,
    StudyConflictError,
    create_study,
    curves,
    export_study,
    import_study,
    open_store,
    tables,
    trials,
    work,
)
from fdrnn.search.claims import WorkerIdentity, claim
from fdrnn.search.lease import Lease

ADA = WorkerIdentity("ada-1", "ada", 1)
MACHINE = "some CPU; openblas 0.3, 1 thread"
HARD = (math.inf, -math.inf, math.nan, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, -1.0 / 3.0)


@pytest.fixture
def other(initialized_file: Path, tmp_path: Path) -> Store:
    """A store beside `store`."""
    return open_store(str(shutil.copy(initialized_file, tmp_path / "other.sqlite3")))


@pytest.fixture(scope="module")
def content(
    initialized_file: Path, fake: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> bytes:
    """What a file of `fill` holds."""
    folder = tmp_path_factory.mktemp("content")
    store = open_store(str(shutil.copy(initialized_file, folder)))
    fill(store, fake)
    export_study(store, "noise", folder / "noise.zip")
    return (folder / "noise.zip").read_bytes()


@pytest.fixture
def path(content: bytes, tmp_path: Path) -> Path:
    """A file of `fill`, to be spoiled."""
    (tmp_path / "noise.zip").write_bytes(content)
    return tmp_path / "noise.zip"


def take(store: Store, study_id: int) -> Lease:
    lease = claim(store.database, study_id, ADA, 60.0)
    assert lease is not None
    return lease


def fill(store: Store, fake: ModuleType) -> None:
    """A study with a trial of every kind."""
    study_id = create_study(store, fake.definition(n_trials=7), fake.DATA).study_id
    create_study(store, fake.definition("bystander", n_trials=2), fake.DATA)
    finished, diverged, failed, running, unsaved, released = (
        take(store, study_id) for _ in range(6)
    )
    finished.write([fake.record(1, epoch) for epoch in (1, 2, 3)], b"a state")
    finished.finish(replace(fake.result(1, 3), diverged=False), MACHINE)
    hard = dict(zip(("train_nll", "valid_nll_counted", "gradient_norm"), HARD, strict=False))
    diverged.write(
        [
            replace(fake.record(2, 1), **hard, measurements={"x": HARD[3], "y": HARD[4]}),
            replace(
                fake.record(2, 2), train_nll=HARD[5], measurements={"x": HARD[6], "y": HARD[2]}
            ),
        ]
    )
    diverged.finish(
        replace(fake.result(2, 2), valid_nll=math.inf, valid_nll_masked=math.nan, best_epoch=None),
        MACHINE,
    )
    failed.write([fake.record(3, 1)], b"state of 2")
    failed.write([fake.record(3, 2)])
    failed.fail('Traceback:\n  "Größe" \\ 0\t')
    running.write([fake.record(4, epoch) for epoch in (1, 2)], b"\x00\xff state of 3", MACHINE)
    running.write([fake.record(4, 3)])
    unsaved.write([fake.record(5, 1)])
    released.write([fake.record(6, 1)], b"")
    released.release()
    sample = np.arange(6, dtype=np.uint8).reshape(2, 3)
    with store.database.write() as connection:
        connection.execute(
            tables.samples.insert(),
            [
                {
                    "trial_id": finished.trial_id,
                    "name": name,
                    "dtype": array.dtype.str,
                    "shape": list(array.shape),
                    "data": array.tobytes(),
                    "about": about,
                }
                for name, array, about in (
                    ("sample", sample, {"seed": 3, "temperature": 0.1}),
                    ("Excerpt", sample.astype(">f8").T.copy(), None),
                )
            ],
        )


def everything(store: Store, study: str) -> dict[str, Any]:
    """Every row of a study, NaN made comparable, without the keys of its store."""
    trial_keys = sa.select(tables.trials.c.trial_id, tables.trials.c.config_index)
    found: dict[str, Any] = {}
    with store.database.read() as connection:
        row = connection.execute(
            sa.select(tables.studies).where(tables.studies.c.name == study)
        ).one()
        indices = dict(
            connection.execute(trial_keys.where(tables.trials.c.study_id == row.study_id)).all()
        )
        found["study"] = [row._mapping[key] for key in ("definition", "data", "created_at")]
        for table in tables.metadata.sorted_tables:
            if "trial_id" not in table.c:
                continue
            rows = connection.execute(sa.select(table).where(table.c.trial_id.in_(indices)))
            found[table.name] = sorted(
                [
                    (indices[one["trial_id"]], *map(repr, list(one.values())[1:]))
                    for one in (dict(row._mapping) | {"study_id": 0} for row in rows)
                ]
            )
    return found


def without(rows: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in rows.items() if name not in names}


def test_there_and_back_without_loss(
    store: Store, other: Store, fake: ModuleType, tmp_path: Path
) -> None:
    fill(store, fake)
    before = everything(store, "noise")
    path = tmp_path / "noise.zip"
    exported = export_study(store, "noise", path, weights=True)
    assert exported.counts == {"finished": 2, "failed": 1, "waiting": 4}
    assert (exported.n_resumed, exported.n_restarted, exported.n_epochs_left_out) == (2, 1, 2)
    imported = import_study(other, path)
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
    export_study(other, "noise", back, weights=True)
    assert back.read_bytes() == path.read_bytes()
    import_study(store, back, "again")
    renamed = everything(store, "again")
    assert renamed["study"][0].pop("name") == "again"
    assert after["study"][0].pop("name") == "noise"
    assert renamed == after


def test_unfinished_trials_wait_under_their_attempts_number(
    store: Store, other: Store, fake: ModuleType, tmp_path: Path
) -> None:
    fill(store, fake)
    export_study(store, "noise", tmp_path / "noise.zip")
    import_study(other, tmp_path / "noise.zip")
    table = trials(other, "noise").set_index("config_index")
    assert table["state"].tolist() == ["finished"] * 2 + ["failed"] + ["waiting"] * 4
    assert table["n_epochs"].tolist() == [3, 2, 2, 2, 0, 1, 0]
    assert table["machine"].isna().tolist() == [False, False, True, False, True, True, True]
    assert table["worker"].isna().tolist() == [False, False, False, True, True, True, True]
    with other.database.read() as connection:
        assert connection.scalars(sa.select(tables.trials.c.stalls)).all() == [0] * 7
    lease = take(other, other.study("noise").study_id)
    assert (lease.config_index, lease.attempt) == (3, 2)
    assert (lease.epoch, lease.checkpoint) == (2, b"\x00\xff state of 3")


def test_without_checkpoints_the_unfinished_begin_anew(
    store: Store, other: Store, fake: ModuleType, tmp_path: Path
) -> None:
    fill(store, fake)
    exported = export_study(store, "noise", tmp_path / "noise.zip", checkpoints=False)
    assert (exported.n_resumed, exported.n_restarted, exported.n_epochs_left_out) == (0, 3, 5)
    import_study(other, tmp_path / "noise.zip")
    table = trials(other, "noise")
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
    export_study(store, "noise", tmp_path / "noise.zip")
    import_study(other, tmp_path / "noise.zip")
    after = everything(other, "noise")
    assert after["fdrnn_parameters"] == []
    assert after["fdrnn_samples"] == before["fdrnn_samples"]


def test_an_interrupted_study_goes_on_elsewhere_to_the_same_numbers(
    store: Store, other: Store, url: str, fake: ModuleType, tmp_path: Path
) -> None:
    definition = fake.definition(n_trials=3, n_epochs=4)
    create_study(store, definition, fake.DATA)
    epochs = iter(range(6))
    work(url, "noise", stop=lambda: next(epochs, None) is None, settings=fake.settings())
    export_study(store, "noise", tmp_path / "noise.zip")
    import_study(other, tmp_path / "noise.zip")
    assert 0 < len(curves(other, "noise")) < 12
    work(other.database.url, "noise", settings=fake.settings())
    table = trials(other, "noise")
    assert table["state"].tolist() == ["finished"] * 3
    expected = [
        {"config_index": row.config_index, **fake.curve_row(row.seed, epoch)}
        for row in table.itertuples()
        for epoch in range(1, 5)
    ]
    pd.testing.assert_frame_equal(curves(other, "noise"), pd.DataFrame(expected), check_exact=True)


def test_the_same_study_gives_the_same_bytes(
    store: Store, fake: ModuleType, tmp_path: Path
) -> None:
    fill(store, fake)
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    export_study(store, "noise", one)
    os.utime(one, (0, 0))
    export_study(store, "noise", two)
    assert one.read_bytes() == two.read_bytes()


def test_an_export_sees_one_state_of_the_store(store: Store, fake: ModuleType) -> None:
    study_id = create_study(store, fake.definition(), fake.DATA).study_id
    count = sa.select(sa.func.count()).where(tables.trials.c.state == tables.RUNNING)
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
    export_study(store, "noise", tmp_path / "noise.zip")
    import_study(store, tmp_path / "noise.zip", "copy")
    mirrored = optuna.load_study(study_name="copy", storage=store.database.url).trials
    states = [trial.state.name for trial in mirrored]
    assert states == ["COMPLETE", "COMPLETE", "FAIL", *["WAITING"] * 4]
    assert mirrored[0].value == trials(store, "copy")["valid_nll"][0]


def test_the_file_is_read_without_fdrnn(store: Store, fake: ModuleType, tmp_path: Path) -> None:
    fill(store, fake)
    export_study(store, "noise", tmp_path / "noise.zip", weights=True)
    with zipfile.ZipFile(tmp_path / "noise.zip") as archive:
        manifest = json.loads(archive.read("manifest.json"))
        columns, *rows = map(json.loads, archive.read("epochs.jsonl").splitlines())
        weights = np.load(io.BytesIO(archive.read("parameters/0/W_rec.npy")))
    assert manifest["study"] == "noise"
    assert (manifest["format_version"], manifest["schema_version"]) == (1, tables.SCHEMA_VERSION)
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
        connection.execute(tables.trials.update().values(state=tables.FINISHED))
    export_study(store, "noise", tmp_path / "noise.zip")
    assert (tmp_path / "noise.zip").stat().st_size < 700_000


def test_the_very_same_study_again_changes_nothing(
    store: Store, other: Store, fake: ModuleType, tmp_path: Path
) -> None:
    fill(store, fake)
    path = tmp_path / "noise.zip"
    exported = export_study(store, "noise", path)
    assert exported.insert(other)
    before = everything(other, "noise")
    assert not exported.insert(other)
    assert everything(other, "noise") == before
    take(other, other.study("noise").study_id).fail("broken since")
    with pytest.raises(StudyConflictError, match=r"'noise'.* not as the file has it.*--name"):
        import_study(other, path)
    import_study(other, path, "noise-2")
    assert other.study_names() == ["noise", "noise-2"]
    assert without(everything(other, "noise-2"), "study") == without(before, "study")
    with pytest.raises(DefinitionError, match="name must be"):
        import_study(other, path, "no name")


def test_an_unknown_study(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown study 'noise'"):
        export_study(store, "noise", tmp_path / "noise.zip")
    assert not (tmp_path / "noise.zip").exists()


def rewritten(path: Path, change: Callable[[dict[str, bytes], dict[str, Any]], None]) -> Path:
    """Write the file again after a change to its members and manifest."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    change(members, manifest)
    changed = path.with_name("changed.zip")
    with zipfile.ZipFile(changed, "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        for name, content in members.items():
            archive.writestr(name, content)
    return changed


def _newer_format(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["format_version"] = 2


def _newer_schema(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["schema_version"] = tables.SCHEMA_VERSION + 1


def _another_format(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["format"] = "holiday-photographs"


def _no_members(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    del manifest["members"]


def _edited(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    members["epochs.jsonl"] += b"\n"


def _missing(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    del members["trials.jsonl"]


def _missing_altogether(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
    del members["trials.jsonl"], manifest["members"]["trials.jsonl"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_newer_format, "has format version 2, this fdrnn reads versions up to 1; a newer fdrnn"),
        (_newer_schema, "has schema version .*; a newer fdrnn"),
        (_another_format, "is no exported study"),
        (_no_members, "manifest is incomplete"),
        (_edited, "epochs.jsonl has another SHA-256"),
        (_missing, "no item named 'trials.jsonl'"),
        (_missing_altogether, "'trials.jsonl' is missing"),
    ],
)
def test_a_file_that_is_not_as_it_should_be(
    path: Path, change: Callable[[dict[str, bytes], dict[str, Any]], None], message: str
) -> None:
    changed = rewritten(path, change)
    with pytest.raises(PortableFileError, match=message) as caught:
        PortableStudy.read(changed)
    assert str(changed) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("member", "old", "new", "message"),
    [
        (
            "trials.jsonl",
            b'"seed"',
            b'"sead"',
            "trials.jsonl must have the columns config_index, s",
        ),
        ("trials.jsonl", b'"finished"', b'"asleep"', "trial 0: state must be .*, got 'asleep'"),
        ("trials.jsonl", b"\n[6,", b"\n[5,", "trials must be 0 to 6, each once"),
        ("trials.jsonl", b'"momentum":0.', b'"momentum":7.', "momentum = 7"),
        ("epochs.jsonl", b"\n[0,1,", b'\n[0,"1",', "line 2: epoch must be an integer, got '1'"),
        ("epochs.jsonl", b"\n[0,1,", b"\n[0,null,", "line 2: epoch must not be null"),
        ("epochs.jsonl", b"\n[0,1,", b"\n[0,2,", "a row of epochs stands twice"),
        ("epochs.jsonl", b"\n[0,1,", b"\n[9,1,", "a row of epochs belongs to no trial"),
        ("epochs.jsonl", b"\n[0,1,", b"\n[0,1,1,", "line 2: it must be a list of 9 values"),
        (
            "samples.jsonl",
            b"samples/0/",
            b"samples/1/",
            "member 'samples/1/Excerpt.npy' is missing",
        ),
        ("samples/0/sample.npy", b"NUMPY", b"LUMPY", "samples.jsonl, line 3: Cannot load"),
        ("study.json", b'"seed": 7', b'"seed": -7', "seed must be in 0"),
        ("study.json", b'"title"', b'"tale"', "unexpected keyword argument 'tale'"),
        ("study.json", b'"code_version"', b'"cod_version"', "the study must have the keys"),
    ],
)
def test_contents_that_are_no_study(
    path: Path, member: str, old: bytes, new: bytes, message: str
) -> None:
    def change(members: dict[str, bytes], manifest: dict[str, Any]) -> None:
        assert old in members[member]
        members[member] = members[member].replace(old, new)
        manifest["members"][member] = hashlib.sha256(members[member]).hexdigest()

    with pytest.raises(PortableFileError, match=message):
        PortableStudy.read(rewritten(path, change))


def test_damage_at_any_place_is_noticed(other: Store, path: Path, content: bytes) -> None:
    import_study(other, path)
    for end in range(0, len(content), 499):
        path.write_bytes(content[:end])
        with pytest.raises(PortableFileError):
            PortableStudy.read(path)
    n_noticed = 0
    for position in range(0, len(content), 499):
        path.write_bytes(
            content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :]
        )
        try:
            portable = PortableStudy.read(path)
        except PortableFileError:
            n_noticed += 1
        else:
            # A byte of the archive's own that means nothing here, such as a time stamp.
            assert not portable.insert(other)
    assert n_noticed > len(content) / 499 / 2


def test_a_failing_import_leaves_the_store_as_it_was(other: Store, path: Path) -> None:
    with other.database.write() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON fdrnn_checkpoints "
            "BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
    with pytest.raises(sa.exc.IntegrityError, match="no room"):
        import_study(other, path)
    assert other.study_names() == []


def test_what_is_no_file(other: Store, tmp_path: Path) -> None:
    with pytest.raises(PortableFileError, match=r"cannot read .*none.zip: No such file"):
        import_study(other, tmp_path / "none.zip")
    (tmp_path / "notes.zip").write_text("no zip archive")
    with pytest.raises(PortableFileError, match=r"notes.zip is no exported study, or truncated"):
        import_study(other, tmp_path / "notes.zip")


def test_nothing_else_is_replaced_and_nothing_left_half_written(
    store: Store, fake: ModuleType, tmp_path: Path
) -> None:
    fill(store, fake)
    notes = tmp_path / "notes.txt"
    notes.write_text("a year's work")
    with pytest.raises(PortableFileError, match=r"notes.txt is there and is no exported study"):
        export_study(store, "noise", notes)
    assert notes.read_text() == "a year's work"
    with pytest.raises(PortableFileError, match=r"cannot write .*/noise.zip: File exists"):
        export_study(store, "noise", notes / "noise.zip")
    with pytest.raises(PortableFileError, match=r"cannot write .*: Is a directory"):
        export_study(store, "noise", tmp_path)
    assert not list(tmp_path.glob(".writing-*"))
