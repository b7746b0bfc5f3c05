"""Pages in headless Chromium, where one is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # Chromium's own requests to the network.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
)
_LIMIT_S = 120
_CONSOLE = re.compile(r":(?:INFO|WARNING|ERROR):CONSOLE\S* (.*)")


@dataclass(frozen=True)
class Page:
    """A page after its scripts have run.

    Attributes
    ----------
    html
        Its document.
    console
        What its scripts printed, errors that they did not catch included.
    """

    html: str
    console: tuple[str, ...]


def browse(url: str, *, wait_ms: int = 10_000, screenshot: Path | None = None) -> Page:
    """Open a page; skip the test where there is no Chromium.

    Parameters
    ----------
    url
        Its address.
    wait_ms
        Milliseconds of the page's own time that its scripts have.
    screenshot
        PNG file to draw it into.
    """
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.skip(f"no Chromium: none of {', '.join(_NAMES)} is on the PATH")
    with tempfile.TemporaryDirectory() as profile:
        command = [program, *_FLAGS, f"--user-data-dir={profile}"]
        command.append(f"--virtual-time-budget={wait_ms}")
        if screenshot is not None:
            subprocess.run(
                [*command, f"--screenshot={screenshot}", url],
                capture_output=True,
                check=True,
                timeout=_LIMIT_S,
            )
        done = subprocess.run(
            [*command, "--dump-dom", url],
            capture_output=True,
            text=True,
            check=True,
            timeout=_LIMIT_S,
        )
    return Page(done.stdout, tuple(_CONSOLE.findall(done.stderr)))
