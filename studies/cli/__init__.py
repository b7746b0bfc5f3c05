"""The command ``fdrnn``: create studies, train their trials, look at them, report them.

Exit codes: 0 all is well; 1 a study has failed trials; 2 the user's or the world's mistake, told
in one line on the standard error; 130 interrupted, and the same command goes on; 141 nobody
reads the output any more.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line ``fdrnn`` and exit with its code."""
    # Imported here so that the command's data types cost nothing to those who import none.
    from fdrnn.studies.cli.app import app  # noqa: PLC0415

    app(prog_name="fdrnn")
