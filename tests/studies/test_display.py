"""Progress on a terminal and in a pipe."""

from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from fdrnn.search import EventKind, WorkerEvent
from fdrnn.studies.cli.display import Display, LiveDisplay, LogDisplay, describe, make_display


def event(kind: EventKind, worker: str = "host-1", epoch: int = 17, text: str = "") -> WorkerEvent:
    return WorkerEvent(
        worker=worker,
        kind=kind,
        config_index=3,
        epoch=epoch,
        valid_nll=8.6104,
        best_valid_nll=8.5244,
        seconds=0.806,
        text=text,
    )


def summary() -> str:
    return "study jsb: 5 of 32 trials finished"


def shown(display_class: type[LogDisplay] | type[LiveDisplay], *events: WorkerEvent) -> str:
    out = io.StringIO()
    live = display_class is LiveDisplay
    console = Console(file=out, force_terminal=live, width=100, color_system=None)
    display: Display = display_class(console, summary, 300)
    with display:
        for one in events:
            display.show(one)
    return out.getvalue()


def test_an_epoch_in_words() -> None:
    assert describe(event(EventKind.EPOCH), 300) == (
        "trial 3: epoch 17 of at most 300, validation NLL 8.610 (best 8.524), 0.81 s/epoch"
    )


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_has_words(kind: EventKind) -> None:
    assert describe(event(kind), 300)


def test_a_trial_starts_or_resumes() -> None:
    assert describe(event(EventKind.CLAIMED, epoch=0), 300) == "trial 3 starts"
    assert describe(event(EventKind.CLAIMED), 300) == "trial 3 resumes after epoch 17"


def test_divergence_and_a_missing_nll_are_told() -> None:
    diverged = WorkerEvent(
        worker="a", kind=EventKind.FINISHED, config_index=1, epoch=2, text="diverged"
    )
    assert math.isinf(diverged.best_valid_nll)
    assert describe(diverged, 300) == "trial 1 diverged after epoch 2, best validation NLL -"


def test_the_log_tells_begin_and_end_but_not_every_epoch() -> None:
    text = shown(
        LogDisplay,
        event(EventKind.CLAIMED, epoch=0),
        *(event(EventKind.EPOCH, epoch=epoch) for epoch in range(1, 50)),
        event(EventKind.EPOCH, worker="host-2", epoch=5),
        event(EventKind.FINISHED, epoch=49),
        event(EventKind.WAITING),
        event(EventKind.WAITING),
    )
    lines = [line.split(" ", 1)[1] for line in text.splitlines()]
    assert lines == [
        summary(),
        "starting workers; the first run on a machine compiles for about a minute",
        "worker 1: trial 3 starts",
        "worker 1: trial 3: epoch 1 of at most 300, validation NLL 8.610 (best 8.524), "
        "0.81 s/epoch",
        "worker 2: trial 3: epoch 5 of at most 300, validation NLL 8.610 (best 8.524), "
        "0.81 s/epoch",
        "worker 1: trial 3 finished after epoch 49, best validation NLL 8.524",
        summary(),
        "worker 1: waiting for trials of other workers",
    ]


def test_the_live_display_has_a_line_per_worker_and_keeps_what_ended() -> None:
    text = shown(
        LiveDisplay,
        event(EventKind.EPOCH, worker="host-1"),
        event(EventKind.FAILED, worker="host-2", text="ZeroDivisionError: [x]"),
        event(EventKind.EPOCH, worker="host-2", epoch=299),
    )
    assert "worker 2: trial 3 failed: ZeroDivisionError: [x]" in text
    drawn = [" ".join(line.split()) for line in text.splitlines() if "epoch 2" in line]
    # One epoch of 0.806 s is left.
    assert (
        drawn[-1] == "worker 2 trial 3 epoch 299/300 best NLL 8.524 0.81 s/epoch at most 1 s left"
    )
    drawn = [" ".join(line.split()) for line in text.splitlines() if "epoch 17/" in line]
    # 283 epochs of 0.806 s are 228 s.
    assert (
        drawn[-1] == "worker 1 trial 3 epoch 17/300 best NLL 8.524 0.81 s/epoch at most 4 min left"
    )


def test_the_text_of_an_error_is_no_markup() -> None:
    text = shown(LiveDisplay, event(EventKind.TROUBLE, text="[/bold] [old]"))
    # Above the lines, and in the line of the worker.
    assert text.count("[/bold] [old]") >= 2


def test_a_replaced_worker_leaves_the_live_display() -> None:
    text = shown(
        LiveDisplay,
        event(EventKind.EPOCH, worker="host-1"),
        event(EventKind.REPLACED, worker="host-1", text="killed"),
        event(EventKind.EPOCH, worker="host-2", epoch=299),
    )
    # The line above that of worker 2, if there is one.
    last = text[text.rindex("worker 2 ") - 130 :]
    assert "epoch 299/300" in last
    assert "epoch 17/" not in last


def test_a_pipe_gets_log_lines() -> None:
    assert isinstance(make_display(summary, 300), LogDisplay)
