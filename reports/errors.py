"""Errors of the reports.

FdrnnError
+-- NothingToReportError (LookupError)   a store without a study
"""

from __future__ import annotations

from fdrnn.datasets.errors import FdrnnError


class NothingToReportError(FdrnnError, LookupError):
    """A store that contains no study."""
