"""Ctrl-C that is swallowed: by modules being imported, by finalizers of objects."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def remembered_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt at SIGINT, and again at the end if it was swallowed inside.

    Python prints the traceback of an exception that an object's finalizer raised. Inside, that of
    an interrupt is not printed, because it is raised again.
    """
    received = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal received
        received = True
        raise KeyboardInterrupt

    def show_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            shown_before(unraisable)

    before = signal.signal(signal.SIGINT, interrupt)
    shown_before, sys.unraisablehook = sys.unraisablehook, show_unraisable
    try:
        yield
    finally:
        sys.unraisablehook = shown_before
        signal.signal(signal.SIGINT, before)
    if received:
        raise KeyboardInterrupt
