"""Errors of the search.

FdrnnError
+-- DefinitionError (ValueError)     a study definition that breaks a rule
+-- StudyConflictError (ValueError)  a study of that name with another definition or data
+-- StoreError (ConnectionError)     a store that cannot be reached, read or written
|   +-- StoreUnavailableError        one that may take the call later: away, full, locked, only read
|   +-- ForeignStudyError            a study in it that another fdrnn made
+-- PortableFileError (ValueError)   a study's file that cannot be written, or read as one
+-- LeaseLostError (RuntimeError)    a trial that another worker has taken over
+-- NoModelError (LookupError)       a trial without a stored model
+-- WorkerError (RuntimeError)       workers that could not go on
"""

from __future__ import annotations

from fdrnn.datasets.errors import FdrnnError


class DefinitionError(FdrnnError, ValueError):
    """A key or value of a study definition that breaks a rule."""


class StudyConflictError(FdrnnError, ValueError):
    """The store holds a study of the same name that is not the same study."""


class StoreError(FdrnnError, ConnectionError):
    """The store cannot be reached, opened, read or written, or is of another schema."""


class StoreUnavailableError(StoreError):
    """The store is away, full, locked or only to be read; the same call may succeed later."""


class ForeignStudyError(StoreError):
    """A study in the store whose definition has what this fdrnn does not know."""


class PortableFileError(FdrnnError, ValueError):
    """A study's portable file that cannot be written, or read as one."""


class LeaseLostError(FdrnnError, RuntimeError):
    """The lease on a trial was taken over; its former holder may write nothing more."""


class NoModelError(FdrnnError, LookupError):
    """A trial that has no best-validation parameters in the store."""


class WorkerError(FdrnnError, RuntimeError):
    """Worker processes ended before the study's trials did."""
