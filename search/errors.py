"""Errors of the search.

FdrnnError
+-- DefinitionError (ValueError)     a study definition that breaks a rule
|   +-- MissingPluginError           one that needs a plug-in which is not installed
+-- StudyConflictError (ValueError)  a study of that name with another definition or data
+-- StoreError (ConnectionError)     a store that cannot be reached, read or written
|   +-- StoreUnavailableError        an outage: no connection, disk full, locked, read-only
|   |   +-- StoreAddressError        no host, user, password or database of that name
|   |   +-- PatienceError            an outage at the start that was longer than the patience
|   +-- ForeignStudyError            a study of another fdrnn, or of a plug-in that is missing
+-- PortableFileError (ValueError)   an exported study that cannot be written or read
+-- LeaseLostError (RuntimeError)    a trial that another worker has claimed
+-- NoModelError (LookupError)       a trial without a stored model
+-- WorkerError (RuntimeError)       worker processes that ended early
"""

from __future__ import annotations

from fdrnn.datasets.errors import FdrnnError


class DefinitionError(FdrnnError, ValueError):
    """A key or value of a study definition breaks a rule."""


class MissingPluginError(DefinitionError):
    """A variant, output or data set of the definition is a plug-in that is not installed."""


class StudyConflictError(FdrnnError, ValueError):
    """A study of the same name in the store differs in definition or data."""


class StoreError(FdrnnError, ConnectionError):
    """The store cannot be reached, opened, read or written, or has another schema version."""


class StoreUnavailableError(StoreError):
    """The store has an outage or is full, locked or read-only; the call may succeed later."""


class StoreAddressError(StoreUnavailableError):
    """The store's address, user, password or database is refused: a mistake if it never worked."""


class PatienceError(StoreUnavailableError):
    """The store stayed unavailable for as long as a worker waits for it at its start."""

    # EX_TEMPFAIL of sysexits.h: an engine may start the worker again.
    exit_code = 75


class ForeignStudyError(StoreError):
    """The definition of a study in the store has what this fdrnn does not know, as installed."""


class PortableFileError(FdrnnError, ValueError):
    """The file of an exported study cannot be written, or read as one."""


class LeaseLostError(FdrnnError, RuntimeError):
    """Another worker has claimed the trial; this one can write nothing more into it."""


class NoModelError(FdrnnError, LookupError):
    """A trial has no best-validation parameters in the store."""


class WorkerError(FdrnnError, RuntimeError):
    """Worker processes ended before the study's trials did."""
