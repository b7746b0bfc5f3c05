"""Errors of the reports.

FdrnnError
+-- NothingToReportError (LookupError)   a store without the study, or without any
+-- OutputError (OSError)                a report that cannot be written

Each is also the builtin in parentheses.
"""

from __future__ import annotations

from fdrnn.datasets.errors import FdrnnError


class NothingToReportError(FdrnnError, LookupError):
    """A store that holds no study."""


class OutputError(FdrnnError, OSError):
    """A folder or file of a report that cannot be written."""
