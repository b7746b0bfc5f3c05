"""Table 1: the test NLL of each study's selected trial beside the paper's numbers.

The trial is selected by its validation NLL alone. A study of fast-dropout networks has a plain
counterpart: the study of the same networks without dropout on the same data with the same seed and
the same training settings, whose draws share the values of the parameters that both have. Where
there is none, it stands beside a study of plain RNNs. Of several such studies it is one with as
many trials, then one of the plain Table 2, then the first by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from fdrnn.model import DEFAULT_OUTPUT, OUTPUTS, VARIANTS, TrainingSettings
from fdrnn.reports.numbers.bootstrap import Estimate
from fdrnn.reports.numbers.evidence import Evidence, difference
from fdrnn.reports.numbers.names import is_plain, label, network
from fdrnn.reports.numbers.paper import TABLE_1
from fdrnn.reports.numbers.text import number
from fdrnn.search import StudyDefinition, TrialState


@dataclass(frozen=True, kw_only=True)
class Row:
    """A study's row of Table 1; NLL in nats per predicted step, None where there is none.

    Attributes
    ----------
    data, title
        The study's data set as the definition names it and as the table prints it.
    fingerprint
        Fingerprint of the data that the study was made for.
    study, variant, output, space, seed, padding
        The study's definition; `padding` is the rule of the training and validation loss.
    training
        Its output and other training settings in words; a setting left out has its default.
    plain_study
        The study's plain counterpart in the same report, or a study of plain RNNs for want of
        one; None for a plain study, and where there is neither.
    code_version
        Version of fdrnn that created the study.
    trials_planned, trials_finished, trials_diverged, trials_failed
        Numbers of configurations drawn, of finished trials (including diverged ones), of those
        that diverged, and of those that ended with a program error.
    trials_pruned
        Number of trials that halving pruned.
    repeats, repeats_mean, repeats_deviation
        Number of finished repeats of the selected configuration with further seeds, and mean and
        standard deviation (of a sample) of their pooled test NLL, of those that have one.
    repeats_without_nll
        Number of these repeats without a test NLL, such as those that diverged before they had a
        finite validation NLL.
    selected_trial
        Index (from 0) of the finished trial with the lowest finite validation NLL.
    best_epoch
        Its epoch of the lowest validation NLL, whose parameters were tested.
    valid_nll
        The validation NLL that selected it, under the study's padding rule.
    valid_nll_masked
        Its validation NLL without padding, which studies of both rules have.
    test_nll_pooled
        Its test NLL averaged over the predicted steps of all test sequences.
    test_nll_sequence_mean
        Its test NLL as the mean over test sequences of each one's average.
    test_sequences, test_steps
        Number of test sequences with predicted steps, and of these; 0 without a selected trial.
    minus_plain
        Its pooled test NLL minus the plain counterpart's; for the interval of the difference,
        both networks have the same resampled sequences.
    paper_fd
        The paper's own fast-dropout number for the data set.
    cited_plain, cited_rnn_nade, cited_deep_rnn
        The numbers that the paper cites for the data set.
    baseline_nll
        Test NLL of the naive prediction of the data (`fdrnn.datasets.baseline`); None where the
        store has none.
    caution
        Why the numbers may say little, in a few words: few draws, a limit that ended the selected
        trial, trials that are still to come, a selection that depends on padding.
    selections
        Where the validation NLL with padding counted and masked select different trials, both in
        a sentence.
    note
        What a reader must know of the row; empty for a complete study of a benchmark.
    """

    data: str
    title: str
    fingerprint: str
    study: str
    variant: str
    output: str = DEFAULT_OUTPUT
    space: str
    seed: int
    padding: str
    training: str
    plain_study: str | None = None
    code_version: str
    trials_planned: int
    trials_finished: int
    trials_diverged: int
    trials_failed: int
    selected_trial: int | None
    best_epoch: int | None
    valid_nll: float | None
    valid_nll_masked: float | None = None
    test_nll_pooled: Estimate
    test_nll_sequence_mean: Estimate
    minus_plain: Estimate = field(default_factory=Estimate)
    paper_fd: float | None
    cited_plain: float | None
    cited_rnn_nade: float | None
    cited_deep_rnn: float | None
    note: str
    baseline_nll: float | None = None
    caution: str = ""
    selections: str = ""
    trials_pruned: int = 0
    repeats: int = 0
    repeats_mean: float | None = None
    repeats_deviation: float | None = None
    repeats_without_nll: int = 0
    test_sequences: int = 0
    test_steps: int = 0

    @property
    def network(self) -> str:
        """The network as reports name it."""
        return network(self.variant, self.output)

    @property
    def is_plain(self) -> bool:
        """Whether the network has no regulariser, so that it is a counterpart of others."""
        return is_plain(self.variant)

    @property
    def trials_left(self) -> int:
        """Number of trials that are still to be trained."""
        return self.trials_planned - self.trials_finished - self.trials_pruned - self.trials_failed

    @property
    def all_ranked(self) -> bool:
        """Whether every trial is finished or pruned."""
        return self.trials_finished + self.trials_pruned == self.trials_planned


def table1(studies: Iterable[Evidence]) -> list[Row]:
    """Return a row per study, each with its plain counterpart among them.

    The paper's data sets come first, in its order, then others; variants as in their registry.
    Rows of the same data are neighbours, whatever their paths.
    """
    order = list(TABLE_1)

    def of_data(row: Row) -> tuple[int, str]:
        return order.index(row.data) if row.data in order else len(order), row.data

    by_name = {one.name: one for one in studies}
    rows = list(map(row, by_name.values()))
    first: dict[str, tuple[int, str]] = {}
    for one in rows:
        first[one.fingerprint] = min(of_data(one), first.get(one.fingerprint, of_data(one)))

    def key(row: Row) -> tuple[tuple[int, str], str, int, str]:
        variant = list(VARIANTS).index(row.variant)
        return first[row.fingerprint], row.fingerprint, variant, row.study

    rows.sort(key=key)
    plain = [one for one in rows if one.is_plain]
    return [one if one.is_plain else _beside(one, plain, by_name) for one in rows]


def row(evidence: Evidence) -> Row:
    """Return a study's row, without a counterpart.

    A study without a finished trial that has a finite validation NLL gets no numbers,
    and a note that says why.
    """
    definition, best = evidence.definition, evidence.best
    published = TABLE_1.get(definition.data)
    intervals = evidence.intervals
    repeated = evidence.repeats["test_nll_pooled"].astype("float64").dropna()
    return Row(
        data=definition.data,
        title=evidence.data.title,
        fingerprint=evidence.data.fingerprint,
        study=definition.name,
        variant=definition.variant,
        output=definition.output,
        space=definition.space.name,
        seed=definition.seed,
        padding=definition.training.padding,
        training="; ".join(_settings(definition)),
        code_version=evidence.study.code_version,
        trials_planned=len(evidence.trials),
        trials_finished=len(evidence.finished),
        trials_diverged=evidence.n_diverged,
        trials_failed=_n_failed(evidence),
        selected_trial=evidence.selected,
        best_epoch=evidence.best_epoch,
        valid_nll=_nll(best, "valid_nll"),
        valid_nll_masked=_nll(best, "valid_nll_masked"),
        test_nll_pooled=Estimate(**asdict(intervals.pooled), value=_nll(best, "test_nll_pooled")),
        test_nll_sequence_mean=Estimate(
            **asdict(intervals.sequence_mean), value=_nll(best, "test_nll_sequence_mean")
        ),
        paper_fd=published.fd if published else None,
        cited_plain=published.plain if published else None,
        cited_rnn_nade=published.rnn_nade if published else None,
        cited_deep_rnn=published.deep_rnn if published else None,
        note="; ".join(_notes(evidence)),
        baseline_nll=evidence.data.baseline_nll,
        caution="; ".join(_cautions(evidence)),
        selections=_selections(evidence),
        trials_pruned=evidence.n_pruned,
        repeats=len(evidence.repeats),
        repeats_mean=float(repeated.mean()) if len(repeated) else None,
        repeats_deviation=float(repeated.std()) if len(repeated) > 1 else None,
        repeats_without_nll=len(evidence.repeats) - len(repeated),
        test_sequences=int((evidence.sequences["n_steps"] > 0).sum()),
        test_steps=int(evidence.sequences["n_steps"].sum()),
    )


def _nll(trial: pd.Series[Any] | None, column: str) -> float | None:
    # A whole test sequence may overflow where chunks of it do not.
    return None if trial is None or pd.isna(trial[column]) else float(trial[column])


def _n_failed(evidence: Evidence) -> int:
    return int((evidence.trials["state"] == TrialState.FAILED).sum())


PAPERS_DRAWS = 32
"""Draws of the paper's random search, below which a number says less than the paper's."""

_ALWAYS = ("batch_size", "patience", "max_epochs")


def _settings(definition: StudyDefinition) -> Iterator[str]:
    training, usual = definition.training, TrainingSettings()
    if definition.output != DEFAULT_OUTPUT:
        yield f"output {OUTPUTS[definition.output].title}"
    texts = {
        "batch_size": f"batch {training.batch_size}",
        "patience": f"patience {training.patience}",
        "max_epochs": f"at most {training.max_epochs} epochs",
        "chunk_length": f"chunks of {training.chunk_length}",
        "clip_norm": f"gradient norm clipped at {training.clip_norm:g}",
        "init_scale": "sigma^2 read as a standard deviation",
        "padding_side": "zeros appended to short chunks",
        "output_bias": f"initial output bias {training.output_bias:g}",
        "max_incoming_in_out": f"W_in, W_out: {training.max_incoming_in_out} per unit",
        "step_rate_decay": f"step rate times {training.step_rate_decay:g} an epoch",
        "full_rate_epochs": f"not in the first {training.full_rate_epochs}",
        "parameter_average": f"parameters averaged with decay {training.parameter_average:g}",
    }
    for key, text in texts.items():
        if key in definition.space.names:
            yield f"{label(key)} drawn"
        elif key in _ALWAYS or getattr(training, key) != getattr(usual, key):
            yield text


def _cautions(evidence: Evidence) -> Iterator[str]:
    n_planned, best = len(evidence.trials), evidence.best
    n_failed = _n_failed(evidence)
    n_ended = len(evidence.finished) + evidence.n_pruned + n_failed
    if evidence.space.fixed:
        yield "given values"
    elif n_planned < PAPERS_DRAWS:
        yield "1 draw" if n_planned == 1 else f"{n_planned} draws"
    if n_ended < n_planned:
        yield f"{n_ended} of {n_planned} ended"
    if n_failed:
        yield f"{n_failed} failed"
    if best is None:
        return
    training = evidence.definition.training
    patience = best["patience"] if "patience" in evidence.space.names else training.patience
    if best["n_epochs"] == training.max_epochs < best["best_epoch"] + patience:
        yield "at limit"
    if _selections(evidence):
        yield "padding decides"


def _selections(evidence: Evidence) -> str:
    """Return both trials where the padding rules select different ones; else nothing."""
    columns = ["valid_nll_counted", "valid_nll_masked"]
    finished = evidence.finished
    known = finished[np.isfinite(finished[columns]).all(axis=1)]
    if known.empty:
        return ""
    counted, masked = (known.loc[known[column].idxmin()] for column in columns)
    if counted["config_index"] == masked["config_index"]:
        return ""
    return "; ".join(
        f"padding {rule} selects trial {one['config_index']} (validation NLL "
        f"{one['valid_nll_counted']:.3f} counted, {one['valid_nll_masked']:.3f} masked; test NLL "
        f"{number(one['test_nll_pooled'])})"
        for rule, one in (("counted", counted), ("masked", masked))
    )


def _notes(evidence: Evidence) -> Iterator[str]:
    n_planned, n_finished = len(evidence.trials), len(evidence.finished)
    n_pruned = evidence.n_pruned
    done = "finished or were pruned" if n_pruned else "finished"
    if evidence.data.note:
        yield evidence.data.note
    if n_finished == 0:
        yield "no trial has finished yet"
    elif evidence.selected is None:
        yield "every finished trial diverged before it had a finite validation NLL"
    if n_failed := _n_failed(evidence):
        yield f"{n_failed} failed with a program error"
    if n_pruned:
        diverged = f" ({evidence.n_diverged} diverged)" if evidence.n_diverged else ""
        yield f"{n_planned} drawn, {n_finished} finished{diverged}, {n_pruned} pruned by halving"
    if n_finished > 0 and n_finished + n_pruned < n_planned:
        yield f"provisional: {n_finished + n_pruned} of {n_planned} trials have {done}"


def _beside(row: Row, plain: Sequence[Row], by_name: dict[str, Evidence]) -> Row:
    """Return a row with its plain counterpart, if there is one."""
    own = VARIANTS[row.variant].plain

    def rank(other: Row) -> tuple[bool, bool, bool, str]:
        as_many = other.trials_planned == row.trials_planned
        return other.variant != own, not as_many, other.space != "table2-plain", other.study

    alike = [one for one in plain if one.variant in (own, "plain") and _shared(one) == _shared(row)]
    counterpart = min(alike, key=rank, default=None)
    if counterpart is None:
        return row
    minus_plain = difference(by_name[row.study], by_name[counterpart.study])
    return replace(row, plain_study=counterpart.study, minus_plain=minus_plain)


def _shared(row: Row) -> tuple[str, int, str, str]:
    """Return what a study and its counterpart share."""
    return row.fingerprint, row.seed, row.padding, row.training


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """Return rows as a frame: a column per field, missing numbers as NA.

    An estimate has three columns: its name, then with ``_low`` and ``_high``.
    """
    table = pd.DataFrame(map(flat, rows))
    # Where there is no halving, no repeat, or none without a test NLL, these say nothing.
    for used, columns in (
        ("trials_pruned", ["trials_pruned"]),
        ("repeats", ["repeats", "repeats_mean", "repeats_deviation"]),
        ("repeats_without_nll", ["repeats_without_nll"]),
    ):
        if not table[used].any():
            table = table.drop(columns=columns)
    return table.astype({"selected_trial": "Int64", "best_epoch": "Int64"})


def flat(row: Row) -> dict[str, Any]:
    """Return the columns of `frame` for one row."""
    values: dict[str, Any] = {}
    for name, value in vars(row).items():
        if isinstance(value, Estimate):
            values |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
        else:
            values[name] = value
    return values
