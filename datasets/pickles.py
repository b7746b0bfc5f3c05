"""Reading pickled piano-rolls without running what a pickle may ask for.

A pickle is a program: unpickling calls whatever it names. The only names accepted here are
those of numpy's integer scalars, in the modules that old and new numpy give them, and they are
answered by harmless stand-ins of this module, not by numpy. Everything else is refused before
it is called. Bytes of unknown origin are looked through first, because damaged ones can make
the unpickler fill the memory. Pickles of protocols 0 to 5 are read, those of Python 2 included.

The form, that of Boulanger-Lewandowski et al. 2012: a dict with the keys ``train``, ``valid``
and ``test``; each holds a list of sequences, a sequence is a list of frames, and a frame is a
list or tuple of the MIDI notes that sound (21 to 108, in any order, possibly none).
"""

from __future__ import annotations

import io
import pickle
import pickletools
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from fdrnn.datasets.benchmarks import LOWEST_PIANO_NOTE, N_PIANO_NOTES
from fdrnn.datasets.dataset import SPLITS, Sequences
from fdrnn.datasets.errors import DataError
from fdrnn.datasets.kinds import BINARY


class _IntegerType:
    """Stand-in for a numpy integer dtype: its code says size and sign, its state the order."""

    __slots__ = ("byteorder", "signed", "size")

    def __init__(self, code: str) -> None:
        if code[:1] not in ("i", "u") or code[1:] not in ("1", "2", "4", "8"):
            raise pickle.UnpicklingError(f"numbers of type {code!r} are no MIDI notes")
        self.signed = code[0] == "i"
        self.size = int(code[1:])
        self.byteorder = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.byteorder = _text(state[1])

    def decode(self, data: bytes) -> int:
        if len(data) != self.size:
            raise pickle.UnpicklingError(f"an integer of {self.size} bytes has {len(data)}")
        is_big = self.byteorder == ">"
        return int.from_bytes(data, "big" if is_big else "little", signed=self.signed)


# Instances without attributes, not functions or classes: a pickle could set attributes on those.
class _MakeType:
    __slots__ = ()

    def __call__(self, code: str | bytes, *_: object) -> _IntegerType:
        return _IntegerType(_text(code))


class _MakeScalar:
    __slots__ = ()

    def __call__(self, kind: _IntegerType, data: str | bytes) -> int:
        return kind.decode(_bytes(data))


class _MakeBytes:
    # Python 3 writes bytes in protocols 0 to 2 as a call of this codec.
    __slots__ = ()

    def __call__(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"the codec {encoding!r} is not allowed")
        return text.encode("latin1")


_ALLOWED = {
    ("numpy", "dtype"): _MakeType(),
    ("numpy.core.multiarray", "scalar"): _MakeScalar(),
    ("numpy._core.multiarray", "scalar"): _MakeScalar(),
    ("_codecs", "encode"): _MakeBytes(),
}


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, which is not allowed"
            ) from None


def _text(value: str | bytes) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else value


def _bytes(value: str | bytes) -> bytes:
    return value.encode("latin1") if isinstance(value, str) else value


def _check_sizes(data: bytes) -> None:
    """Refuse truncated pickles, and entries of the memo that only a damaged pickle numbers."""
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in ("PUT", "LONG_BINPUT") and int(argument or 0) > len(data):
            raise pickle.UnpicklingError(f"it has no {argument} objects")


def parse_pickle(data: bytes, source: str, *, trusted: bool = False) -> dict[str, Sequences]:
    """Turn a pickle's bytes into piano-rolls.

    Parameters
    ----------
    data
        The pickle.
    source
        What to call it in an error, usually its path.
    trusted
        Whether the bytes are known to be undamaged, so that they are not looked through first,
        which takes longer than reading them.

    Returns
    -------
    dict of str to tuple of arrays
        For each split its sequences, uint8 of shape (n_frames, 88).

    Raises
    ------
    DataError
        If it is damaged, asks for anything but numbers, or is not of the form.
    """
    try:
        if not trusted:
            _check_sizes(data)
        content = _RestrictedUnpickler(io.BytesIO(data), encoding="latin1").load()
    except Exception as error:  # damaged bytes make the unpickler raise anything
        raise DataError(
            f"{source}: the pickle is damaged or not allowed: {error}; "
            "get the file again, or save the data as .npz"
        ) from error
    if not isinstance(content, dict) or not all(split in content for split in SPLITS):
        raise DataError(f"{source}: a pickle must hold a dict with the keys {', '.join(SPLITS)}")
    if content.get("kind", BINARY) != BINARY:
        raise DataError(
            f"{source}: a pickle holds piano-rolls, binary data; save data of kind "
            f"{content['kind']!r} as .npz"
        )
    return {split: _rolls(content[split], f"{source}: {split}") for split in SPLITS}


def _rolls(sequences: object, where: str) -> Sequences:
    if not isinstance(sequences, list | tuple):
        raise DataError(f"{where} must be a list of sequences, got {type(sequences).__name__}")
    return tuple(_roll(frames, f"{where}, sequence {i}") for i, frames in enumerate(sequences))


def _roll(frames: object, where: str) -> npt.NDArray[np.uint8]:
    if not isinstance(frames, list | tuple) or not all(
        isinstance(frame, list | tuple) for frame in frames
    ):
        raise DataError(f"{where} must be a list of frames, each a list or tuple of MIDI notes")
    notes = list(chain.from_iterable(frames))
    highest = LOWEST_PIANO_NOTE + N_PIANO_NOTES - 1
    for note in notes:
        if not isinstance(note, int) or not LOWEST_PIANO_NOTE <= note <= highest:
            raise DataError(
                f"{where}: a note must be an integer from {LOWEST_PIANO_NOTE} to {highest}, "
                f"got {note!r}"
            )
    roll = np.zeros((len(frames), N_PIANO_NOTES), np.uint8)
    steps = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    roll[steps, np.array(notes, np.int64) - LOWEST_PIANO_NOTE] = 1
    return roll
