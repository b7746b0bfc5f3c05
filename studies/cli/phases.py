"""A message for work that takes long without other output."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import typer

SILENCE_S = 5.0
"""Seconds without a line after which work has one, where the standard error is not a terminal."""


@contextmanager
def announced(phase: str) -> Iterator[None]:
    """Print a line on the standard error if what is inside takes longer than five seconds.

    On a terminal, where it has a progress bar, nothing is printed.

    Parameters
    ----------
    phase
        For example ``"reading data set bach"``.
    """
    timer = threading.Timer(SILENCE_S, typer.echo, (f"fdrnn: {phase}",), {"err": True})
    timer.daemon = True
    if not sys.stderr.isatty():
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
