"""The figure of `fdrnn.reports.numbers.best_of_k`: the best of fewer draws than a study has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure as Drawing

from fdrnn.reports.artefacts import Figure
from fdrnn.reports.figures import style
from fdrnn.reports.numbers.best_of_k import LEAST_SHARE, draws_to_reach, with_outcome
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.names import is_plain, network
from fdrnn.reports.numbers.paper import TABLE_1
from fdrnn.reports.numbers.text import amount, plural


def figure(
    evidence: Evidence, plain: Evidence | None = None, other_plan: Evidence | None = None
) -> Figure | None:
    """Return the figure of a study; None if no trial has an outcome.

    Parameters
    ----------
    evidence
        The study.
    plain
        Its plain counterpart, drawn beside it.
    other_plan
        The same search with halving, if the study has none, or without; drawn beside it.
    """
    own = _curve(evidence, with_plan=other_plan is not None)
    if own.table.empty:
        return None
    beside = []
    if plain is not None:
        beside.append(_curve(plain))
    if other_plan is not None:
        beside.append(_curve(other_plan, with_plan=True, look=(style.PURPLE, "-.")))
    curves = [own, *(one for one in beside if len(one.table))]
    target, cited = _published(evidence)
    number = "" if target is None else f"{target:.2f}"
    words = f"the {number} that the paper cites" if cited else f"the paper's {number}"
    answer = f"{evidence.name}: {_answer(own.table, target, words)}"
    for curve in curves:
        if curve.study is other_plan:
            answer += _comparison(own.table, curve)
    return Figure(
        name=f"{evidence.name}-best-of-k",
        title="How many draws does it take",
        caption=(
            f"{answer} Above: expected pooled test NLL of the trial with the lowest validation NLL "
            "among k of the n draws, the exact mean over all subsets of size k, and the band from "
            "the 10 % to the 90 % quantile. Below: the same over worker hours (wall time of the "
            "draws' epochs, each on one worker), of which k draws take k/n on average. Near the "
            "last k most subsets share their best trial, so that the band narrows there by "
            "construction. Diverged trials count as draws; unfinished and failed ones do not. "
            f"{''.join(_notes(evidence, curves))}The axes of the NLL end at the highest mean (of "
            "two networks, the lower one's), at the other network's lowest mean or at the paper's "
            "number; lines and bands above it are cut off."
        ),
        alt=(
            "Line plots of the expected test NLL over the number of draws and over worker hours. "
            f"{answer}"
        ),
        draw=lambda: _draw(
            curves, target, f"{cited}, cited by the paper" if cited else "paper, FD"
        ),
    )


def _published(evidence: Evidence) -> tuple[float | None, str]:
    """Return the number of the paper's Table 1 to compare a study with, and where it is from.

    The second is the title of the column if the paper cites the number from other work, as those
    of plain networks and of networks with a NADE; otherwise it is empty.
    """
    definition = evidence.definition
    row = TABLE_1.get(definition.data)
    if row is None:
        return None, ""
    if definition.output == "nade":
        return row.rnn_nade, "RNN-NADE"
    if definition.variant == "plain":
        return row.plain, "plain"
    return (None, "") if is_plain(definition.variant) else (row.fd, "")


@dataclass(frozen=True, eq=False)
class _Curve:
    """The rows of `with_outcome` of a study, and how they are drawn."""

    study: Evidence
    table: pd.DataFrame
    label: str
    color: str
    line: str


def _curve(
    study: Evidence, *, with_plan: bool = False, look: tuple[str, str] | None = None
) -> _Curve:
    variant = study.definition.variant
    label = network(variant, study.definition.output)
    if with_plan:
        label += f", {_plan(study)}"
    if look is None:
        look = (style.PLAIN, "--") if is_plain(variant) else (style.FD, "-")
    return _Curve(study, with_outcome(study.trials), label, *look)


def _plan(study: Evidence) -> str:
    return "no halving" if study.definition.halving is None else "halving"


def _answer(table: pd.DataFrame, target: float | None, words: str) -> str:
    n, last = int(table["k"].iloc[-1]), float(table["mean"].iloc[-1])
    draws = "the 1 draw gives" if n == 1 else f"all {n} draws give"
    if target is None:
        return f"{draws} {last:.2f}."
    k = draws_to_reach(table, target)
    if k is None:
        return f"{draws} a test NLL of {last:.2f}, above {words}."
    begin = ", where the curve begins," if 1 < k == table["k"].iloc[0] else ""
    # A long table has not every k.
    at_most = "at most " if not begin and k > 1 and k - 1 not in set(table["k"]) else ""
    expected = (
        f"from {at_most}{plural(k, 'draw')} on{begin} the expected test NLL is at most {words}"
    )
    return f"{expected}; {draws} {last:.2f}."


def _comparison(own: pd.DataFrame, other: _Curve) -> str:
    last = other.table.iloc[-1]
    hours, others = (amount(table["hours"].iloc[-1]) for table in (own, other.table))
    return (
        f" Its draws took {hours} worker hours; those of {other.study.name} "
        f"({last['k']:.0f}, {_plan(other.study)}) took {others} and give "
        f"{last['mean']:.2f}."
    )


def _notes(evidence: Evidence, curves: Sequence[_Curve]) -> Iterator[str]:
    if any(curve.study.n_pruned for curve in curves):
        yield (
            "Pruned ones count, too; subsets whose lowest validation NLL is a pruned trial's are "
            "left out, because its test NLL is unknown. Before its end a curve under halving is "
            "an estimate: k draws would be halved among themselves, for about that share of the "
            "hours. "
        )
    elif any((curve.table["none"] > 1e-12).any() for curve in curves):
        yield "Subsets in which no trial has a test NLL are left out. "
    if any(curve.table["k"].iloc[0] > 1 for curve in curves):
        yield (
            f"A curve begins where {100 * LEAST_SHARE:.0f} % of the subsets have a trial with a "
            "test NLL. "
        )
    if not evidence.trials_ended:
        done = "finished or were pruned" if evidence.n_pruned else "finished"
        yield (
            f"Of {len(evidence.trials)} trials {len(evidence.ranked)} have {done}, quick ones "
            "first: the curve will change. "
        )


def _draw(curves: Sequence[_Curve], target: float | None, label: str) -> Drawing:
    figure, panels = style.new_figure(n_rows=2, height=4.2, sharey=True)
    above, below = panels[:, 0]
    for axes, x in ((above, "k"), (below, "hours")):
        for curve in curves:
            amount, mean, low, high = (curve.table[name] for name in (x, "mean", "low", "high"))
            axes.fill_between(amount, low, high, color=curve.color, alpha=0.18, linewidth=0)
            axes.plot(
                amount,
                mean,
                color=curve.color,
                linestyle=curve.line,
                marker="o" if len(mean) == 1 else None,
                label=curve.label,
            )
        if target is not None:
            axes.axhline(target, color=style.INK, linestyle=":", linewidth=1.0, label=label)
        axes.set_ylabel("test NLL (nats per step)")
    highest: dict[str, float] = {}
    for curve in curves:
        variant, top = curve.study.definition.variant, float(curve.table["mean"].max())
        highest[variant] = max(top, highest.get(variant, top))
    values = [
        min(float(curve.table["low"].min()) for curve in curves),
        min(highest.values()),
        # Of a network that is above the other everywhere, too, something is seen.
        *(float(curve.table["mean"].min()) for curve in curves),
    ]
    if target is not None:
        values.append(target)
    margin = 0.06 * (max(values) - min(values)) or 0.1
    above.set_ylim(min(values) - margin, max(values) + margin)
    # The dot of a curve of one point needs room beside it; a line begins on the edge.
    room = 0.5 if any(len(curve.table) == 1 for curve in curves) else 0.0
    above.set_xlim(1 - room, max(curve.table["k"].iloc[-1] for curve in curves) + room)
    below.set_xlim(left=0)
    style.count_axis(above.xaxis)
    above.set_xlabel("draws k")
    below.set_xlabel("worker hours")
    style.legend_above(above, "network", n_columns=4 if len(curves) < 3 else 2)
    return figure
