"""Random search over hyperparameters: definitions, the store, workers, and frames to read.

A study in short::

    from fdrnn.datasets import load
    from fdrnn.search import StudyDefinition, create_study, open_store, run_workers

    store = open_store("sqlite:///fdrnn.sqlite3", create=True)
    study = create_study(store, definition, load(definition.data).description)
    run_workers("sqlite:///fdrnn.sqlite3", study.name)
    print(study.trials())

Importing this package imports neither Theano nor the dashboard; what needs Optuna or SciPy is
imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from fdrnn.search.design.comparison import compared_studies, comparison_of, is_comparison
from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.design.distributions import Choices, Distribution, FloatRange, IntRange, Value
from fdrnn.search.design.halving import Halving, lowest, replay
from fdrnn.search.design.space import (
    SPACES,
    Condition,
    Configuration,
    Parameter,
    Space,
    fitting_spaces,
    output_spaces,
)
from fdrnn.search.design.table3 import TABLE_3
from fdrnn.search.errors import (
    DefinitionError,
    ForeignStudyError,
    LeaseLostError,
    NoModelError,
    PortableFileError,
    StoreError,
    StoreUnavailableError,
    StudyConflictError,
    WorkerError,
)
from fdrnn.search.machine import code_version, describe_machine, limit_threads, usable_cores
from fdrnn.search.store.database import default_storage_url, holds_secret
from fdrnn.search.store.forecast import TimeLeft
from fdrnn.search.store.progress import StudyProgress, TrialProgress, total_progress
from fdrnn.search.store.samples import SampleOrigin, Samples
from fdrnn.search.store.store import Store, find_store, open_store
from fdrnn.search.store.study import StoredTrial, Study, StudySnapshot, selected_trial
from fdrnn.search.store.tables import TrialState
from fdrnn.search.work.events import EventKind, WorkerEvent
from fdrnn.search.work.settings import WorkerSettings

if TYPE_CHECKING:
    from fdrnn.search.design.sampler import draw
    from fdrnn.search.mirror.migration import Migration, migrate
    from fdrnn.search.models.analysis import Analysis, analyze
    from fdrnn.search.models.evaluation import evaluate
    from fdrnn.search.models.predictions import StoredModel, make_samples, stored_model
    from fdrnn.search.portable import PortableStudy
    from fdrnn.search.store.checking import check_store
    from fdrnn.search.work.claiming import requeue_expired
    from fdrnn.search.work.creation import create_study
    from fdrnn.search.work.estimate import CostEstimate, estimate_cost
    from fdrnn.search.work.pool import run_workers
    from fdrnn.search.work.training import Training, TrainingRun
    from fdrnn.search.work.worker import run_worker

_LAZY = {
    "draw": "design.sampler",
    "CostEstimate": "work.estimate",
    "estimate_cost": "work.estimate",
    "Migration": "mirror.migration",
    "migrate": "mirror.migration",
    "Analysis": "models.analysis",
    "analyze": "models.analysis",
    "evaluate": "models.evaluation",
    "StoredModel": "models.predictions",
    "make_samples": "models.predictions",
    "stored_model": "models.predictions",
    "PortableStudy": "portable",
    "check_store": "store.checking",
    "requeue_expired": "work.claiming",
    "create_study": "work.creation",
    "run_workers": "work.pool",
    "run_worker": "work.worker",
    "Training": "work.training",
    "TrainingRun": "work.training",
}
"""Module of each name that is imported at its first use."""


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


__all__ = [
    "SPACES",
    "TABLE_3",
    "Analysis",
    "Choices",
    "Condition",
    "Configuration",
    "CostEstimate",
    "DefinitionError",
    "Distribution",
    "EventKind",
    "FloatRange",
    "ForeignStudyError",
    "Halving",
    "IntRange",
    "LeaseLostError",
    "Migration",
    "NoModelError",
    "Parameter",
    "PortableFileError",
    "PortableStudy",
    "SampleOrigin",
    "Samples",
    "Space",
    "Store",
    "StoreError",
    "StoreUnavailableError",
    "StoredModel",
    "StoredTrial",
    "Study",
    "StudyConflictError",
    "StudyDefinition",
    "StudyProgress",
    "StudySnapshot",
    "TimeLeft",
    "Training",
    "TrainingRun",
    "TrialProgress",
    "TrialState",
    "Value",
    "WorkerError",
    "WorkerEvent",
    "WorkerSettings",
    "analyze",
    "check_store",
    "code_version",
    "compared_studies",
    "comparison_of",
    "create_study",
    "default_storage_url",
    "describe_machine",
    "draw",
    "estimate_cost",
    "evaluate",
    "find_store",
    "fitting_spaces",
    "holds_secret",
    "is_comparison",
    "limit_threads",
    "lowest",
    "make_samples",
    "migrate",
    "open_store",
    "output_spaces",
    "replay",
    "requeue_expired",
    "run_worker",
    "run_workers",
    "selected_trial",
    "stored_model",
    "total_progress",
    "usable_cores",
]
