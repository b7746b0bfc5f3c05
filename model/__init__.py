"""Fast-dropout recurrent networks and their training.

This face is light: names, hyperparameters and results. What compiles is imported by its module,
`fdrnn.model.trainer` above all, which alone a study needs.
"""

from fdrnn.model.errors import (
    CheckpointError,
    DecompositionError,
    OutputError,
    ToolchainError,
    TrainingInterrupted,
)
from fdrnn.model.outputs import DEFAULT_OUTPUT, OUTPUTS, Output, require_kind, require_padding
from fdrnn.model.results import EpochRecord, TrialResult
from fdrnn.model.settings import (
    CommonHyperparameters,
    DropoutHyperparameters,
    FastDropoutHyperparameters,
    Hyperparameters,
    TrainingSettings,
)
from fdrnn.model.variants import VARIANTS, Variant, recordable, require_decomposition

__all__ = [
    "DEFAULT_OUTPUT",
    "OUTPUTS",
    "VARIANTS",
    "CheckpointError",
    "CommonHyperparameters",
    "DecompositionError",
    "DropoutHyperparameters",
    "EpochRecord",
    "FastDropoutHyperparameters",
    "Hyperparameters",
    "Output",
    "OutputError",
    "ToolchainError",
    "TrainingInterrupted",
    "TrainingSettings",
    "TrialResult",
    "Variant",
    "recordable",
    "require_decomposition",
    "require_kind",
    "require_padding",
]
