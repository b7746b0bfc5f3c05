"""Reading pickled piano-rolls without running what a pickle may ask for.

A pickle is a program: unpickling calls whatever it names. This reader is an interpreter of its
own for the part of that language that piano-rolls need. It builds texts, numbers, lists, tuples
and dicts, knows numpy's integer scalars by name and calls nothing. The number of instructions
is limited, and so is what they build, because a list may be referred to many times. Protocols 0
to 5 are read, those of Python 2 included.

The format, that of Boulanger-Lewandowski et al. 2012: a dict with the keys ``train``, ``valid``
and ``test``; each holds a list of sequences, a sequence is a list of frames, and a frame is a
list or tuple of the MIDI notes that sound (21 to 108, in any order, possibly none).
"""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from fdrnn.datasets.benchmarks import LOWEST_PIANO_NOTE, N_PIANO_NOTES
from fdrnn.datasets.dataset import BINARY, SPLITS, Sequences
from fdrnn.datasets.errors import DataError, one_line, shown
from fdrnn.datasets.limits import Budget, require_few_sequences

MOST_INSTRUCTIONS = 3_000_000
"""Instructions of a pickle of unknown origin; the chorales of JSB take a million."""

_MOST_NOTES = 2**23


def parse_pickle(data: bytes, source: str, *, trusted: bool = False) -> dict[str, Sequences]:
    """Return the piano-rolls of a pickle.

    Parameters
    ----------
    data
        The pickle.
    source
        What an error calls it, usually its path.
    trusted
        Whether the bytes are known by their checksum: they are then unpickled by Python's
        unpickler, which is faster and runs whatever they ask for.

    Returns
    -------
    dict of str to tuple of arrays
        For each split its sequences, uint8 of shape (n_frames, 88).

    Raises
    ------
    DataError
        If it is damaged, asks for anything but numbers, is larger than the limits, or breaks a
        rule of the format.
    """
    try:
        content = pickle.loads(data, encoding="latin1") if trusted else _interpret(data)
    except Exception as error:  # damaged bytes make the decoders raise anything
        reason = f": {one_line(str(error), 200)}" if isinstance(error, _RefusedError) else ""
        raise DataError(
            f"{source}: the pickle is damaged or not allowed{reason}; "
            "get the file again, or save the data as .npz"
        ) from error
    if not isinstance(content, dict) or not all(split in content for split in SPLITS):
        raise DataError(f"{source}: a pickle must hold a dict with the keys {', '.join(SPLITS)}")
    if content.get("kind", BINARY) != BINARY:
        raise DataError(
            f"{source}: a pickle holds piano-rolls, binary data; save data of kind "
            f"{shown(content['kind'])} as .npz"
        )
    rolls = _Rolls(source)
    return {split: rolls.read(content[split], split) for split in SPLITS}


class _RefusedError(Exception):
    """An instruction that is not allowed; the text says which."""


@dataclass
class _IntegerType:
    """A numpy integer dtype."""

    signed: bool
    size: int
    order: str = "<"


def _make_type(code: str | bytes, *_: object) -> _IntegerType:
    code = _text(code)
    if code[:1] not in ("i", "u") or code[1:] not in ("1", "2", "4", "8"):
        raise _RefusedError(f"numbers of type {shown(code)} are not MIDI notes")
    return _IntegerType(code[0] == "i", int(code[1:]))


def _make_scalar(kind: _IntegerType, content: str | bytes) -> int:
    raw = content.encode("latin1") if isinstance(content, str) else content
    if len(raw) != kind.size:
        raise _RefusedError(f"an integer of {kind.size} bytes has {len(raw)}")
    return int.from_bytes(raw, "big" if kind.order == ">" else "little", signed=kind.signed)


def _make_bytes(text: str, codec: str) -> bytes:
    # Python 3 writes bytes in protocols 0 to 2 as a call of this codec. A long text would be
    # repeated in memory by each call.
    if codec != "latin1" or len(text) > 8:
        raise _RefusedError(f"the codec {shown(codec)} is not allowed for such a text")
    return text.encode("latin1")


def _text(value: str | bytes) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else value


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "numpy dtype": _make_type,
    "numpy.core.multiarray scalar": _make_scalar,
    "numpy._core.multiarray scalar": _make_scalar,
    "_codecs encode": _make_bytes,
}
"""The names that a pickle may ask for: the only functions that are ever on its stack."""


