"""Errors of the study definitions and the command line.

FdrnnError
+-- StudyFileError (ValueError)   a study's TOML file that cannot be read as a definition
+-- OptionError (ValueError)      a command line option that breaks a rule
+-- DashboardError (OSError)      the dashboard cannot be served
+-- InstallationError (RuntimeError)  a part of the installation that is missing or does not fit

Each is also the builtin in parentheses.
"""

from __future__ import annotations

from fdrnn.datasets.errors import FdrnnError


class StudyFileError(FdrnnError, ValueError):
    """A TOML file that is missing, unreadable or not a valid study definition."""


class OptionError(FdrnnError, ValueError):
    """A command line option that is out of range or contradicts another."""


class DashboardError(FdrnnError, OSError):
    """The dashboard has nothing to show or no free address."""


class InstallationError(FdrnnError, RuntimeError):
    """A part of the installation is missing, or is not one that fdrnn runs with."""
