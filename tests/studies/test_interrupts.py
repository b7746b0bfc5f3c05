"""Ctrl-C that a library swallows."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from fdrnn.studies.cli.interrupts import hold_interrupts, remembered_interrupts


def test_a_held_interrupt_comes_at_the_end() -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt), hold_interrupts():
        os.kill(os.getpid(), signal.SIGINT)
        reached = True
    assert reached


def test_a_swallowed_interrupt_comes_again() -> None:
    before = signal.getsignal(signal.SIGINT)
    swallowing = contextlib.suppress(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt), remembered_interrupts(), swallowing:
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_nothing_comes_of_nothing() -> None:
    with remembered_interrupts(), hold_interrupts():
        pass