class _Machine:
    """The stack, the open marks and the memo of a pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._memo: dict[Any, Any] = {}

    def push(self, item: Any) -> None:
        self.stack.append(item)

    def pop(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise _RefusedError("it takes more from its stack than it has put there")
        items = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return items

    def mark(self) -> None:
        self._marked.append(self.stack)
        self.stack = []

    def unmark(self) -> list[Any]:
        items, self.stack = self.stack, self._marked.pop()
        return items

    def put(self, key: Any) -> None:
        self._memo[len(self._memo) if key is None else key] = self.stack[-1]

    def get(self, key: Any) -> None:
        self.stack.append(self._memo[key])

    def set_items(self, items: list[Any]) -> None:
        keys = items[::2]
        # Hashing tuples in tuples would recurse.
        if not isinstance(self.stack[-1], dict) or not all(isinstance(key, str) for key in keys):
            raise _RefusedError("a key must be a text")
        self.stack[-1].update(zip(keys, items[1::2], strict=True))

    def new_dict(self, items: list[Any]) -> None:
        self.stack.append({})
        self.set_items(items)

    def name(self, asked: str) -> None:
        if asked not in _FUNCTIONS:
            raise _RefusedError(f"it asks for {asked.replace(' ', '.')}, which is not allowed")
        self.stack.append(_FUNCTIONS[asked])

    def call(self) -> None:
        function, arguments = self.pop(2)
        self.stack.append(function(*arguments))

    def set_state(self) -> None:
        (state,) = self.pop(1)
        if not isinstance(self.stack[-1], _IntegerType):
            raise _RefusedError("it sets the state of something other than a dtype")
        self.stack[-1].order = _text(state[1])


_PUSHING = (
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
    "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
)  # fmt: skip

_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], object]] = {
    **dict.fromkeys(_PUSHING, _Machine.push),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    **dict.fromkeys(("PROTO", "FRAME"), lambda *_: None),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "MARK": lambda machine, _: machine.mark(),
    "POP": lambda machine, _: machine.pop(1),
    "POP_MARK": lambda machine, _: machine.unmark(),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.pop(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.pop(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.pop(3))),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.unmark())),
    "LIST": lambda machine, _: machine.push(machine.unmark()),
    "DICT": lambda machine, _: machine.new_dict(machine.unmark()),
    "APPEND": lambda machine, _: machine.stack[-2].append(*machine.pop(1)),
    "APPENDS": lambda machine, _: (items := machine.unmark(), machine.stack[-1].extend(items)),
    "SETITEM": lambda machine, _: machine.set_items(machine.pop(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.unmark()),
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": lambda machine, _: machine.name(" ".join(machine.pop(2))),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.set_state(),
}


def _interpret(data: bytes) -> Any:
    machine = _Machine()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        if count >= MOST_INSTRUCTIONS:
            raise _RefusedError(f"it has more than {MOST_INSTRUCTIONS:,} instructions")
        if opcode.name == "STOP":
            return machine.pop(1)[0]
        if opcode.name not in _INSTRUCTIONS:
            raise _RefusedError(f"the instruction {opcode.name} is not allowed")
        _INSTRUCTIONS[opcode.name](machine, argument)
    raise _RefusedError("it has no end")


class _Rolls:
    """Makes piano-rolls of lists of notes, within the limits of one file."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._budget = Budget(source)
        self._notes_left = _MOST_NOTES

    def read(self, sequences: object, split: str) -> Sequences:
        where = f"{self._source}: {split}"
        if not isinstance(sequences, list | tuple):
            raise DataError(f"{where} must be a list of sequences, got {type(sequences).__name__}")
        require_few_sequences(len(sequences), where)
        return tuple(
            self._roll(frames, f"{where}, sequence {index}")
            for index, frames in enumerate(sequences)
        )

    def _roll(self, frames: object, where: str) -> npt.NDArray[np.uint8]:
        if isinstance(frames, list | tuple):
            self._budget.take(len(frames) * N_PIANO_NOTES)
        if not isinstance(frames, list | tuple) or not all(
            isinstance(frame, list | tuple) for frame in frames
        ):
            raise DataError(f"{where} must be a list of frames, each a list or tuple of MIDI notes")
        lengths = [len(frame) for frame in frames]
        self._notes_left -= sum(lengths)
        if self._notes_left < 0:
            raise DataError(f"{where}: a pickle must hold at most {_MOST_NOTES:,} notes")
        notes = list(chain.from_iterable(frames))
        highest = LOWEST_PIANO_NOTE + N_PIANO_NOTES - 1
        for note in notes:
            if not isinstance(note, int | np.integer) or not LOWEST_PIANO_NOTE <= note <= highest:
                raise DataError(
                    f"{where}: a note must be an integer from {LOWEST_PIANO_NOTE} to {highest}, "
                    f"got {shown(note)}"
                )
        roll = np.zeros((len(frames), N_PIANO_NOTES), np.uint8)
        steps = np.repeat(np.arange(len(frames)), lengths)
        roll[steps, np.array(notes, np.int64) - LOWEST_PIANO_NOTE] = 1
        return roll
