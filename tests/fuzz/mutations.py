"""Mutations of valid files: flipped, cut, repeated, inserted and exchanged bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from fuzz.readers import Parts, Reader

_WORDS = [
    value.to_bytes(size, order)
    for size in (1, 2, 4, 8)
    for value in (0, 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1)
    for order in ("little", "big")
]
_TOKENS = [b"[" * 3000, b"(" * 3000, b"]" * 3000, b"{" * 3000, b"9" * 5000, b"\x1b[2J", b"nan",
           b"-1", b"1e999", b"null", b"\xff\xfe", b"../../x", b"\0", b"h\0" * 500]  # fmt: skip


def _flip(data: bytearray, rng: np.random.Generator) -> None:
    for place in rng.integers(0, len(data), rng.integers(1, 5)):
        data[place] ^= 1 << int(rng.integers(8))


def _set(data: bytearray, rng: np.random.Generator) -> None:
    for place in rng.integers(0, len(data), rng.integers(1, 5)):
        data[place] = int(rng.integers(256))


def _cut(data: bytearray, rng: np.random.Generator) -> None:
    begin, end = np.sort(rng.integers(0, len(data) + 1, 2))
    del data[begin:end]


def _truncate(data: bytearray, rng: np.random.Generator) -> None:
    del data[int(rng.integers(len(data))) :]


def _overwrite_word(data: bytearray, rng: np.random.Generator) -> None:
    word = _WORDS[rng.integers(len(_WORDS))]
    place = int(rng.integers(len(data)))
    data[place : place + len(word)] = word


def _insert(data: bytearray, rng: np.random.Generator) -> None:
    token = (_WORDS + _TOKENS)[rng.integers(len(_WORDS) + len(_TOKENS))]
    place = int(rng.integers(len(data) + 1))
    data[place:place] = token


def _repeat(data: bytearray, rng: np.random.Generator) -> None:
    begin, end = np.sort(rng.integers(0, len(data) + 1, 2))
    data[begin:begin] = bytes(data[begin:end][:1000]) * int(rng.choice((2, 10, 1000)))


def _move(data: bytearray, rng: np.random.Generator) -> None:
    begin, end = np.sort(rng.integers(0, len(data) + 1, 2))
    piece = data[begin:end]
    del data[begin:end]
    place = int(rng.integers(len(data) + 1))
    data[place:place] = piece


MUTATIONS: tuple[Callable[[bytearray, np.random.Generator], None], ...] = (
    _flip, _set, _cut, _truncate, _overwrite_word, _insert, _repeat, _move,
)  # fmt: skip


def mutated(parts: Parts, rng: np.random.Generator) -> Parts:
    """Return the parts of an input with one to three mutations."""
    changed = dict(parts)
    for _ in range(rng.integers(1, 4)):
        name = list(changed)[rng.integers(len(changed))]
        if len(changed) > 1 and rng.random() < 0.1:
            other = list(changed)[rng.integers(len(changed))]
            if rng.random() < 0.5:
                changed[other] = changed[name]
            else:
                changed[name[: rng.integers(len(name) + 1)]] = changed.pop(name)
            continue
        data = bytearray(changed[name])
        if data:
            MUTATIONS[rng.integers(len(MUTATIONS))](data, rng)
        changed[name] = bytes(data)
    return changed


def write_mutated(reader: Reader, folder: Path, n_inputs: int, seed: int) -> list[Path]:
    """Write mutated files of a reader's examples into an existing folder."""
    rng = np.random.default_rng(seed)
    examples = [reader.unpack(path.read_bytes()) for path in reader.examples(folder)]
    paths = []
    for index in range(n_inputs):
        path = folder / f"{index:05}{reader.suffix}"
        path.write_bytes(reader.pack(mutated(examples[rng.integers(len(examples))], rng)))
        paths.append(path)
    for path in set(folder.iterdir()) - set(paths):
        path.unlink()
    return paths
