"""Errors of the study definitions and the command line.

FdrnnError
+-- StudyFileError (ValueError)   a study's TOML file that cannot be read as a definition
+-- OptionError (ValueError)      a command line option out of its range
+-- DashboardError (OSError)      the dashboard cannot serve

Each is also the builtin in parentheses.
"""

from __future__ import annotations

from fdrnn.datasets.errors import FdrnnError


class StudyFileError(FdrnnError, ValueError):
    """A TOML file that is missing, unreadable or no valid study definition."""


class OptionError(FdrnnError, ValueError):
    """A command line option whose value is out of its range or does not fit another's."""


class DashboardError(FdrnnError, OSError):
    """The dashboard has nothing to show or no address to serve it on."""
