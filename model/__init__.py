"""Fast-dropout recurrent networks and their training.

This package imports no Theano: it has names, hyperparameters and results. A study trains with
`fdrnn.model.trainer`, which compiles the network.
"""

from fdrnn.model.errors import (
    CheckpointError,
    DecompositionError,
    OutputMismatchError,
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
    "OutputMismatchError",
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
