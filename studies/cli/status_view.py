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
from fdrnn.reports.numbers.text import plural
from fdrnn.search import (
    Study,
    StudyProgress,
    TrialProgress,
    total_progress,
)
from fdrnn.studies.cli.tables import FittedTable
from fdrnn.studies.cli.units import duration


@dataclass(frozen=True)
class StudyStatus:
    """The status of a study.

    Attributes
    ----------
    study
        The study.
    progress
        Its trials.
    """

    study: Study
    progress: StudyProgress

    @classmethod
    def read(cls, study: Study) -> StudyStatus:
        """Read the status of a study.

        Raises
        ------
        StoreError
            If the store cannot be read.
        """
        return cls(study, study.progress())


def summary_line(progress: StudyProgress) -> str:
    """Return the progress of a study in one line.

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
    """Return the progress of several studies together in one line.

    Parameters
    ----------
    progress
        Their counts.

    Returns
    -------
    str
        For example ``"13 studies, 4 complete: 20 of 52 trials finished, 2 running, 30 waiting"``.
    """
    complete = sum(study.complete for study in progress)
    counts = _counts_of(total_progress("all", progress))
    return f"{len(progress)} studies, {complete} complete: {counts}"


def _counts_of(progress: StudyProgress) -> str:
    diverged = f" ({progress.diverged} diverged)" if progress.diverged else ""
    others = [
        f"{count} {state}"
        for count, state in (
            (progress.pruned, "pruned"),
            (progress.running, "running"),
            (progress.paused, "paused"),
            (progress.waiting, "waiting"),
            (progress.failed, "failed"),
        )
        if count
    ]
    if progress.repeats_planned:
        n_ended = progress.repeats_planned - progress.repeats_left
        failed = f" ({progress.repeats_failed} failed)" if progress.repeats_failed else ""
        others.append(f"{n_ended} of {progress.repeats_planned} repeats ended{failed}")
    done = f"{progress.finished} of {progress.n_trials} trials finished{diverged}"
    return ", ".join([done, *others])


def time_left_line(progress: StudyProgress, max_epochs: int) -> str:
    """Return the expected time until a study is complete, and what it is based on.

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
    workers = plural(left.n_workers, "worker")
    if left.seconds is None:
        expected = f"no worker is running; one would need about {duration(left.worker_seconds)}"
    elif left.n_finished:
        expected = f"expected time left: {duration(left.seconds)} with {workers}"
    else:
        expected = f"time left: at most {duration(left.seconds)} with {workers}"
    if left.n_finished == 0:
        return f"{expected}, if every trial runs to {max_epochs} epochs (none has finished)"
    return f"{expected}, based on {plural(left.n_finished, 'finished trial')}"


def status_blocks(
    statuses: Sequence[StudyStatus], *, whole_errors: bool
) -> Iterator[RenderableType]:
    """Yield the status of studies for a terminal of 80 columns or more.

    Of several studies a line with their sums comes first, and those without running, failed or
    troubled trials are a line each.

    Parameters
    ----------
    statuses
        The studies.
    whole_errors
        Whether failed trials show whole tracebacks, or their last lines.
    """
    several = len(statuses) > 1
    if several:
        yield Text(total_line([status.progress for status in statuses]), style="bold")
    short_before = False
    for status in statuses:
        short = several and not _has_news(status.progress)
        if several and not (short and short_before):
            yield Text("")
        if short:
            best = status.progress.selected
            lowest = f"; lowest validation NLL {best.valid_nll:.3f}" if best else ""
            yield Text(f"{summary_line(status.progress)}{lowest}")
        else:
            yield from _whole_blocks(status, whole_errors=whole_errors)
        short_before = short


def _has_news(progress: StudyProgress) -> bool:
    troubled = progress.troubled_trials and not progress.complete
    return bool(progress.running or progress.n_failed or troubled)


