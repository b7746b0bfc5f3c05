"""Progress of the workers on a terminal, in lines that are redrawn in place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fdrnn.search import EventKind, WorkerEvent
from fdrnn.studies.cli.display import (
    STARTING,
    STOPPING,
    Standing,
    StudiesDisplay,
    Worker,
    nll_text,
    trial_name,
)
from fdrnn.studies.cli.status_view import summary_line
from fdrnn.studies.cli.tables import columns_that_fit
from fdrnn.studies.cli.units import clock, duration

_WIDEST_BAR = 40
# What a narrow terminal leaves out, first to last; the columns are those of `_cells`.
_DISPENSABLE = (4, 5, 3)
# Kinds that are shown in a worker's line alone.
_IN_PLACE = {EventKind.CLAIMED, EventKind.COMPILED, EventKind.EPOCH, EventKind.WAITING}


class LiveDisplay(StudiesDisplay):
    """Lines for what is trained and one for each worker, redrawn in place.

    The ends of trials, and of studies where there are several, are printed above.
    """

    def __enter__(self) -> LiveDisplay:
        self.tick()
        self._live = Live(self, console=self._console, refresh_per_second=4)
        self._live.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last state on the terminal."""
        self._end_reading()
        self._live.stop()

    def show(self, event: WorkerEvent) -> None:
        """Show the event in its worker's line."""
        with self._lock:
            worker = self._note(event)
        if event.kind not in _IN_PLACE:
            self._console.print(f"{worker.name}: {self._describe(event)}", markup=False)

    def stopping(self) -> None:
        """Print above the lines that a stop was requested."""
        self._stopping = True
        self._console.print(STOPPING)

    def _show_complete(self, standing: Standing) -> None:
        if len(self._groups) > 1:
            self._console.print(standing.line, markup=False)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the lines."""
        with self._lock:
            workers = dict(self._workers)
        if self._trouble:
            yield Text(self._trouble, style="red")
        else:
            n_rows = options.max_height - len(workers) - 3
            yield from self._studies(workers.values(), n_rows, options.max_width)
        if not self._names:
            yield Text(f"{STARTING} {clock(self._now_s() - self._started_at)}")
        yield from self._worker_lines(list(workers.values()), options.max_width)

    def _studies(
        self, workers: Iterable[Worker], n_rows: int, width: int
    ) -> Iterator[RenderableType]:
        standings = self._standings
        if len(self._groups) > 1:
            n_complete = sum(standing.progress.complete for standing in standings.values())
            yield Text(f"{n_complete} of {len(self._groups)} studies complete", style="bold")
        studies = {worker.event.study for worker in workers if worker.event.study}
        trained = {self._title_of.get(study) for study in studies}
        left = {title: one for title, one in standings.items() if not one.progress.complete}
        shown = [one for title, one in left.items() if title in trained or one.progress.running]
        # Between two trials none runs.
        shown = shown or list(left.values())[:1]
        if len(self._groups) == 1:
            shown = list(standings.values())
        n_fitting = max(n_rows // 2, 1)
        for standing in shown[:n_fitting]:
            yield from _standing_lines(standing, width)
        if len(shown) > n_fitting:
            yield Text(f"and {len(shown) - n_fitting} more")

    def _worker_lines(self, workers: Sequence[Worker], width: int) -> Iterator[Text]:
        rows = [self._cells(worker, width) for worker in workers]
        several = [cells for cells in rows if len(cells) > 1]
        widths = [max(map(len, column)) + 2 for column in zip(*several, strict=True)]
        # No space follows the last column.
        kept = columns_that_fit(widths, _DISPENSABLE, width + 2)
        for cells in rows:
            parts = [cells[k].ljust(widths[k]) for k in kept] if len(cells) > 1 else cells
            yield Text("".join(parts).rstrip(), no_wrap=True, overflow="ellipsis")

    def _cells(self, worker: Worker, width: int) -> tuple[str, ...]:
        event = worker.event
        if phase := self._phase(event):
            end = clock(self._now_s() - worker.since)
            line = f"{worker.name}  {phase} {end}"
            return (line if len(line) <= width else f"{line.partition(' (')[0]} {end}",)
        if event.kind is not EventKind.EPOCH:
            return (f"{worker.name}  {self._describe(event)}",)
        left_s = (event.max_epochs - event.epoch) * event.seconds
        return (
            worker.name,
            trial_name(event, several=self._several),
            f"epoch {event.epoch}/{event.max_epochs}",
            f"best {nll_text(event.best_valid_nll)}",
            f"{event.seconds:.2f} s/epoch",
            f"at most {duration(left_s)}",
        )


def _standing_lines(standing: Standing, width: int) -> Iterator[RenderableType]:
    progress = standing.progress
    yield Text(summary_line(progress), style="bold")
    bar = Table.grid(padding=(0, 2))
    left = progress.waiting + progress.running + progress.paused
    done = progress.n_trials - left
    bar_width = min(width // 3, _WIDEST_BAR)
    bar.add_row(ProgressBar(progress.n_trials, done, bar_width), Text(standing.outlook))
    yield bar
