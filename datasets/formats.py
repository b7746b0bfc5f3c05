"""Data files: .npz, .mat and .pickle, each with sequences of one kind in three splits.

``.npz`` (numpy, stored or deflated, no pickled objects), for data of any width::

    np.savez_compressed(
        "mine.npz",
        train=np.concatenate(train),                  # (n_frames in all, n_features), 0 and 1
        train_lengths=[len(roll) for roll in train],  # frames of each sequence
        ...,                                          # likewise for valid and test
        lowest_midi_note=21,                          # if column 0 is a note
        step_quarters=0.5,                            # quarter notes a frame lasts, for MIDI files
    )

``.mat`` (MATLAB, versions 5 to 7), for data of any width: cell arrays ``traindata``,
``validdata`` and ``testdata``, each cell a full or sparse matrix (n_frames, n_features) of 0
and 1; and ``lowest_midi_note`` and ``step_quarters`` as above.

Both contain another kind of data (`fdrnn.datasets.dataset`) only if they declare it:

- ``kind="real"``: the matrices contain finite numbers, in any units;
- ``kind="categorical"`` and ``n_symbols=V``: instead of matrices, integers 0 to V-1, one a
  frame: in a .npz file a row (n_frames in all,), in a .mat file a row or a column in each cell.
  ``lowest_midi_note`` is then that of symbol 0.

``.pickle`` or ``.pkl``, for piano-rolls of 88 notes: see `fdrnn.datasets.pickles`.

Other variables in a file are ignored. `fdrnn.datasets.limits` limits the size.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from fdrnn.datasets.benchmarks import BENCHMARKS, LOWEST_PIANO_NOTE
from fdrnn.datasets.dataset import (
    BINARY,
    CATEGORICAL,
    KINDS,
    REAL,
    SPLITS,
    Dataset,
    Frames,
    Sequences,
    one_hot,
)
from fdrnn.datasets.errors import DataError, MissingFileError, one_line, shown
from fdrnn.datasets.files import read_file
from fdrnn.datasets.limits import DATA_LIMIT, MOST_SYMBOLS, Budget, require_few_sequences
from fdrnn.datasets.mat import read_mat
from fdrnn.datasets.pickles import parse_pickle

SUFFIXES = (".npz", ".mat", ".pickle", ".pkl")
"""File name suffixes of the formats that are read."""

_KIND, _N_SYMBOLS = "kind", "n_symbols"
_LOWEST, _STEP = "lowest_midi_note", "step_quarters"
_DECLARATIONS = {_KIND, _N_SYMBOLS, _LOWEST, _STEP}
_MOST_MEMBERS = 1000
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}

Variables = dict[str, npt.NDArray[Any] | None]
"""The variables of a file by name; None for those that are not read."""


def read_dataset(
    path: Path,
    *,
    name: str,
    title: str,
    note: str = "",
    sha256: str | None = None,
    lowest_midi_note: int | None = None,
    step_quarters: float | None = None,
) -> Dataset:
    """Read a data file of any of the formats.

    Parameters
    ----------
    path
        The file; the suffix is the format.
    name, title, note
        Those of the `Dataset`.
    sha256
        Checksum that the file must have, in hexadecimal; it is checked before anything is
        parsed. None accepts any file.
    lowest_midi_note
        MIDI number of column 0 if the file does not declare it.
    step_quarters
        Quarter notes that a frame lasts if the file does not declare it.

    Returns
    -------
    Dataset
        The file's sequences.

    Raises
    ------
    MissingFileError
        If there is no such file.
    FileError
        If it cannot be read, is not a regular file or is larger than the limit.
    DataError
        If it has another checksum, is damaged or breaks a rule of the format.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{path}: a data file must end in one of {', '.join(SUFFIXES)}")
    try:
        data = read_file(path, limit_bytes=DATA_LIMIT, what="data file")
    except MissingFileError as error:
        raise MissingFileError(
            f"{error}; if it has moved, name its folder by --data-dir or FDRNN_DATA_DIR; `fdrnn "
            "data list` shows the data sets known by name"
        ) from error
    if sha256 is not None and (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise DataError(
            f"{path} has the wrong checksum: SHA-256 {found}, expected {sha256}; it is damaged "
            "or another file: replace it, or name no data folder to have it fetched"
        )
    if suffix in _VARIABLES:
        load_variables, sequences = _VARIABLES[suffix]
        variables = load_variables(data, str(path))
        declared, budget = _Declarations.of(variables, str(path)), Budget(str(path))
        splits = {
            split: sequences(variables, split, str(path), declared, budget) for split in SPLITS
        }
    else:
        declared = _Declarations(BINARY, 0, LOWEST_PIANO_NOTE, None)
        splits = parse_pickle(data, str(path), trusted=sha256 is not None or _is_benchmark(data))
    lowest, step = declared.lowest_midi_note, declared.step_quarters
    return Dataset(
        name=name,
        title=title,
        **splits,
        kind=declared.kind,
        lowest_midi_note=lowest_midi_note if lowest is None else lowest,
        step_quarters=step_quarters if step is None else step,
        note=note,
    )


def write_npz(file: BinaryIO | Path, dataset: Dataset) -> None:
    """Write a data set as .npz, in the format that `read_dataset` reads.

    Name, title and note are not part of the format.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    for split in SPLITS:
        sequences = dataset.split(split)
        frames = np.concatenate(sequences)
        arrays[split] = frames.argmax(axis=1) if dataset.kind == CATEGORICAL else frames
        arrays[f"{split}_lengths"] = np.array([len(sequence) for sequence in sequences])
    if dataset.kind != BINARY:
        arrays[_KIND] = np.array(dataset.kind)
    if dataset.kind == CATEGORICAL:
        arrays[_N_SYMBOLS] = np.array(dataset.n_features)
    if dataset.lowest_midi_note is not None:
        arrays[_LOWEST] = np.array(dataset.lowest_midi_note)
    if dataset.step_quarters is not None:
        arrays[_STEP] = np.array(dataset.step_quarters)
    np.savez_compressed(file, **arrays)


def _is_benchmark(data: bytes) -> bool:
    known = {file.sha256 for benchmark in BENCHMARKS.values() for file in benchmark.files}
    return hashlib.sha256(data).hexdigest() in known


def _load_npz(data: bytes, source: str) -> Variables:
    wanted = {*SPLITS, *(f"{split}_lengths" for split in SPLITS), *_DECLARATIONS}
    # Each entry of a zip directory takes far more memory than its bytes.
    if not zipfile.is_zipfile(io.BytesIO(data)) or data.count(b"PK\1\2") > _MOST_MEMBERS:
        raise DataError(f"{source} is damaged or not a .npz file of at most {_MOST_MEMBERS} arrays")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(one.filename.removesuffix(".npy"), one) for one in archive.infolist()]
            Budget(source).take(sum(one.file_size for key, one in members if key in wanted))
            return {key: _array(archive, one) if key in wanted else None for key, one in members}
    except DataError:
        raise
    except Exception as error:  # damaged bytes make zip and numpy raise anything
        raise DataError(
            f"{source}: the .npz file is damaged or contains objects, which are not read "
            f"({one_line(str(error), 200)})"
        ) from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> npt.NDArray[Any]:
    if member.compress_type not in _COMPRESSIONS:
        raise ValueError(f"{member.filename} must be stored or deflated, as numpy.savez does")
    with archive.open(member) as file:
        bounded = _Member(file, member.file_size)
        array: npt.NDArray[Any] = np.lib.format.read_array(  # type: ignore[no-untyped-call]
            bounded, allow_pickle=False
        )
    return array


class _Member:
    """A member of an archive of which no read asks for more bytes than it has left.

    `zipfile` decompresses as many as it is asked for, and then cuts what was not announced.
    """

    def __init__(self, file: IO[bytes], n_bytes: int) -> None:
        self._file, self._left = file, n_bytes

    def read(self, n_bytes: int) -> bytes:
        content = self._file.read(min(n_bytes, self._left))
        self._left -= len(content)
        return content


def _npz_sequences(
    variables: Variables, split: str, source: str, declared: _Declarations, budget: Budget
) -> Sequences:
    where = f"{source}: {split}"
    frames = declared.frames(_variable(variables, split, source), where, budget)
    lengths = _variable(variables, f"{split}_lengths", source)
    rule = f"{where}_lengths must be a row of positive integers"
    if lengths.ndim != 1:
        raise DataError(f"{rule}, got an array of shape {lengths.shape}")
    # NumPy makes an empty list an array of floats; `Dataset` refuses the empty split.
    broken = lengths < 1 if lengths.dtype.kind in "iu" else np.ones(len(lengths), bool)
    if broken.any():
        index = int(broken.argmax())
        raise DataError(f"{rule}, got {shown(lengths[index].item())} at index {index}")
    require_few_sequences(len(lengths), where)
    total = sum(lengths.tolist())
    if total != len(frames):
        raise DataError(
            f"{where}_lengths must sum to the {len(frames)} frames of {split}, got {total}"
        )
    # Split at no place, no frames would be one sequence of none.
    return tuple(np.split(frames, np.cumsum(lengths)[:-1])) if len(lengths) else ()


def _load_mat(data: bytes, source: str) -> Variables:
    return read_mat(data, source, {f"{split}data" for split in SPLITS} | _DECLARATIONS)


def _mat_sequences(
    variables: Variables, split: str, source: str, declared: _Declarations, budget: Budget
) -> Sequences:
    key = f"{split}data"
    cells = _variable(variables, key, source)
    # What is not read, a struct for example, has one axis, MATLAB's arrays at least two.
    if cells.dtype != object or cells.ndim < 2 or cells.size > max(cells.shape):
        raise DataError(f"{source}: {key} must be a row of cells, one matrix in each")
    return tuple(
        declared.frames(cell, f"{source}: sequence {index} of {key}", budget)
        for index, cell in enumerate(cells.ravel())
    )


def _variable(variables: Variables, key: str, source: str) -> npt.NDArray[Any]:
    value = variables.get(key)
    if not isinstance(value, np.ndarray):
        names = ", ".join(sorted(variables)[:20])
        raise DataError(f"{source} must contain an array {key!r}; it contains {names or 'nothing'}")
    return value


def _declaration(
    variables: Variables, key: str, source: str, rule: str, is_valid: Callable[[Any], bool]
) -> Any:
    """Return the one value of a variable, None if the file lacks it."""
    if key not in variables:
        return None
    values = _variable(variables, key, source)
    value = values.item() if values.size == 1 and values.dtype.kind in "iufU" else None
    if values.dtype == object and not values.size:
        raise DataError(
            f"{source}: {key} must be {rule}, got a MATLAB object, which is not read: write a text "
            "in single quotes"
        )
    if value is None or not is_valid(value):
        raise DataError(f"{source}: {key} must be {rule}, got {shown(values.ravel()[:3].tolist())}")
    return value


@dataclass(frozen=True)
class _Declarations:
    """What a file declares of its values, and their conversion into frames."""

    kind: str
    n_symbols: int
    lowest_midi_note: int | None
    step_quarters: float | None

    @classmethod
    def of(cls, variables: Variables, source: str) -> _Declarations:
        def read(key: str, rule: str, is_valid: Callable[[Any], bool]) -> Any:
            return _declaration(variables, key, source, rule, is_valid)

        kind = read(_KIND, f"one of {', '.join(KINDS)}", KINDS.__contains__) or BINARY
        if kind == CATEGORICAL:
            _variable(variables, _N_SYMBOLS, source)
        # MATLAB's numbers are real unless they are made integers.
        symbols, notes = range(2, MOST_SYMBOLS + 1), range(128)
        rule = f"one integer from 2 to {MOST_SYMBOLS}"
        n_symbols = read(_N_SYMBOLS, rule, symbols.__contains__) if kind == CATEGORICAL else 0
        lowest = read(_LOWEST, "one integer from 0 to 127", notes.__contains__)
        step = read(_STEP, "one positive number", lambda value: not isinstance(value, str))
        return cls(
            kind,
            int(n_symbols),
            None if lowest is None else int(lowest),
            None if step is None else float(step),
        )

    def frames(self, values: npt.NDArray[Any], where: str, budget: Budget) -> Frames:
        """Return values as frames of the kind, DataError where they break a rule of it."""
        if self.kind == CATEGORICAL:
            return self._symbols(values, where, budget)
        if values.dtype.kind not in "biuf":
            raise DataError(f"{where} must be a matrix (n_frames, n_features) of numbers")
        if values.ndim != 2:
            raise DataError(f"{where} must be of shape (n_frames, n_features), got {values.shape}")
        if self.kind == REAL:
            budget.take(values.size * 8)
            return np.ascontiguousarray(values, np.float64)
        budget.take(values.size)
        found = _not_binary(values)
        if found is not None:
            raise DataError(
                f"{where} must contain 0 and 1 only, found {found}; a file of another kind "
                f"declares it by the key {_KIND}"
            )
        return np.ascontiguousarray(values, np.uint8)

    def _symbols(self, values: npt.NDArray[Any], where: str, budget: Budget) -> Frames:
        if values.size > max(values.shape, default=0) or values.dtype.kind not in "iuf":
            raise DataError(f"{where} must be a row of integers, one symbol a frame")
        budget.take(values.size * self.n_symbols)
        row = values.ravel()
        known = (row >= 0) & (row < self.n_symbols) & (row == np.floor(row))
        if not known.all():
            raise DataError(
                f"{where} must contain symbols, integers 0 to {self.n_symbols - 1} ({_N_SYMBOLS} "
                f"is {self.n_symbols}), found {row[~known][0]}"
            )
        return one_hot(row.astype(np.int64), self.n_symbols)


def _not_binary(values: npt.NDArray[Any]) -> Any:
    """Return a value that is neither 0 nor 1, None if there is none."""
    if not values.size or values.dtype.kind == "b":
        return None
    if values.dtype.kind in "iu":  # without a mask, which would take as much memory again
        return next((value for value in (values.min(), values.max()) if value not in (0, 1)), None)
    is_binary = (values == 0) | (values == 1)
    return None if is_binary.all() else values[~is_binary][0]


_VARIABLES = {".npz": (_load_npz, _npz_sequences), ".mat": (_load_mat, _mat_sequences)}
"""By suffix, functions that read the variables of a file, and the sequences of a split in them."""