def _whole_blocks(status: StudyStatus, *, whole_errors: bool) -> Iterator[RenderableType]:
    study, progress = status.study, status.progress
    definition, settings = study.definition, study.definition.training
    output = "" if definition.output == DEFAULT_OUTPUT else f", output {definition.output}"
    yield Text(summary_line(progress), style="bold")
    yield Text(
        f"data {definition.data}, variant {definition.variant}{output}, "
        f"space {definition.space.name}, seed {definition.seed}, at most {settings.max_epochs} "
        f"epochs, patience {settings.patience}, padding {settings.padding}; created with fdrnn "
        f"{study.code_version} on {study.created_at:%Y-%m-%d %H:%M} UTC"
    )
    best = progress.selected
    if best is not None:
        yield Text(
            f"lowest validation NLL: {best.valid_nll:.3f}, trial {best.config_index}, epoch "
            f"{best.best_epoch}"
        )
    if not progress.complete:
        yield Text(time_left_line(progress, settings.max_epochs))
    if progress.worker_seconds:
        left = progress.time_left
        expected = "" if left is None else f", {duration(left.worker_seconds)} expected"
        yield Text(f"worker time: {duration(progress.worker_seconds)} spent{expected}")
    if progress.running_trials:
        yield FittedTable(
            ("trial", "worker", "host", "attempt", "epoch", "best NLL", "lease age"),
            [_running_row(trial, settings.max_epochs) for trial in progress.running_trials],
            dispensable=("host", "attempt", "lease age"),
        )
    for troubled in progress.troubled_trials:
        again = f", {troubled.stalls} in a row without progress" if troubled.stalls else ""
        what = troubled.trouble or "its worker was killed"
        yield Text(f"trial {_index(troubled)} ({troubled.state}) lost an attempt{again}: {what}")
    for failed in progress.failed_trials:
        error = (failed.error or "").strip()
        if whole_errors:
            yield Text(f"\ntrial {_index(failed)} failed:\n{error}")
        else:
            yield Text(f"trial {_index(failed)} failed: {error.splitlines()[-1]}")


def status_mapping(status: StudyStatus) -> dict[str, Any]:
    """Return the status of a study as JSON values.

    Returns
    -------
    dict
        ``name``; ``n_trials`` and the counts ``waiting``, ``running``, ``paused``,
        ``finished``, ``pruned``, ``failed`` and (of the finished) ``diverged``;
        ``repeats_planned``, ``repeats_left``, ``repeats_failed``, ``worker_seconds``; ``complete``;
        ``best``, null or ``config_index``, ``best_epoch`` and ``valid_nll`` of the selected trial;
        ``running_trials``, ``failed_trials`` and ``troubled_trials``, lists of
        `fdrnn.search.TrialProgress`; ``time_left``, a `fdrnn.search.TimeLeft` or null;
        ``definition``, as in the study's file; ``created_at``
        (ISO 8601, UTC) and ``code_version``. NaN is null, infinities are ``"inf"`` and ``"-inf"``.
    """
    counts = dataclasses.asdict(status.progress)
    best = counts.pop("selected")
    definition = status.study.definition.to_mapping()
    mapping = {
        "name": counts.pop("study"),
        **counts,
        "complete": status.progress.complete,
        "best": best,
        "definition": definition,
        "created_at": status.study.created_at.isoformat(),
        "code_version": status.study.code_version,
    }
    return {key: _strict(value) for key, value in mapping.items()}


def _running_row(trial: TrialProgress, max_epochs: int) -> tuple[str, ...]:
    expired = trial.lease_left_s is None or trial.lease_left_s < 0
    return (
        _index(trial),
        trial.worker or "-",
        trial.host or "-",
        str(trial.attempt),
        f"{trial.epoch}/{max_epochs}",
        "-" if trial.best_valid_nll is None else f"{trial.best_valid_nll:.3f}",
        "expired" if expired else duration(trial.lease_age_s or 0.0),
    )


def _index(trial: TrialProgress) -> str:
    if trial.repeat_of is None:
        return str(trial.config_index)
    return f"{trial.repeat_of}, repeat {-trial.config_index}"


def _strict(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, dict):
        return {key: _strict(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(one) for one in value]
    return value
