"""Subnormal numbers as zeros while a compiled function runs.

A number nearer to 0 than the smallest normal one, 1.2e-38 in float32, takes many CPUs a hundred
times as long as another. The gradients of saturated units are full of them, and so are the averages
of an optimizer whose gradients are 0: without this, an epoch of a diverging network can take a
minute instead of a second. Nothing is lost where such a number is a term of a sum: it changes no
other that is larger than 1e-30. A quotient by it is not finite; see `fdrnn.model.outputs.gaussian`.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

_LIBRARY = ctypes.CDLL(None)
"""The C library of the process."""

_CONTROL = {"x86_64": (28, 0x8040), "aarch64": (0, 1 << 24)}
"""By machine, where the C library's `fenv_t` has the control word, and its bits that take subnormal
operands and results for 0: MXCSR's FTZ and DAZ, FPCR's FZ."""

_SIZE = 64
"""Bytes, more than any `fenv_t` has."""


@contextmanager
def subnormals_as_zeros() -> Iterator[None]:
    """Take subnormal operands and results of this thread for 0 within the block.

    On a machine other than x86-64 and 64-bit ARM this does nothing.
    """
    control = _CONTROL.get(platform.machine())
    if control is None:
        yield
        return
    offset, bits = control
    before = ctypes.create_string_buffer(_SIZE)
    _LIBRARY.fegetenv(before)
    within = ctypes.create_string_buffer(before.raw, _SIZE)
    word = ctypes.c_uint32.from_buffer(within, offset)
    word.value |= bits
    _LIBRARY.fesetenv(within)
    try:
        yield
    finally:
        _LIBRARY.fesetenv(before)
