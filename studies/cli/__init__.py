"""The command ``fdrnn``: create studies, train their trials, show their status, report them.

Exit codes: 0 success; 1 a study has failed trials, or a check has found something; 2 an error,
printed in one line on the standard error; 75 the store was unavailable for longer than
``--patience``; 130 interrupted, the same command resumes; 141 the output was closed.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path


def _prepare_streams() -> None:
    # What a script closes by `>&-` is None, which no library expects.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - for the process
    # As on the standard error: the locale's encoding may lack a character of a name or path.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def main() -> None:
    """Run the command line ``fdrnn`` and exit with its code."""
    _prepare_streams()
    try:
        # Imported here so that `fdrnn.studies.cli` costs nothing to those who import no command.
        from fdrnn.studies.cli.app import app  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.stderr.write("fdrnn: interrupted; the same command resumes\n")
        raise SystemExit(130) from None
    app(prog_name="fdrnn")
