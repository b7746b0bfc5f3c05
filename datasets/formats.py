"""Data files: .npz, .mat and .pickle, all holding sequences of one kind in three splits.

``.npz`` (numpy, no pickled objects), for data of any width::

    np.savez_compressed(
        "mine.npz",
        train=np.concatenate(train),                  # (n_frames in all, n_features), 0 and 1
        train_lengths=[len(roll) for roll in train],  # frames of each sequence
        ...,                                          # and so for valid and test
        lowest_midi_note=21,                          # if column 0 is a note; leave it out else
        step_quarters=0.5,                            # quarter notes a frame lasts, for MIDI files
    )

``.mat`` (MATLAB, up to version 7), for data of any width: cell arrays ``traindata``,
``validdata`` and ``testdata``, each cell a matrix (n_frames, n_features) of 0 and 1; and
``lowest_midi_note`` and ``step_quarters`` as above.

Both hold another kind of data (`fdrnn.datasets.kinds`) only where they say so:

- ``kind="real"``: the matrices hold finite numbers, in any units;
- ``kind="categorical"`` and ``n_symbols=V``: in the place of matrices stand integers 0 to V-1,
  one a frame: in a .npz file a row (n_frames in all,), in a .mat file a row or a column in each
  cell. ``lowest_midi_note`` is then that of symbol 0.

``.pickle`` or ``.pkl``, for piano-rolls of 88 notes: see `fdrnn.datasets.pickles`.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from fdrnn.datasets.benchmarks import LOWEST_PIANO_NOTE
from fdrnn.datasets.dataset import SPLITS, Dataset, Sequences
from fdrnn.datasets.errors import DataError, MissingFileError
from fdrnn.datasets.files import read_file
from fdrnn.datasets.kinds import BINARY, CATEGORICAL
from fdrnn.datasets.pickles import parse_pickle
from fdrnn.datasets.values import KIND, N_SYMBOLS, Reader, kind_of, reader, variable

SUFFIXES = (".npz", ".mat", ".pickle", ".pkl")
"""File name suffixes of the forms that are read."""

_LOWEST = "lowest_midi_note"
_STEP = "step_quarters"


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
    """Read a data file of any of the forms.

    Parameters
    ----------
    path
        The file; its suffix says its form.
    name, title, note
        As `Dataset` has them.
    sha256
        Checksum that the file must have, in hexadecimal; it is checked before anything is
        parsed. None accepts any file.
    lowest_midi_note
        MIDI number of column 0 if the file does not say it.
    step_quarters
        Quarter notes that a frame lasts if the file does not say it.

    Returns
    -------
    Dataset
        The file's sequences.

    Raises
    ------
    MissingFileError
        If there is no such file.
    FileError
        If it cannot be read, is not a regular file or has more than 1 GiB.
    DataError
        If it has another checksum, is damaged or breaks a rule of its form.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: a data file must end in one of {', '.join(SUFFIXES)}")
    data = _read_bytes(path)
    if sha256 is not None:
        _check_sha256(data, sha256, path)
    content = _parse(data, path, trusted=sha256 is not None)
    splits, lowest, step = content.splits, content.lowest_midi_note, content.step_quarters
    return Dataset(
        name=name,
        title=title,
        train=splits["train"],
        valid=splits["valid"],
        test=splits["test"],
        kind=content.kind,
        lowest_midi_note=lowest_midi_note if lowest is None else lowest,
        step_quarters=step_quarters if step is None else step,
        note=note,
    )


