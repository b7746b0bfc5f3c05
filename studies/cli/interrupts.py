"""Signals that end a command: swallowed by imports and finalizers, or ignored at its start."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def remembered_interrupts(*signals: signal.Signals) -> Iterator[None]:
    """Raise KeyboardInterrupt at a signal, and again at the end if it was swallowed inside.

    Python prints the traceback of an exception that an object's finalizer raised. Inside, that of
    an interrupt is not printed, because it is raised again. A signal that was ignored at the start
    of the process, as SIGINT in the background of a script, is received too.

    Parameters
    ----------
    signals
        The signals; SIGINT if there are none.
    """
    received = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal received
        received = True
        raise KeyboardInterrupt

    def show_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            shown_before(unraisable)

    before = {number: signal.signal(number, interrupt) for number in signals or (signal.SIGINT,)}
    shown_before, sys.unraisablehook = sys.unraisablehook, show_unraisable
    try:
        yield
    finally:
        sys.unraisablehook = shown_before
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise KeyboardInterrupt
