"""Lines for what takes long."""

from __future__ import annotations

import time

import pytest

from fdrnn.studies.cli import phases


@pytest.mark.parametrize(("silence_s", "expected"), [(0.01, "fdrnn: reading\n"), (60.0, "")])
def test_only_what_takes_long_has_a_line(
    silence_s: float,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(phases, "SILENCE_S", silence_s)
    shown = ""
    until = time.monotonic() + 20.0
    with phases.announced("reading"):
        while expected and not shown and time.monotonic() < until:
            shown += capsys.readouterr().err
            time.sleep(0.01)
    assert shown + capsys.readouterr().err == expected