def write_npz(file: BinaryIO | Path, dataset: Dataset) -> None:
    """Write a data set as .npz, in the form that `read_dataset` reads.

    Name, title and note are not part of the form.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    for split in SPLITS:
        sequences = dataset.split(split)
        frames = np.concatenate(sequences)
        arrays[split] = frames.argmax(axis=1) if dataset.kind == CATEGORICAL else frames
        arrays[f"{split}_lengths"] = np.array([len(sequence) for sequence in sequences])
    if dataset.kind != BINARY:
        arrays[KIND] = np.array(dataset.kind)
    if dataset.kind == CATEGORICAL:
        arrays[N_SYMBOLS] = np.array(dataset.n_features)
    if dataset.lowest_midi_note is not None:
        arrays[_LOWEST] = np.array(dataset.lowest_midi_note)
    if dataset.step_quarters is not None:
        arrays[_STEP] = np.array(dataset.step_quarters)
    np.savez_compressed(file, **arrays)


def _read_bytes(path: Path) -> bytes:
    try:
        return read_file(path, what="data file")
    except MissingFileError as error:
        raise MissingFileError(
            f"{error}; `fdrnn data list` shows the data sets known by name"
        ) from error


def _check_sha256(data: bytes, expected: str, path: Path) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise DataError(
            f"{path} has the wrong checksum: SHA-256 {found}, expected {expected}; it is damaged "
            "or another file: replace it, or name no data folder to have it fetched"
        )


@dataclass(frozen=True)
class _Content:
    splits: dict[str, Sequences]
    kind: str
    lowest_midi_note: int | None
    step_quarters: float | None


def _parse(data: bytes, path: Path, *, trusted: bool) -> _Content:
    suffix = path.suffix.lower()
    if suffix in (".pickle", ".pkl"):
        rolls = parse_pickle(data, str(path), trusted=trusted)
        return _Content(rolls, BINARY, LOWEST_PIANO_NOTE, None)
    variables = _load_npz(data, path) if suffix == ".npz" else _load_mat(data, path)
    pieces = _npz_sequences if suffix == ".npz" else _mat_sequences
    kind = kind_of(variables, path)
    read = reader(kind, variables, path)
    splits = {split: pieces(variables, split, path, read) for split in SPLITS}
    lowest, step = _lowest_midi_note(variables, path), _step_quarters(variables, path)
    return _Content(splits, kind, lowest, step)


def _load_npz(data: bytes, path: Path) -> dict[str, Any]:
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise DataError(f"{path} is damaged or no .npz file")
    try:
        archive = np.load(io.BytesIO(data), allow_pickle=False)
        return {key: archive[key] for key in archive.files}
    except Exception as error:  # damaged bytes make zip and numpy raise anything
        raise DataError(
            f"{path}: the .npz file is damaged or holds objects, which are not read ({error})"
        ) from error


def _load_mat(data: bytes, path: Path) -> dict[str, Any]:
    import scipy.io  # noqa: PLC0415 - slow to import, and needed for .mat alone

    try:
        return dict(scipy.io.loadmat(io.BytesIO(data)))  # type: ignore[arg-type]  # stubs too narrow
    except NotImplementedError as error:
        raise DataError(
            f"{path}: .mat files of version 7.3 are not read; save it with version 7"
        ) from error
    except Exception as error:  # damaged bytes make the parser raise anything
        raise DataError(f"{path}: the .mat file is damaged or of another form ({error})") from error


def _npz_sequences(variables: dict[str, Any], split: str, path: Path, read: Reader) -> Sequences:
    where = f"{path}: {split}"
    frames = read(variable(variables, split, path), where)
    lengths = variable(variables, f"{split}_lengths", path)
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 1).any():
        raise DataError(f"{where}_lengths must be a row of positive integers")
    if int(lengths.sum()) != len(frames):
        raise DataError(
            f"{where}_lengths must sum to the {len(frames)} frames of {split}, "
            f"got {int(lengths.sum())}"
        )
    # Split at no place, no frames would be one sequence of none.
    return tuple(np.split(frames, np.cumsum(lengths)[:-1])) if len(lengths) else ()


def _mat_sequences(variables: dict[str, Any], split: str, path: Path, read: Reader) -> Sequences:
    key = f"{split}data"
    cells = variable(variables, key, path)
    if not cells.size:
        return ()
    if cells.dtype != object or cells.size != max(cells.shape, default=0):
        raise DataError(f"{path}: {key} must be a row of cells, one matrix in each")
    return tuple(
        read(cell, f"{path}: sequence {index} of {key}") for index, cell in enumerate(cells.ravel())
    )


def _lowest_midi_note(variables: dict[str, Any], path: Path) -> int | None:
    if _LOWEST not in variables:
        return None
    value = np.asarray(variables[_LOWEST])
    # MATLAB's numbers are real unless they are made integers.
    if value.size != 1 or value.dtype.kind not in "iuf" or value.item() not in range(128):
        raise DataError(f"{path}: {_LOWEST} must be one integer from 0 to 127")
    return int(value.item())


def _step_quarters(variables: dict[str, Any], path: Path) -> float | None:
    if _STEP not in variables:
        return None
    value = np.asarray(variables[_STEP])
    if value.size != 1 or value.dtype.kind not in "iuf":
        raise DataError(f"{path}: {_STEP} must be one positive number")
    return float(value.item())
