"""The readers of files and bytes of unknown origin, each with valid examples to mutate.

A reader is one entry of `READERS`. Its parts are what a mutation changes: the file itself, or
what it contains, where a checksum would refuse every other change.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import io
import json
import math
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import scipy.io
import scipy.sparse
import sqlalchemy as sa

from fdrnn.datasets import Dataset, FdrnnError, MidiOptions, load, write_npz
from fdrnn.datasets.midi import read_midi
from fdrnn.model.checkpoint import Checkpoint, Progress
from fdrnn.reports.figures.midi import midi_file
from fdrnn.reports.numbers.findings import read_evidence
from fdrnn.search import check_store, open_store
from fdrnn.search.portable.study import PortableStudy
from fdrnn.search.store import tables
from fdrnn.studies.catalogue import find_all
from oracles.data_files import cells, write_mat, write_pickle

Parts = Mapping[str, bytes]
"""What is mutated, by name."""


@dataclass(frozen=True)
class Reader:
    """A reader and how its inputs are made.

    Attributes
    ----------
    suffix
        Of the files.
    examples
        Writes valid files into a folder and returns them.
    read
        Reads a file; whatever it raises for a bad one is an `FdrnnError`.
    unpack, pack
        From a file's bytes to its parts and back.
    """

    suffix: str
    examples: Callable[[Path], list[Path]]
    read: Callable[[Path], object]
    unpack: Callable[[bytes], Parts] = lambda data: {"": data}
    pack: Callable[[Parts], bytes] = lambda parts: parts[""]


def _datasets() -> list[Dataset]:
    rng = np.random.default_rng(3)
    lengths = {"train": (7, 1, 12), "valid": (4, 4), "test": (9,)}
    rolls = {
        split: tuple((rng.random((n, 88)) < 0.05).astype(np.uint8) for n in ns)
        for split, ns in lengths.items()
    }
    reals = {split: tuple(rng.standard_normal((n, 2)) for n in ns) for split, ns in lengths.items()}
    symbols = {
        split: tuple(np.eye(4, dtype=np.uint8)[rng.integers(0, 4, n)] for n in ns)
        for split, ns in lengths.items()
    }
    return [
        Dataset("rolls", "", **rolls, lowest_midi_note=21, step_quarters=0.5),
        Dataset("reals", "", **reals, kind="real"),
        Dataset("symbols", "", **symbols, kind="categorical"),
    ]


def _npz_examples(folder: Path) -> list[Path]:
    paths = [folder / f"{data.name}.npz" for data in _datasets()]
    for path, data in zip(paths, _datasets(), strict=True):
        write_npz(path, data)
    return paths


def _mat_examples(folder: Path) -> list[Path]:
    rolls, reals, _ = _datasets()
    sparse = {
        f"{split}data": cells([scipy.sparse.csc_matrix(roll) for roll in rolls.split(split)])
        for split in ("train", "valid", "test")
    }
    paths = [folder / f"{name}.mat" for name in ("compressed", "plain", "sparse")]
    write_mat(paths[0], rolls, lowest_midi_note=21)
    variables = {f"{s}data": cells(reals.split(s)) for s in ("train", "valid", "test")}
    scipy.io.savemat(paths[1], {**variables, "kind": "real"})
    scipy.io.savemat(paths[2], sparse)
    return paths


def _pickle_examples(folder: Path) -> list[Path]:
    paths = [folder / f"protocol-{protocol}.pickle" for protocol in (0, 2, 4)]
    for path, protocol in zip(paths, (0, 2, 4), strict=True):
        write_pickle(path, _datasets()[0], protocol=protocol)
    return paths


def _midi_examples(folder: Path) -> list[Path]:
    rolls = _datasets()[0].split("train")
    paths = [folder / f"{index}.mid" for index in range(2)]
    for path, roll in zip(paths, (rolls[0], rolls[2]), strict=True):
        path.write_bytes(midi_file(roll, 21))
    return paths


def _definition_examples(folder: Path) -> list[Path]:
    names = ("jsb", "bach-plain", "compare-jsb", "waves")
    paths = [folder / f"example-{name}.toml" for name in names]
    for path, name in zip(paths, names, strict=True):
        path.write_bytes((files("fdrnn.studies") / f"{name}.toml").read_bytes())
    return paths


def _archive_examples(folder: Path) -> list[Path]:
    return [
        Path(shutil.copy(path, folder))
        for path in sorted((Path(__file__).parents[1] / "reports" / "golden").glob("*.zip"))
    ]


def _sealed_archive(parts: Parts) -> bytes:
    """Return an exported study whose manifest has the digests of its members."""
    parts = dict(parts)
    with contextlib.suppress(Exception):  # a mutated manifest stays as it is
        manifest = json.loads(parts["manifest.json"])
        manifest["members"] = {
            name: hashlib.sha256(content).hexdigest()
            for name, content in parts.items()
            if name != "manifest.json"
        }
        parts["manifest.json"] = json.dumps(manifest).encode()
    return zipped(parts)


def unzip(data: bytes) -> Parts:
    """Return the members of a zip archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: Parts, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip archive of members, with the right checksums."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name or "empty", content)
    return buffer.getvalue()


