"""Training of the studies that a command names, until they are complete: here or by Dask."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import typer

from fdrnn.search import Store, StoreError, Study, StudyProgress, WorkerSettings, run_workers
from fdrnn.search.design.comparison import comparison_of
from fdrnn.search.store.database import Database
from fdrnn.search.work.outage import Result, with_patience
from fdrnn.search.work.pool import require_nothing_left
from fdrnn.studies.cli.display import Display, OnComplete, StudyGroup
from fdrnn.studies.cli.display_live import LiveDisplay
from fdrnn.studies.cli.display_log import LogDisplay
from fdrnn.studies.cli.engine import run_on_dask
from fdrnn.studies.cli.engine_cluster import cluster_of
from fdrnn.studies.cli.engine_task import JsonDisplay, order_of
from fdrnn.studies.cli.notes import refresh_notes
from fdrnn.studies.cli.status_view import summary_line, time_left_line, total_line
from fdrnn.studies.cli.tables import CliConsole


@dataclass(frozen=True)
class DaskOptions:
    """A Dask cluster: its address, and fewest and most jobs of one that adapts."""

    address: str
    adapt: tuple[int, int] | None


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How studies are trained.

    Attributes
    ----------
    storage
        URL of the store.
    n_workers
        The number of workers; None for as many as there is room for.
    settings
        Settings of the workers.
    data_dir
        Folder with data files; None where they are cached or fetched.
    deadline
        When the workers are stopped, by the monotonic clock.
    dask
        The cluster that starts the workers; None for processes of this machine.
    as_json
        Whether events are printed as JSON, for the task that has started this command.
    """

    storage: str
    n_workers: int | None
    settings: WorkerSettings
    data_dir: Path | None
    deadline: float = math.inf
    dask: DaskOptions | None = None
    as_json: bool = False


def train(store: Store, studies: Sequence[Sequence[Study]], options: TrainingOptions) -> int:
    """Train studies until no trial of them is left, and return the exit code.

    Parameters
    ----------
    store
        The store that they are in.
    studies
        Studies of one comparison are one item.
    options
        How they are trained.

    Returns
    -------
    int
        1 if trials failed, 0 otherwise.
    """
    training = _Training(store, options, {one.name: one for several in studies for one in several})
    groups = [_group(store, several) for several in _distinct(studies)]

    def progress_of(group: StudyGroup) -> StudyProgress:
        return group.total(patiently(group.read, options.settings))

    def is_left(group: StudyGroup) -> bool:
        return not progress_of(group).complete

    if options.dask is None:
        if left := list(filter(is_left, groups)):
            training.train(left)
    else:
        # Dask's workers get the data file of one study. Another may be complete by its turn.
        for group in filter(is_left, groups):
            training.train([group])
    failed = [done for group in groups if (done := progress_of(group)).n_failed]
    for done in failed:
        repeats = f" and {done.repeats_planned} repeats" if done.repeats_failed else ""
        typer.echo(
            f"fdrnn: study {done.study}: {done.n_failed} of {done.n_trials} trials{repeats} "
            f"failed; `fdrnn study status {done.study}` prints the errors",
            err=True,
        )
    return 1 if failed else 0


def present(store: Store, names: Iterable[str]) -> Iterator[Study]:
    """Yield the studies of these names that have not been deleted or renamed."""
    for name in names:
        if (study := store.find(name)) is not None:
            yield study


def make_display(
    groups: Sequence[StudyGroup], *, first_run: bool, on_complete: OnComplete
) -> Display:
    """Return the display that fits the standard error; parameters as of `StudiesDisplay`."""
    console = CliConsole(stderr=True, highlight=False)
    kind = LiveDisplay if console.is_terminal else LogDisplay
    return kind(console, groups, first_run=first_run, on_complete=on_complete)


def patiently(call: Callable[[], Result], settings: WorkerSettings) -> Result:
    """Call something that reads the store, again and again while the store is unavailable.

    Raises
    ------
    StoreUnavailableError
        If it is for longer than the settings' `patience_s`.
    """

    def show(reason: str) -> None:
        typer.echo(
            f"fdrnn: {reason}; waiting for up to {settings.patience_s:g} s (--patience)", err=True
        )

    return with_patience(call, settings.patience_s, show)


