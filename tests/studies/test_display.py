"""Progress on a terminal and in a pipe."""

from __future__ import annotations

import io
import math
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from rich.console import Console

from fdrnn.search import EventKind, StoreUnavailableError, StudyProgress, TimeLeft, WorkerEvent
from fdrnn.search.store.progress import SelectedTrial
from fdrnn.studies.cli.display import StudyGroup, describe, outlook
from fdrnn.studies.cli.display_live import LiveDisplay
from fdrnn.studies.cli.display_log import LogDisplay
from fdrnn.studies.cli.training import make_display

LEFT = TimeLeft(seconds=720.0, worker_seconds=1440.0, n_workers=2, n_finished=5)
PROGRESS = StudyProgress(
    study="jsb",
    n_trials=32,
    waiting=25,
    running=2,
    finished=5,
    failed=0,
    diverged=0,
    selected=SelectedTrial(config_index=7, best_epoch=40, valid_nll=8.1114),
    running_trials=(),
    failed_trials=(),
    troubled_trials=(),
    time_left=LEFT,
)
COUNTS = "study jsb: 5 of 32 trials finished, 2 running, 25 waiting"
OUTLOOK = "best NLL 8.111 (trial 7), 12 min left"


JSB = StudyGroup("jsb", ("jsb",), lambda: [PROGRESS])


def event(
    kind: EventKind,
    worker: str = "host-1",
    epoch: int = 17,
    text: str = "",
    study: str = "jsb",
) -> WorkerEvent:
    return WorkerEvent(
        worker=worker,
        kind=kind,
        study=study,
        config_index=3,
        epoch=epoch,
        max_epochs=300,
        valid_nll=8.6104,
        best_valid_nll=8.5244,
        seconds=0.806,
        text=text,
    )


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def log(
    *groups: StudyGroup, first_run: bool = False
) -> tuple[LogDisplay, Clock, Callable[[], list[str]]]:
    """A display, its clock and its lines so far without their times."""
    out, clock = io.StringIO(), Clock()
    console = Console(file=out, force_terminal=False, width=80)
    display = LogDisplay(console, groups or (JSB,), first_run=first_run, now_s=clock)
    return display, clock, lambda: [line.split(" ", 1)[1] for line in out.getvalue().splitlines()]


def drawn(
    *events: WorkerEvent,
    width: int = 100,
    first_run: bool = False,
    passed_s: float = 0.0,
    groups: Sequence[StudyGroup] = (JSB,),
) -> str:
    """What a terminal shows in the end, and what was printed above it."""
    out, clock = io.StringIO(), Clock()
    console = Console(file=out, force_terminal=True, width=width, color_system=None)
    with LiveDisplay(console, groups, first_run=first_run, now_s=clock) as display:
        for one in events:
            display.show(one)
        clock.now_s += passed_s
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()).replace("\r", "\n")


def test_an_epoch_in_words() -> None:
    assert describe(event(EventKind.EPOCH)) == (
        "trial 3: epoch 17 of at most 300, validation NLL 8.610 (best 8.524), 0.81 s/epoch"
    )


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_has_words(kind: EventKind) -> None:
    assert describe(event(kind))


def test_a_trial_starts_or_resumes() -> None:
    assert describe(event(EventKind.CLAIMED, epoch=0)) == "trial 3 starts"
    assert describe(event(EventKind.CLAIMED)) == "trial 3 resumes after epoch 17"


def test_divergence_and_a_missing_nll_are_told() -> None:
    diverged = WorkerEvent(
        worker="a", kind=EventKind.FINISHED, config_index=1, epoch=2, text="diverged"
    )
    assert math.isinf(diverged.best_valid_nll)
    assert describe(diverged) == "trial 1 diverged after epoch 2, best validation NLL -"


def test_the_log_tells_begin_and_end_but_not_every_epoch() -> None:
    display, _, lines = log()
    with display:
        for one in (
            event(EventKind.CLAIMED, epoch=0),
            event(EventKind.COMPILED, epoch=0),
            *(event(EventKind.EPOCH, epoch=epoch) for epoch in range(1, 50)),
            event(EventKind.EPOCH, worker="host-2", epoch=5),
            event(EventKind.FINISHED, epoch=49),
            event(EventKind.WAITING),
            event(EventKind.WAITING),
        ):
            display.show(one)
    assert lines() == [
        f"{COUNTS}; {OUTLOOK}",
        "starting workers",
        "worker 1: trial 3 starts",
        "worker 1: trial 3: epoch 1 of at most 300, validation NLL 8.610 (best 8.524), "
        "0.81 s/epoch",
        "worker 2: trial 3: epoch 5 of at most 300, validation NLL 8.610 (best 8.524), "
        "0.81 s/epoch",
        "worker 1: trial 3 finished after epoch 49, best validation NLL 8.524",
        "worker 1: waiting for trials of other workers",
        # Read within a second, by another thread, and in the end.
        f"{COUNTS}; {OUTLOOK}",
    ]


