"""``fdrnn run``, ``fdrnn worker`` and ``fdrnn study create``."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from fdrnn.datasets import DataDescription, load
from fdrnn.reports.document.writing import require_writable
from fdrnn.search import (
    Store,
    StoreError,
    StudyDefinition,
    StudyProgress,
    WorkerSettings,
    create_study,
    default_storage_url,
    find_store,
    open_store,
    run_workers,
    study_progress,
)
from fdrnn.search.design.comparison import comparison_of, study_name
from fdrnn.search.store.frames import named_studies
from fdrnn.search.store.progress import total
from fdrnn.studies import catalogue
from fdrnn.studies.cli.display import make_display
from fdrnn.studies.cli.interrupts import remembered_interrupts
from fdrnn.studies.cli.notes import refresh_notes
from fdrnn.studies.cli.reporting import report_results
from fdrnn.studies.cli.status_view import summary_line
from fdrnn.studies.errors import OptionError

_SHORTEST_LEASE_S = 1.0


@dataclass(frozen=True)
class Request:
    """The study, or the comparison, that a user asks for.

    Attributes
    ----------
    study
        Name or path of its definition.
    trials, epochs, name
        What replaces the definition's ``n_trials``, ``max_epochs`` and name; None for nothing.
    storage
        URL of the store; None for the default.
    data_dir
        Folder with data files; None where they are cached or fetched.

    Raises
    ------
    OptionError
        If a number is below 1.
    """

    study: str
    trials: int | None
    epochs: int | None
    name: str | None
    storage: str | None
    data_dir: Path | None

    def __post_init__(self) -> None:
        _require_positive("--trials", self.trials)
        _require_positive("--epochs", self.epochs)

    @property
    def storage_url(self) -> str:
        """URL of the store."""
        return self.storage or default_storage_url()

    def definitions(self) -> tuple[StudyDefinition, ...]:
        """Return the definition with what replaces its values; those of a comparison's studies."""
        return tuple(map(self._replaced, catalogue.find_all(self.study)))

    def _replaced(self, definition: StudyDefinition) -> StudyDefinition:
        if self.trials is not None:
            definition = replace(definition, n_trials=self.trials)
        if self.epochs is not None:
            training = replace(definition.training, max_epochs=self.epochs)
            definition = replace(definition, training=training)
        if self.name is not None:
            compared = comparison_of(definition) is not None
            name = study_name(self.name, definition.variant) if compared else self.name
            definition = replace(definition, name=name)
        return definition


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """The workers that a user asks for.

    Attributes
    ----------
    n_workers
        Worker processes; None for as many as the usable cores have room for.
    threads
        Threads of each worker's linear algebra.
    lease_s, checkpoint_interval_s
        As in `fdrnn.search.WorkerSettings`.

    Raises
    ------
    OptionError
        If a number is out of range.
    """

    n_workers: int | None
    threads: int
    lease_s: float
    checkpoint_interval_s: float

    def __post_init__(self) -> None:
        _require_positive("--workers", self.n_workers)
        _require_positive("--threads", self.threads)
        if not _SHORTEST_LEASE_S <= self.lease_s < math.inf:
            raise OptionError(
                f"--lease must be at least {_SHORTEST_LEASE_S} seconds, got {self.lease_s:g}"
            )
        if not 0.0 <= self.checkpoint_interval_s < math.inf:
            raise OptionError(
                f"--checkpoint-every must be at least 0 seconds, got {self.checkpoint_interval_s:g}"
            )

    @property
    def settings(self) -> WorkerSettings:
        """How each of them uses the store and the machine."""
        return WorkerSettings(
            threads=self.threads,
            lease_s=self.lease_s,
            checkpoint_interval_s=self.checkpoint_interval_s,
        )


def create(requests: Sequence[Request]) -> tuple[Store, list[list[str]]]:
    """Make or extend studies, or those of comparisons, and say what the store now holds.

    Parameters
    ----------
    requests
        At least one, all with the same store.

    Returns
    -------
    tuple
        The store and, for each request, the names of its studies there.
    """
    # A mistake in a definition or in data makes no store.
    definitions = [request.definitions() for request in requests]
    found = find_store(requests[0].storage_url)
    described = [
        _described(found, request, its) for request, its in zip(requests, definitions, strict=True)
    ]
    store = found or open_store(requests[0].storage_url, create=True)
    for its, data in zip(definitions, described, strict=True):
        _create(store, its, data)
    return store, [[one.name for one in its] for its in definitions]


