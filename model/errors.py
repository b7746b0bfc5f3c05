"""Errors of the model.

FdrnnError
+-- ToolchainError (RuntimeError)     no C++ compiler, no Python headers
+-- CheckpointError (ValueError)      a stored training state that cannot be restored
+-- DecompositionError (ValueError)   a gradient without a part that goes through variances
+-- OutputMismatchError (ValueError)  an output that does not fit the data
+-- BenchmarkError                    a process of the benchmark that failed
"""

from __future__ import annotations

from fdrnn.datasets.errors import FdrnnError


class ToolchainError(FdrnnError, RuntimeError):
    """The native operations cannot be compiled or linked."""


class CheckpointError(FdrnnError, ValueError):
    """A training state that is damaged or belongs to another run."""


class DecompositionError(FdrnnError, ValueError):
    """A variant whose gradient the decomposition of section 2.2.2 does not apply to."""


class OutputMismatchError(FdrnnError, ValueError):
    """An output that does not fit the data or the padding rule."""


class TrainingInterrupted(Exception):  # noqa: N818 - requested, not an error
    """Training was interrupted within an epoch; the state is that before the epoch."""


class BenchmarkError(FdrnnError):
    """A process of the benchmark failed."""