def test_the_log_has_a_line_for_what_takes_long() -> None:
    display, clock, lines = log(first_run=True)
    with display:
        for passed_s, first in (
            (5.0, event(EventKind.CLAIMED, epoch=0)),
            (4.0, event(EventKind.CLAIMED, worker="host-2", epoch=0)),
            (30.0, event(EventKind.COMPILED, epoch=0)),
            (61.0, event(EventKind.EPOCH, epoch=1)),
            (60.0, None),
        ):
            clock.now_s += passed_s
            display.show_silent()
            display.show_silent()
            if first is not None:
                display.show(first)
    compiling = "compiling (first run on this machine, about a minute)"
    assert [line for line in lines()[2:] if " starts" not in line] == [
        "starting workers 0:05",
        f"worker 1: {compiling} 0:34",
        f"worker 2: {compiling} 0:30",
        "worker 1: trial 3: training epoch 1 1:01",
        f"worker 2: {compiling} 1:31",
        "worker 1: trial 3: epoch 1 of at most 300, validation NLL 8.610 (best 8.524), "
        "0.81 s/epoch",
        f"worker 2: {compiling} 2:31",
    ]


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_live_display_fits_the_terminal(width: int) -> None:
    text = drawn(
        event(EventKind.EPOCH, worker="host-1"),
        event(EventKind.FAILED, worker="host-2", text="ZeroDivisionError: [x]"),
        event(EventKind.EPOCH, worker="host-2", epoch=299),
        event(EventKind.CLAIMED, worker="host-3", epoch=0),
        width=width,
        first_run=True,
        passed_s=34.0,
    )
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert "worker 2: trial 3 failed: ZeroDivisionError: [x]" in lines
    *_, counts, bar, one, two, three = [line for line in lines if line.strip()]
    assert counts == COUNTS
    assert bar.startswith("━") and bar.rstrip().endswith(OUTLOOK)
    rest = {
        # One epoch of 0.806 s is left of the second trial, 228 s of the first.
        60: ("", ""),
        80: ("  0.81 s/epoch  at most 4 min", "  0.81 s/epoch  at most 1 s"),
        140: ("  0.81 s/epoch  at most 4 min", "  0.81 s/epoch  at most 1 s"),
    }
    assert one.startswith("worker 1  trial 3  epoch 17/300   best 8.524" + rest[width][0])
    assert two.startswith("worker 2  trial 3  epoch 299/300  best 8.524" + rest[width][1])
    first_run = " (first run on this machine, about a minute)" if width > 60 else ""
    assert three == f"worker 3  compiling{first_run} 0:34"


def test_a_warm_machine_builds_the_network() -> None:
    assert "worker 1  building the network 0:02" in drawn(event(EventKind.CLAIMED), passed_s=2.0)


def test_the_outlook_of_a_study_and_of_a_comparison() -> None:
    assert outlook([PROGRESS]) == OUTLOOK
    other = replace(PROGRESS, study="plain", selected=SelectedTrial(2, 9, 8.0), time_left=None)
    assert outlook([PROGRESS, other]) == "best NLL 8.000 (plain trial 2)"
    first = replace(LEFT, n_finished=0)
    # 2 x 1440 s of one worker, by 4.
    other = replace(other, time_left=first)
    assert outlook([PROGRESS, other]).endswith(", at most 12 min left")
    assert outlook([replace(PROGRESS, selected=None, time_left=None)]) == ""


WAITING = replace(PROGRESS, running=0, finished=0, waiting=32, selected=None, time_left=None)
ENDED = replace(PROGRESS, running=0, waiting=0, finished=32)


def of(name: str, *progress: StudyProgress) -> StudyGroup:
    """A study whose progress is the first of these when it is read at first, and so on."""
    read = iter(progress)
    last = [progress[-1]]
    return StudyGroup(name, (name,), lambda: [replace(next(read, *last), study=name)])


def test_several_studies_are_shown_while_they_are_trained() -> None:
    waves = of("waves", replace(ENDED, waiting=1, finished=31), ENDED)
    text = drawn(
        event(EventKind.EPOCH, worker="host-1"),
        event(EventKind.FINISHED, worker="host-2", study="waves"),
        groups=[waves, JSB, of("piano", WAITING)],
    )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # Printed once, above the lines that are redrawn.
    assert (
        sum(line.startswith("study waves: 32 of 32 trials finished; best") for line in lines) == 1
    )
    heading, counts, bar, one, two = lines[-5:]
    assert (heading, counts) == ("1 of 3 studies complete", COUNTS)
    assert bar.endswith(OUTLOOK)
    assert one.startswith("worker 1  jsb trial 3  epoch 17/300")
    assert two.startswith("worker 2  waves trial 3 finished after epoch 17")