def _described(
    store: Store | None, request: Request, definitions: Sequence[StudyDefinition]
) -> DataDescription | None:
    # Where nothing is left to train, the data are not needed.
    if store is not None and all(_is_there_complete(store, one) for one in definitions):
        return None
    dataset = load(definitions[0].data, request.data_dir, progress=sys.stderr.isatty())
    for definition in definitions:
        definition.require_data(dataset.description)
    return dataset.description


def _create(
    store: Store, definitions: Sequence[StudyDefinition], data: DataDescription | None
) -> None:
    shown = store.database.shown
    if data is None:
        _say(f"{_called(definitions)} in store {shown}, all have ended")
        return
    for definition in definitions:
        create_study(store, definition, data)
    refresh_notes(store, [definition.name for definition in definitions])
    _say(f"{_called(definitions)} in store {shown}")
    if data.note:
        _say(f"{data.title}: {data.note}")


def _called(definitions: Sequence[StudyDefinition]) -> str:
    first = definitions[0]
    if len(definitions) == 1:
        return f"study {first.name}: {first.n_trials} trials"
    return (
        f"comparison {comparison_of(first)}: {len(definitions)} studies of {first.n_trials} trials"
    )


def _is_there_complete(store: Store, definition: StudyDefinition) -> bool:
    made = store.find(definition.name)
    return (
        made is not None
        and made.definition == definition
        and study_progress(store, definition.name).complete
    )


def run_studies(requests: Sequence[Request], workers: WorkerOptions, output: Path) -> int:
    """Create studies or comparisons, work on one after the other and report their store.

    Parameters
    ----------
    requests
        At least one, all with the same store and data folder.
    workers
        Who trains them.
    output
        Folder of the report's files.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    OptionError
        If one name is given to several.
    """
    last = requests[-1]
    if last.name is not None and len(requests) > 1:
        raise OptionError(f"--name names one study, got {len(requests)}; run them singly")
    with remembered_interrupts():
        # A mistake in a definition is told before Theano is imported, one in the data before
        # anything is trained.
        for request in requests:
            request.definitions()
        _require_toolchain()
        # Not only after hours of training.
        require_writable(output)
        store, studies = create(requests)
    codes = [_train(store, names, last.storage_url, workers, last.data_dir) for names in studies]
    report_results(store, output)
    return max(codes)


def run_worker(
    study: str, workers: WorkerOptions, storage: str | None, data_dir: Path | None
) -> int:
    """Work on a study, or on those of a comparison, of the store.

    Parameters
    ----------
    study
        Its name there.
    workers
        Who trains it.
    storage
        URL of the store; None for the default.
    data_dir
        Folder with data files, None where they are cached or fetched.

    Returns
    -------
    int
        Exit code.
    """
    storage_url = storage or default_storage_url()
    with remembered_interrupts():
        store = open_store(storage_url)
        names = named_studies(store, study)
        # Where nothing is left to train, neither a compiler nor the data are needed.
        if not all(study_progress(store, name).complete for name in names):
            _require_toolchain()
            # Here and not by several workers at once, and with its progress shown.
            for one in sorted({store.study(name).definition.data for name in names}):
                load(one, data_dir, progress=sys.stderr.isatty())
    return _train(store, names, storage_url, workers, data_dir)


def _train(
    store: Store,
    names: list[str],
    storage_url: str,
    workers: WorkerOptions,
    data_dir: Path | None,
) -> int:
    first = store.study(names[0]).definition
    shown = names[0] if len(names) == 1 else comparison_of(first) or names[0]

    def progress() -> StudyProgress:
        try:
            each = [study_progress(store, name) for name in names]
        finally:
            # A server's connections are for the workers.
            store.close()
        return each[0] if len(each) == 1 else total(shown, each)

    if not progress().complete:

        def summary() -> str:
            try:
                return summary_line(progress())
            except StoreError as error:
                return str(error)

        with make_display(summary, first.training.max_epochs) as display:
            interrupted = run_workers(
                storage_url,
                names,
                workers.n_workers,
                data_dir=data_dir,
                on_event=display.show,
                on_stop=display.stopping,
                settings=workers.settings,
            )
        if interrupted:
            # At once: the store may be what the user is waiting for.
            raise KeyboardInterrupt
        refresh_notes(store, names)
    done = progress()
    if done.failed:
        _say(
            f"fdrnn: study {shown}: {done.failed} of {done.n_trials} trials failed; "
            f"`fdrnn study status {shown}` shows the errors"
        )
        return 1
    return 0


def _require_toolchain() -> None:
    # Imports Theano, which `study create` does without.
    from fdrnn.model.toolchain import check_toolchain  # noqa: PLC0415

    check_toolchain()


def _require_positive(option: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise OptionError(f"{option} must be at least 1, got {value}")


def _say(line: str) -> None:
    typer.echo(line, err=True)
