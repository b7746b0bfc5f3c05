"""Ctrl-C that a library swallows."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from fdrnn.studies.cli import main
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


def test_an_interrupt_while_an_object_is_collected_comes_again_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Interrupting:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    shown: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)
    with pytest.raises(KeyboardInterrupt), remembered_interrupts():
        Interrupting()
    assert shown == []


def test_other_exceptions_of_collected_objects_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def __del__(self) -> None:
            raise ValueError

    shown: list[sys.UnraisableHookArgs] = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)
    with remembered_interrupts():
        Failing()
    assert [one.exc_type for one in shown] == [ValueError]


def test_an_interrupt_while_the_command_is_imported_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted:
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "fdrnn.studies.cli.app", Interrupted())
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 130
    assert capsys.readouterr().err == "fdrnn: interrupted; the same command resumes\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_closed_stream_is_no_error(closed: str) -> None:
    command = f"{sys.executable} -m fdrnn.studies.cli study status nothing {closed}"
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == (closed != "2>&-")


def test_nothing_comes_of_nothing() -> None:
    with remembered_interrupts():
        pass