def test_a_study_between_two_trials_is_shown_by_its_workers() -> None:
    """Others train on other machines; none of this one's ran when it was read."""
    text = drawn(
        event(EventKind.CLAIMED, study="piano"),
        groups=[JSB, of("piano", WAITING), of("b", WAITING)],
    )
    last = text[text.rindex("0 of 3 studies complete") :]
    assert COUNTS in last
    assert "study piano: 0 of 32 trials finished, 32 waiting" in last
    assert "study b:" not in last


def test_the_log_of_several_studies_calls_trials_by_their_study() -> None:
    display, _, printed = log(of("waves", ENDED), JSB, of("piano", WAITING))
    with display:
        display.show(event(EventKind.FINISHED, study="piano"))
    begin = ["study waves: 32", COUNTS, "study piano: 0 of", "starting", "worker 1: piano trial 3"]
    assert len(printed()) == 6
    for line, start in zip(printed(), [*begin, "study piano: 0 of"], strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize("kind", EventKind)
def test_an_event_of_a_study_that_is_not_shown_is_no_error(kind: EventKind) -> None:
    display, _, printed = log()
    with display:
        display.show(event(kind, study="other"))
    assert printed()[0].startswith(COUNTS)
    assert COUNTS in drawn(event(kind, study="other"))


def test_what_a_terminal_has_no_rows_for_is_counted() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, height=24, color_system=None)
    names = [f"study-{k}" for k in range(8)]
    with LiveDisplay(console, [of(name, PROGRESS) for name in names]) as display:
        for k, name in enumerate(names):
            display.show(event(EventKind.EPOCH, worker=f"host-{k}", study=name))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()).replace("\r", "\n")
    last = text[text.rindex("0 of 8 studies complete") :].splitlines()
    assert len(last) <= 23
    assert "and 2 more" in last
    assert last[-1].startswith("worker 8")


def test_each_that_becomes_complete_is_told_once() -> None:
    told: list[str] = []
    groups = [
        of("waves", PROGRESS, ENDED),
        of("piano", WAITING),
        of("deleted", replace(WAITING, n_trials=0, waiting=0)),
    ]
    display = LogDisplay(
        Console(file=io.StringIO()), groups, on_complete=lambda one: told.append(one.title)
    )
    with display:
        display.tick()
        display.tick()
    assert told == ["waves"]


def test_a_store_that_hangs_holds_up_neither_events_nor_the_stop() -> None:
    hangs, released = threading.Event(), threading.Event()
    n_read = iter(range(100))

    def read() -> list[StudyProgress]:
        if next(n_read) > 0:
            hangs.set()
            assert released.wait(60)
        return [PROGRESS]

    out = io.StringIO()
    with LogDisplay(Console(file=out, width=80), [replace(JSB, read=read)]) as display:
        assert hangs.wait(60)
        display.show(event(EventKind.FINISHED))
        display.stopping()
    assert not released.is_set()
    released.set()
    assert "trial 3 finished" in out.getvalue()
    assert "stopping" in out.getvalue()


def test_of_several_studies_a_store_that_cannot_be_read_is_asked_and_shown_once() -> None:
    asked: list[str] = []

    def refusing(name: str) -> StudyGroup:
        def read() -> list[StudyProgress]:
            asked.append(name)
            raise StoreUnavailableError("store db: connection refused")

        return StudyGroup(name, (name,), read)

    out = io.StringIO()
    console = Console(file=out, force_terminal=False, width=80)
    with LogDisplay(console, [refusing("a"), refusing("b")]) as display:
        display.tick()
    assert set(asked) == {"a"}
    assert out.getvalue().count("connection refused") == 1


def test_a_store_that_cannot_be_read_is_shown() -> None:
    def read() -> list[StudyProgress]:
        raise StoreUnavailableError("store db: connection refused")

    out = io.StringIO()
    console = Console(file=out, force_terminal=False, width=80)
    with LogDisplay(console, [replace(JSB, read=read)]):
        pass
    assert "store db: connection refused" in out.getvalue()


def test_the_text_of_an_error_is_no_markup() -> None:
    text = drawn(event(EventKind.TROUBLE, text="[/bold] [old]"))
    # Above the lines, and in the line of the worker.
    assert text.count("[/bold] [old]") >= 2


def test_a_replaced_worker_leaves_the_live_display() -> None:
    text = drawn(
        event(EventKind.EPOCH, worker="host-1"),
        event(EventKind.REPLACED, worker="host-1", text="killed"),
        event(EventKind.EPOCH, worker="host-2", epoch=299),
    )
    last = text[text.rindex(COUNTS) :]
    assert "epoch 299/300" in last
    assert "epoch 17/" not in last


def test_a_pipe_gets_log_lines() -> None:
    display = make_display([JSB], first_run=False, on_complete=lambda one: None)
    assert isinstance(display, LogDisplay)
