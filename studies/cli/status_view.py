"""The status of studies as text and as JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from fdrnn.model import DEFAULT_OUTPUT
from fdrnn.search import (
    RunningTrial,
    Store,
    Study,
    StudyProgress,
    selected,
    study_progress,
    trials,
)
from fdrnn.search.store.progress import total
from fdrnn.studies.cli.tables import make_table
from fdrnn.studies.cli.units import duration


@dataclass(frozen=True)
class BestTrial:
    """The trial that a study reports so far.

    Attributes
    ----------
    config_index
        Its configuration.
    best_epoch
        Its best epoch.
    valid_nll
        Its validation NLL there, in nats per predicted step.
    """

    config_index: int
    best_epoch: int
    valid_nll: float


@dataclass(frozen=True)
class StudyStatus:
    """Where a study stands.

    Attributes
    ----------
    stored
        The study.
    progress
        Its trials.
    best
        The best of them, None before one has finished.
    """

    stored: Study
    progress: StudyProgress
    best: BestTrial | None

    @classmethod
    def read(cls, store: Store, study: str) -> StudyStatus:
        """Read where a study of a store stands.

        Raises
        ------
        UnknownNameError
            If the store holds no study of that name.
        StoreError
            If the store fails.
        """
        stored = store.study(study)
        table = trials(store, study)
        index = selected(table)
        best = None
        if index is not None:
            row = table[table["config_index"] == index].iloc[0]
            best = BestTrial(index, int(row["best_epoch"]), float(row["valid_nll"]))
        return cls(stored, study_progress(store, study), best)


def summary_line(progress: StudyProgress) -> str:
    """Say how far a study is.

    Parameters
    ----------
    progress
        Its counts.

    Returns
    -------
    str
        For example ``"study jsb: 5 of 32 trials finished (1 diverged), 2 running, 25 waiting"``.
    """
    return f"study {progress.study}: {_counts_of(progress)}"


def total_line(progress: Sequence[StudyProgress]) -> str:
    """Say how far several studies are together.

    Parameters
    ----------
    progress
        Their counts.

    Returns
    -------
    str
        For example ``"13 studies, 4 complete: 20 of 52 trials finished, 2 running, 30 waiting"``.
    """
    complete = sum(one.complete for one in progress)
    return f"{len(progress)} studies, {complete} complete: {_counts_of(total('all', progress))}"


def _counts_of(progress: StudyProgress) -> str:
    diverged = f" ({progress.diverged} diverged)" if progress.diverged else ""
    others = [
        f"{count} {state}"
        for count, state in (
            (progress.running, "running"),
            (progress.waiting, "waiting"),
            (progress.failed, "failed"),
        )
        if count
    ]
    done = f"{progress.finished} of {progress.n_trials} trials finished{diverged}"
    return ", ".join([done, *others])


def time_left_line(progress: StudyProgress, max_epochs: int) -> str:
    """Say how long the rest of a study will take, and on what that rests.

    Parameters
    ----------
    progress
        The study, which is not complete.
    max_epochs
        Most epochs of a trial.
    """
    left = progress.time_left
    if left is None:
        return "expected time left: unknown until a trial has trained an epoch"
    workers = f"{left.n_workers} worker{'s' if left.n_workers > 1 else ''}"
    if left.seconds is None:
        expected = f"no worker runs; one would need about {duration(left.worker_seconds)}"
    elif left.n_finished:
        expected = f"expected time left: {duration(left.seconds)} with {workers}"
    else:
        expected = f"time left: at most {duration(left.seconds)} with {workers}"
    if left.n_finished == 0:
        return f"{expected}, were every trial to go to {max_epochs} epochs (none has finished)"
    plural = "s" if left.n_finished > 1 else ""
    return f"{expected}, judging by {left.n_finished} finished trial{plural}"


def status_blocks(
    statuses: Sequence[StudyStatus], *, whole_errors: bool
) -> Iterator[RenderableType]:
    """Yield the status of studies for a terminal of 80 columns or more.

    Of several studies a line with their sums comes first, and those in which nothing happens and
    nothing went wrong are a line each, so that those that somebody looks for are on the screen.

    Parameters
    ----------
    statuses
        The studies.
    whole_errors
        Whether failed trials show their tracebacks or the last lines alone.
    """
    several = len(statuses) > 1
    if several:
        yield Text(total_line([status.progress for status in statuses]), style="bold")
    short_before = False
    for status in statuses:
        short = several and not _is_worth_a_look(status.progress)
        if several and not (short and short_before):
            yield Text("")
        if short:
            best = f"; lowest validation NLL {status.best.valid_nll:.3f}" if status.best else ""
            yield Text(f"{summary_line(status.progress)}{best}")
        else:
            yield from _whole_blocks(status, whole_errors=whole_errors)
        short_before = short


def _is_worth_a_look(progress: StudyProgress) -> bool:
    troubled = progress.troubled_trials and not progress.complete
    return bool(progress.running or progress.failed or troubled)


def _whole_blocks(status: StudyStatus, *, whole_errors: bool) -> Iterator[RenderableType]:
    stored, progress = status.stored, status.progress
    definition, settings = stored.definition, stored.definition.training
    output = "" if definition.output == DEFAULT_OUTPUT else f", output {definition.output}"
    yield Text(summary_line(progress), style="bold")
    yield Text(
        f"data {definition.data}, variant {definition.variant}{output}, "
        f"space {definition.space}, seed {definition.seed}, at most {settings.max_epochs} epochs, "
        f"patience {settings.patience}, padding {settings.padding}; made with fdrnn "
        f"{stored.code_version} on {stored.created_at:%Y-%m-%d %H:%M} UTC"
    )
    best = status.best
    if best is not None:
        yield Text(
            f"lowest validation NLL: {best.valid_nll:.3f}, trial {best.config_index}, epoch "
            f"{best.best_epoch}"
        )
    if not progress.complete:
        yield Text(time_left_line(progress, settings.max_epochs))
    if progress.running_trials:
        yield make_table(
            ("trial", "worker", "host", "attempt", "epoch", "best NLL", "lease age"),
            [_running_row(trial, settings.max_epochs) for trial in progress.running_trials],
        )
    for troubled in progress.troubled_trials:
        again = f", {troubled.stalls} in a row without progress" if troubled.stalls else ""
        what = troubled.trouble or "its worker ended without a word"
        yield Text(
            f"trial {troubled.config_index} ({troubled.state}) lost an attempt{again}: {what}"
        )
    for failed in progress.failed_trials:
        error = failed.error.strip()
        if whole_errors:
            yield Text(f"\ntrial {failed.config_index} failed:\n{error}")
        else:
            yield Text(f"trial {failed.config_index} failed: {error.splitlines()[-1]}")


def status_mapping(status: StudyStatus) -> dict[str, Any]:
    """Return a study's status as JSON values.

    Returns
    -------
    dict
        ``name``; ``n_trials`` and the counts ``waiting``, ``running``, ``finished``, ``failed``
        and (of the finished) ``diverged``; ``complete``; ``best``, a `BestTrial` or null;
        ``running_trials``, ``failed_trials`` and ``troubled_trials``, lists of
        `fdrnn.search.RunningTrial`, `FailedTrial` and `TroubledTrial`; ``time_left``, a
        `fdrnn.search.TimeLeft` or null; ``definition``, as in the study's file; ``created_at``
        (ISO 8601, UTC) and ``code_version``. NaN is null, infinities are ``"inf"`` and ``"-inf"``.
    """
    counts = dataclasses.asdict(status.progress)
    definition = status.stored.definition.to_mapping()
    mapping = {
        "name": counts.pop("study"),
        **counts,
        "complete": status.progress.complete,
        "best": None if status.best is None else dataclasses.asdict(status.best),
        "definition": definition,
        "created_at": status.stored.created_at.isoformat(),
        "code_version": status.stored.code_version,
    }
    return {key: _strict(value) for key, value in mapping.items()}


def _running_row(trial: RunningTrial, max_epochs: int) -> tuple[str, ...]:
    expired = trial.lease_left_s < 0
    return (
        str(trial.config_index),
        trial.worker,
        trial.host,
        str(trial.attempt),
        f"{trial.epoch}/{max_epochs}",
        "-" if trial.best_valid_nll is None else f"{trial.best_valid_nll:.3f}",
        "expired" if expired else duration(trial.lease_age_s),
    )


def _strict(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, dict):
        return {key: _strict(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(one) for one in value]
    return value
