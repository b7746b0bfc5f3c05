"""Ctrl-C that a library swallows."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from fdrnn.studies.cli.interrupts import remembered_interrupts


def test_an_interrupt_ends_what_is_inside() -> None:
    with pytest.raises(KeyboardInterrupt), remembered_interrupts():
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("not interrupted")


def test_a_swallowed_interrupt_comes_again() -> None:
    before = signal.getsignal(signal.SIGINT)
    swallowing = contextlib.suppress(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt), remembered_interrupts(), swallowing:
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_nothing_comes_of_nothing() -> None:
    with remembered_interrupts():
        pass
