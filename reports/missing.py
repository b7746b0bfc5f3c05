"""What a report lacks, and the command that would supply it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from fdrnn.reports.table1 import Row


def missing(
    rows: Sequence[Row], recording: Collection[str], silent: Sequence[str]
) -> Iterator[str]:
    """Say in sentences what a report lacks.

    Parameters
    ----------
    rows
        Of the report, as `fdrnn.reports.table1.arranged` returns them.
    recording
        Names of the studies that record the test NLL of every epoch.
    silent
        Names of the studies whose selected trial has no music in the store.
    """
    for row in rows:
        left = row.trials_planned - row.trials_finished - row.trials_failed
        if left:
            yield (
                f"{row.study} is not finished: {left} of {row.trials_planned} trials are to be "
                f"trained. `fdrnn run {row.study}` or `fdrnn worker {row.study}` goes on."
            )
        if row.trials_failed:
            yield (
                f"{row.study}: {row.trials_failed} of {row.trials_planned} trials failed with a "
                f"program error. `fdrnn study status {row.study}` shows it, "
                f"`fdrnn study retry {row.study}` lets them wait again."
            )
        if row.trials_finished and row.selected_trial is None:
            yield (
                f"{row.study} has no selected trial: every finished trial diverged before it had "
                "a finite validation NLL."
            )
    alone = [row.study for row in rows if row.variant != "plain" and row.plain_study is None]
    if alone:
        yield (
            f"No plain counterpart of {', '.join(alone)}: a study of plain networks on the same "
            "data with the same seed and the same training settings. For jsb it is `jsb-plain`."
        )
    if not any(row.study in recording for row in rows):
        yield (
            "Figure 2 is not drawn: no study here records the test NLL of every epoch. "
            "`fdrnn run figure2-fd` and `fdrnn run figure2-plain` do."
        )
    if silent:
        yield (
            f"No music of {', '.join(silent)}: `fdrnn sample STUDY` keeps an excerpt, predictions "
            "and a sample of the selected trial in the store."
        )