@dataclass
class _Training:
    store: Store
    options: TrainingOptions
    studies: dict[str, Study]
    noted: set[str] = field(default_factory=set)

    def train(self, left: Sequence[StudyGroup]) -> None:
        names = list(dict.fromkeys(name for group in left for name in group.studies))
        deadline = self.options.deadline
        most_s = None if deadline == math.inf else max(deadline - time.monotonic(), 0.0)
        with self.display(left) as display:
            if self.options.dask is None:
                interrupted = self.train_here(names, display, most_s)
            else:
                interrupted = self.train_on_dask(self.options.dask, names, display, most_s)
        if interrupted and time.monotonic() >= deadline:
            try:
                standing = self.standing(left)
            except StoreError as error:
                standing = str(error)
            typer.echo(f"fdrnn: --max-hours are over: {standing}", err=True)
        if interrupted:
            # At once: the store may be what the user waits for.
            raise KeyboardInterrupt
        for group in left:
            if self.noted.isdisjoint(group.studies):
                self.note(group)

    def display(self, left: Sequence[StudyGroup]) -> Display:
        if self.options.as_json:
            return JsonDisplay()
        first_run = self.options.dask is None and not _has_compiled()
        return make_display(left, first_run=first_run, on_complete=self.note)

    def train_here(self, names: Sequence[str], display: Display, most_s: float | None) -> bool:
        return run_workers(
            self.options.storage,
            names,
            self.options.n_workers,
            data_dir=self.options.data_dir,
            on_event=display.show,
            on_stop=display.stopping,
            settings=self.options.settings,
            most_s=most_s,
        )

    def train_on_dask(
        self,
        dask: DaskOptions,
        names: list[str],
        display: Display,
        most_s: float | None,
    ) -> bool:
        options, data = self.options, self.studies[names[0]].definition.data
        # By its title, a comparison would have the studies of an earlier definition as well.
        order = order_of(
            tuple(names), data, Database(options.storage).url, options.data_dir, options.settings
        )
        with cluster_of(dask.address, options.n_workers, dask.adapt) as (cluster, n_tasks):
            interrupted, errors = run_on_dask(
                cluster, order, n_tasks, display=display, most_s=most_s
            )
        if errors and not interrupted:
            patiently(
                lambda: require_nothing_left(options.storage, names, errors), options.settings
            )
        return interrupted

    def note(self, group: StudyGroup) -> None:
        """Update the notes of a study, or of those of a comparison, in optuna-dashboard."""
        if refresh_notes(present(self.store, group.studies)):
            self.noted.update(group.studies)
        # A server's connections are for the workers.
        self.store.close()

    def standing(self, left: Sequence[StudyGroup]) -> str:
        each = [group.total(group.read()) for group in left]
        if len(each) > 1:
            return total_line(each)
        (done,) = each
        max_epochs = self.studies[left[0].studies[0]].definition.training.max_epochs
        expected = f"; {time_left_line(done, max_epochs)}" if done.time_left else ""
        return f"{summary_line(done)}{expected}"


def _distinct(studies: Sequence[Sequence[Study]]) -> list[Sequence[Study]]:
    """Return the items without those whose studies are in another one."""
    names = [{study.name for study in several} for several in studies]
    return [
        several
        for k, several in enumerate(studies)
        if not any(
            names[k] < other or (names[k] == other and j < k) for j, other in enumerate(names)
        )
    ]


def _group(store: Store, studies: Sequence[Study]) -> StudyGroup:
    first = studies[0].definition
    title = first.name if len(studies) == 1 else comparison_of(first) or first.name

    def read() -> list[StudyProgress]:
        try:
            return [study.progress() for study in studies]
        finally:
            # A server's connections are for the workers.
            store.close()

    return StudyGroup(title, tuple(study.name for study in studies), read)


def _has_compiled() -> bool:
    from fdrnn.model.toolchain import has_compiled  # noqa: PLC0415 - as below

    return has_compiled()
