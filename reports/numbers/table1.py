"""Table 1: the test NLL of each study's selected trial beside the paper's numbers.

The trial is selected by its validation NLL alone. A study of fast-dropout networks stands beside
its plain counterpart: the study of plain networks on the same data with the same seed and the
same training settings, whose draws share the values of the parameters that both have. Of several
such studies it is one with as many trials, then one of the plain Table 2, then the first by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from fdrnn.model import DEFAULT_OUTPUT, OUTPUTS, VARIANTS, TrainingSettings
from fdrnn.reports.errors import NothingToReportError
from fdrnn.reports.numbers.bootstrap import Interval, test_nll_intervals
from fdrnn.reports.numbers.evidence import Evidence, read
from fdrnn.reports.numbers.paper import TABLE_1
from fdrnn.search import Store, StudyDefinition
from fdrnn.search.store.frames import chosen_studies


@dataclass(frozen=True, kw_only=True)
class Row:
    """One study's row of Table 1; NLL in nats per predicted step, None where there is none.

    Attributes
    ----------
    data, title
        The study's data set as it is asked for and as the table prints it.
    fingerprint
        Of the data that it was made for.
    study, variant, space, seed, padding
        The study's definition; `padding` is the rule of the training and validation loss.
    training
        Its output and other training settings in words; what is not told has its default.
    plain_study
        The study's plain counterpart in the same report; None for a plain study, and where
        there is none.
    code_version
        Version of fdrnn that created the study.
    trials_planned, trials_finished, trials_diverged, trials_failed
        Numbers of configurations drawn, of trials finished (diverged ones included), of those
        that diverged, and of those that ended with a program error.
    selected_trial
        Index (from 0) of the finished trial with the lowest finite validation NLL.
    best_epoch
        Its epoch of the lowest validation NLL, whose parameters were tested.
    valid_nll
        The validation NLL that selected it, under the study's padding rule.
    test_nll_pooled
        Its test NLL averaged over the predicted steps of all test sequences.
    test_nll_pooled_low, test_nll_pooled_high
        Its 95 % bootstrap interval over test sequences, `fdrnn.reports.numbers.bootstrap`.
    test_nll_sequence_mean, test_nll_sequence_mean_low, test_nll_sequence_mean_high
        Its test NLL as the mean over test sequences of each one's average, and the interval.
    minus_plain, minus_plain_low, minus_plain_high
        Its pooled test NLL minus the plain counterpart's, and the 95 % interval of the
        difference: both networks have the same resampled sequences.
    paper_fd
        The paper's own fast-dropout number for the data set.
    cited_plain, cited_rnn_nade, cited_deep_rnn
        The numbers that the paper cites for the data set.
    note
        What a reader must know of the row; empty for a complete study of a benchmark.
    test_scores
        Of each test sequence the nats and the predicted steps; no part of the table.
    """

    data: str
    title: str
    fingerprint: str
    study: str
    variant: str
    space: str
    seed: int
    padding: str
    training: str
    plain_study: str | None
    code_version: str
    trials_planned: int
    trials_finished: int
    trials_diverged: int
    trials_failed: int
    selected_trial: int | None
    best_epoch: int | None
    valid_nll: float | None
    test_nll_pooled: float | None
    test_nll_pooled_low: float | None
    test_nll_pooled_high: float | None
    test_nll_sequence_mean: float | None
    test_nll_sequence_mean_low: float | None
    test_nll_sequence_mean_high: float | None
    minus_plain: float | None = None
    minus_plain_low: float | None = None
    minus_plain_high: float | None = None
    paper_fd: float | None
    cited_plain: float | None
    cited_rnn_nade: float | None
    cited_deep_rnn: float | None
    note: str
    test_scores: tuple[tuple[float, int], ...] = ()


def study_names(store: Store, studies: Sequence[str]) -> list[str]:
    """Return the names of the studies to report: those named, or all of the store.

    A comparison's name stands for its studies.

    Raises
    ------
    NothingToReportError
        If the store holds no study.
    UnknownNameError
        If it lacks one of `studies`.
    """
    names = chosen_studies(store, studies)
    if not names:
        raise NothingToReportError(
            "the store holds no study; `fdrnn run STUDY` or `fdrnn study create STUDY` makes one, "
            "--storage or FDRNN_STORAGE names another store"
        )
    return names


def table1(store: Store, studies: Sequence[str] = ()) -> list[Row]:
    """Compute Table 1 of a store.

    Parameters
    ----------
    store
        The store; nothing else is read.
    studies
        Names of the studies to show; all of the store if there are none.

    Returns
    -------
    list of Row
        A row per study, as `arranged` returns them.

    Raises
    ------
    NothingToReportError
        If the store holds no study.
    UnknownNameError
        If it lacks one of `studies`.
    """
    return arranged(row(read(store, name)) for name in study_names(store, studies))


def row(evidence: Evidence) -> Row:
    """Compute a study's row.

    Parameters
    ----------
    evidence
        The study.

    Returns
    -------
    Row
        The row, without a counterpart; a study without a finished trial that has a finite
        validation NLL gets no numbers of its own, and a note that says why.
    """
    definition = evidence.definition
    finished, best = evidence.finished, evidence.best
    published = TABLE_1.get(definition.data)
    sequences = evidence.sequences
    sums, steps = sequences["nll_sum"].to_numpy(float), sequences["n_steps"].to_numpy(int)
    intervals = test_nll_intervals(sums, steps)
    pooled = intervals.pooled if intervals else None
    sequence_mean = intervals.sequence_mean if intervals else None
    n_failed = int((evidence.trials["state"] == "failed").sum())
    return Row(
        data=definition.data,
        title=evidence.stored.data.title,
        fingerprint=evidence.stored.data.fingerprint,
        study=definition.name,
        variant=definition.variant,
        space=definition.space,
        seed=definition.seed,
        padding=definition.training.padding,
        training="; ".join(_settings(definition)),
        plain_study=None,
        code_version=evidence.stored.code_version,
        trials_planned=len(evidence.trials),
        trials_finished=len(finished),
        trials_diverged=int(finished["diverged"].astype(bool).sum()),
        trials_failed=n_failed,
        selected_trial=evidence.selected,
        best_epoch=None if best is None else int(best["best_epoch"]),
        valid_nll=_nll(best, "valid_nll"),
        test_nll_pooled=_nll(best, "test_nll_pooled"),
        test_nll_pooled_low=_low(pooled),
        test_nll_pooled_high=_high(pooled),
        test_nll_sequence_mean=_nll(best, "test_nll_sequence_mean"),
        test_nll_sequence_mean_low=_low(sequence_mean),
        test_nll_sequence_mean_high=_high(sequence_mean),
        paper_fd=published.fd if published else None,
        cited_plain=published.plain if published else None,
        cited_rnn_nade=published.rnn_nade if published else None,
        cited_deep_rnn=published.deep_rnn if published else None,
        note="; ".join(_notes(evidence, n_failed)),
        test_scores=tuple(zip(sums.tolist(), steps.tolist(), strict=True)),
    )


def _nll(trial: pd.Series[Any] | None, column: str) -> float | None:
    # A whole test sequence may overflow where chunks of it do not.
    return None if trial is None or pd.isna(trial[column]) else float(trial[column])


def _low(interval: Interval | None) -> float | None:
    return None if interval is None else interval.low


def _high(interval: Interval | None) -> float | None:
    return None if interval is None else interval.high


def _settings(definition: StudyDefinition) -> Iterator[str]:
    training, usual = definition.training, TrainingSettings()
    if definition.output != DEFAULT_OUTPUT:
        yield f"output {OUTPUTS[definition.output].title}"
    yield f"batch {training.batch_size}"
    yield f"patience {training.patience}"
    yield f"at most {training.max_epochs} epochs"
    if training.chunk_length != usual.chunk_length:
        yield f"chunks of {training.chunk_length}"
    if training.clip_norm != usual.clip_norm:
        yield f"gradient norm clipped at {training.clip_norm:g}"
    if training.init_scale != usual.init_scale:
        yield "sigma^2 read as a standard deviation"
    if training.step_rate_decay != usual.step_rate_decay:
        yield f"step rate times {training.step_rate_decay:g} an epoch"
    if training.parameter_average != usual.parameter_average:
        yield f"parameters averaged with decay {training.parameter_average:g}"


def _notes(evidence: Evidence, n_failed: int) -> Iterator[str]:
    n_planned, n_finished = len(evidence.trials), len(evidence.finished)
    if evidence.stored.data.note:
        yield evidence.stored.data.note
    elif evidence.definition.data not in TABLE_1:
        yield "own data: the paper has no number for it"
    if n_finished == 0:
        yield "no trial has finished yet"
    elif evidence.selected is None:
        yield "every finished trial diverged before it had a finite validation NLL"
    if n_failed:
        yield f"{n_failed} failed with a program error"
    if 0 < n_finished < n_planned:
        yield f"provisional: {n_finished} of {n_planned} trials have finished"


def arranged(rows: Iterable[Row]) -> list[Row]:
    """Sort rows and give each study of fast-dropout networks its plain counterpart.

    The paper's data sets come first, in its order, then others; variants as in their registry.
    """
    order = list(TABLE_1)

    def key(row: Row) -> tuple[int, str, int, str]:
        rank = order.index(row.data) if row.data in order else len(order)
        variant = list(VARIANTS).index(row.variant)
        return rank, row.data, variant, row.study

    rows = sorted(rows, key=key)
    plain = [row for row in rows if row.variant == "plain"]
    return [row if row.variant == "plain" else _beside(row, plain) for row in rows]


def _beside(row: Row, plain: Sequence[Row]) -> Row:
    counterpart = _counterpart(row, plain)
    if counterpart is None:
        return row
    row = replace(row, plain_study=counterpart.study)
    own, other = np.array(row.test_scores), np.array(counterpart.test_scores)
    if own.shape != other.shape or not own.size:
        return row
    minus, steps = own[:, 0] - other[:, 0], own[:, 1].astype(int)
    # The difference of two averages over the same steps is the average of the differences.
    intervals = test_nll_intervals(minus, steps)
    if intervals is None:
        return row
    return replace(
        row,
        minus_plain=float(minus.sum() / steps.sum()),
        minus_plain_low=intervals.pooled.low,
        minus_plain_high=intervals.pooled.high,
    )


def _counterpart(row: Row, plain: Sequence[Row]) -> Row | None:
    def rank(one: Row) -> tuple[bool, bool, str]:
        as_many = one.trials_planned == row.trials_planned
        return not as_many, one.space != "table2-plain", one.study

    same = [one for one in plain if _same(one) == _same(row)]
    return min(same, key=rank) if same else None


def _same(row: Row) -> tuple[str, int, str, str]:
    """Return what a study and its counterpart share."""
    return row.fingerprint, row.seed, row.padding, row.training


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """Return rows as a frame: a column per field but `test_scores`, missing numbers as NA."""
    columns = [one.name for one in fields(Row) if one.name != "test_scores"]
    table = pd.DataFrame([asdict(row) for row in rows], columns=columns)
    return table.astype({"selected_trial": "Int64", "best_epoch": "Int64"})