def _load(path: Path) -> object:
    return load(str(path))


_RUN = "a run"


def _checkpoint() -> Checkpoint:
    rng = np.random.default_rng(5)
    parameters = {
        "W_rec": rng.standard_normal((3, 3), np.float32),
        "b_h": rng.standard_normal(3, np.float32),
    }
    progress = Progress(4, 40, 3, 8.25, 8.25, math.inf)
    return Checkpoint(progress, parameters, parameters, parameters, {}, parameters)


def _checkpoint_examples(folder: Path) -> list[Path]:
    (folder / "example.state").write_bytes(_checkpoint().to_bytes(_RUN))
    return [folder / "example.state"]


def _read_checkpoint(path: Path) -> object:
    return Checkpoint.from_bytes(path.read_bytes(), _RUN, _checkpoint())


def _sealed(archive: bytes) -> bytes:
    """Return the bytes of a checkpoint with the digest of its archive."""
    return hashlib.sha256(archive).digest() + archive


@cache
def _store_file() -> Path:
    """Return the file of a store with a study."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-store-"))
    atexit.register(shutil.rmtree, folder)
    store = open_store(str(folder / "store.sqlite3"), create=True)
    example = PortableStudy.read(min(_archive_examples(folder)))
    example.insert(store, "golden", mirrored=False)
    store.close()
    return folder / "store.sqlite3"


def _row_examples(folder: Path) -> list[Path]:
    """Write the first row of each table, every column as the text that it is in latin-1."""
    with sqlite3.connect(_store_file()) as connection:
        rows = {}
        for table in tables.metadata.tables:
            cursor = connection.execute(f"SELECT * FROM {table}")
            columns = [column for column, *_ in cursor.description]
            rows |= zip([f"{table}.{c}" for c in columns], cursor.fetchone() or (), strict=False)
    texts = {
        name: value.decode("latin-1") if isinstance(value, bytes) else str(value)
        for name, value in rows.items()
        if value is not None
    }
    (folder / "example.json").write_text(json.dumps(texts))
    return [folder / "example.json"]


def _columns(data: bytes) -> Parts:
    return {name: text.encode("latin-1") for name, text in json.loads(data).items()}


def _text_of_columns(parts: Parts) -> bytes:
    return json.dumps({name: data.decode("latin-1") for name, data in parts.items()}).encode()


def _read_rows(path: Path) -> object:
    """Put the columns into the first rows of the tables of a store and read the store."""
    file = Path(shutil.copy(_store_file(), path.with_suffix(".sqlite3")))
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for name, data in _columns(path.read_bytes()).items():
            table, _, column = name.partition(".")
            if table in tables.metadata.tables and column in tables.metadata.tables[table].c:
                binary = isinstance(tables.metadata.tables[table].c[column].type, sa.LargeBinary)
                with contextlib.suppress(sqlite3.IntegrityError):
                    connection.execute(
                        f"UPDATE {table} SET {column} = {'?' if binary else 'CAST(? AS TEXT)'} "
                        f"WHERE rowid = (SELECT min(rowid) FROM {table})",
                        (data,),
                    )
    connection.close()
    try:
        return _read_store(str(file))
    finally:
        file.unlink()


def _read_store(storage: str) -> object:
    store = open_store(storage)
    try:
        (study,) = store.studies()
        refused: FdrnnError | None = None
        for read in (
            study.trials,
            study.repeats,
            study.curves,
            study.test_sequences,
            study.progress,
            lambda: study.parameters(0),
            lambda: study.samples(0),
            lambda: PortableStudy.from_study(study, weights=True).write(f"{storage}.zip"),
            lambda: read_evidence(store),
            lambda: check_store(store),
        ):
            try:
                read()
            except FdrnnError as error:
                refused = error
        if refused:
            raise refused
        return study
    finally:
        store.close()
        Path(f"{storage}.zip").unlink(missing_ok=True)


READERS: Mapping[str, Reader] = {
    "npz": Reader(".npz", _npz_examples, _load),
    "npz-members": Reader(".npz", _npz_examples, _load, unzip, zipped),
    "mat": Reader(".mat", _mat_examples, _load),
    "pickle": Reader(".pickle", _pickle_examples, _load),
    "midi": Reader(".mid", _midi_examples, lambda path: read_midi(path, MidiOptions(to_c=True))),
    "definition": Reader(".toml", _definition_examples, lambda path: find_all(str(path))),
    "archive": Reader(".zip", _archive_examples, PortableStudy.read),
    "archive-members": Reader(
        ".zip", _archive_examples, PortableStudy.read, unzip, _sealed_archive
    ),
    "checkpoint": Reader(
        ".state",
        _checkpoint_examples,
        _read_checkpoint,
        lambda data: {"": data[32:]},
        lambda parts: _sealed(parts[""]),
    ),
    "checkpoint-members": Reader(
        ".state",
        _checkpoint_examples,
        _read_checkpoint,
        lambda data: unzip(data[32:]),
        lambda parts: _sealed(zipped(parts, zipfile.ZIP_STORED)),
    ),
    "rows": Reader(".json", _row_examples, _read_rows, _columns, _text_of_columns),
}
