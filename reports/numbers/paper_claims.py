"""Verdicts of a comparison on the paper's claims, computed from its numbers.

Each claim is a rule on one draw, so that a verdict reads "holds in 3 of 4 draws", and the count has
an exact test (`fdrnn.reports.numbers.count_tests`). Only finished trials that did not diverge are
judged; the draws left out are counted by reason. A claim whose studies or records are missing has
no verdict, and the statement names what it lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd

from fdrnn.model import VARIANTS
from fdrnn.reports.numbers.comparison import DIVERGED, NOT_FINISHED, Comparison
from fdrnn.reports.numbers.count_tests import (
    CountTest,
    largest_p_value,
    low_count_test,
    sign_test,
)
from fdrnn.reports.numbers.decomposition import MATRICES, rank_correlation, total_norms
from fdrnn.reports.numbers.statements import LeftOut, Statement
from fdrnn.reports.numbers.text import spread

LEVEL = 0.05
"""Level of the test whether the noise term's mean is 0."""

# `fdrnn.model.spectral` agrees with a dense solve to a relative 1e-4.
_TOLERANCE = 3e-4

_Judged = tuple[pd.Series, str] | str
"""In which draws a claim holds, and the evidence; or what a verdict would need."""


@dataclass(frozen=True)
class _Claim:
    text: str
    variants: tuple[str, ...]
    column: str
    rule: Callable[[Comparison], _Judged]
    test: CountTest | None
    unit: str = "draws"

    def judge(self, comparison: Comparison) -> Statement:
        judged = _lacking(comparison, self.variants, self.column) or self.rule(comparison)
        if isinstance(judged, str):
            return Statement(claim=self.text, missing=judged)
        holds, evidence = judged
        left_out, trials = _left_out(comparison, self.variants, self.unit, len(holds))
        statement = Statement(
            claim=self.text,
            holds=int(holds.sum()),
            judged=len(holds),
            left_out=left_out,
            unit=self.unit,
            evidence=f"{evidence}{trials}",
        )
        return statement if self.test is None else _tested(statement, self.test)


def _tested(statement: Statement, test: CountTest) -> Statement:
    holds, judged = statement.holds, statement.judged
    return replace(
        statement,
        p_value=test(holds, judged),
        largest_p_value=largest_p_value(test, holds, judged, statement.left_out.total),
    )


def statements(comparison: Comparison) -> list[Statement]:
    """Return a statement for each claim of the paper that a comparison can judge."""
    return [claim.judge(comparison) for claim in _CLAIMS]


def _left_out(
    comparison: Comparison, variants: Sequence[str], unit: str, judged: int
) -> tuple[LeftOut, str]:
    """Return what a claim leaves out, and a sentence that counts the trials by variant."""
    needed = variants or list(comparison.members)
    if unit == "trials":
        # A draw that a variant does not have is no trial: it stays missing.
        reasons = pd.concat([comparison.incomplete([variant]) for variant in needed])
        entries = reasons.to_numpy()[reasons.notna().to_numpy()].reshape(-1, 1)
    else:
        reasons = comparison.incomplete(needed)
        entries = reasons.to_numpy()
    diverged = (entries == DIVERGED).any(axis=1)
    complete = (entries == "").all(axis=1)
    left_out = LeftOut(
        diverged=int(diverged.sum()),
        not_finished=int((~diverged & ~complete).sum()),
        not_measured=int(complete.sum()) - judged,
    )
    if not left_out.total:
        return left_out, ""
    parts = [f" Left out of the count: {left_out.total} of {len(entries)} {unit}."]
    for reason in (DIVERGED, NOT_FINISHED):
        counts = {variant: int((reasons[variant] == reason).sum()) for variant in needed}
        named = "; ".join(f"{n} of {VARIANTS[key].title}" for key, n in counts.items() if n)
        if named:
            parts.append(f"{reason.capitalize()}: {named}.")
    return left_out, " ".join(parts)


_NAMES = {"spectral_radius": "spectral radius", "recurrent_norm": "Frobenius norm"}


def _beside_plain(comparison: Comparison, variant: str, column: str, rule: str) -> _Judged:
    """Judge that a number of a variant is larger (or smaller) than the plain RNN's, by draw."""
    pairs = comparison.beside_plain(variant, column).set_index("config_index")
    if pairs.empty:
        return "No draw of which both trials finished undiverged."
    own, plain = pairs["own"], pairs["plain"]
    return own > plain if rule == "larger" else own < plain, (
        f"Rule: the {_NAMES[column]} of W_rec is {rule} than the plain RNN's in the same draw, "
        f"after the last epoch that both reached. {VARIANTS[variant].title}: median "
        f"{spread(own)}; plain RNN: {spread(plain)}; the one by the other: "
        f"{spread(own / plain)}."
    )


_NO_DIFFERENCE = (
    "The claim denies a difference: half of the draws agree with it, and a small p contradicts it "
    "only beside a count below that."
)


def _norm_is_not_kept_small(comparison: Comparison) -> _Judged:
    column = "recurrent_norm"
    fast = _beside_plain(comparison, "fast_dropout", column, "larger")
    decay = _lacking(comparison, ("weight_decay", "plain"), column) or _beside_plain(
        comparison, "weight_decay", column, "smaller"
    )
    if isinstance(fast, str) or isinstance(decay, str):
        return fast
    smaller = f"{decay[0].sum()} of the {len(decay[0])} draws in which it can be compared"
    return fast[0], f"{fast[1]} Weight decay makes it smaller in {smaller}. {_NO_DIFFERENCE}"


def _pull_has_no_direction(comparison: Comparison) -> _Judged:
    """Judge that the term is no pull: it makes W_rec smaller in half of the epochs at most."""
    column = "pull_W_rec"
    curves = comparison.members["fast_dropout"].complete_curves.dropna(subset=column)
    by_trial = curves.groupby("config_index")
    pulled = by_trial[column].apply(lambda values: float((values > 0).mean()))
    weights = by_trial["pulled_share_W_rec"].mean()
    size = by_trial[column].median()
    decay = ""
    if "weight_decay" in comparison.members:
        values = 2 * comparison.members["weight_decay"].trials["weight_decay"]
        decay = f" 2 lambda of the weight decay in this comparison: {spread(values, '.2g')}."
    return pulled <= 0.5, (
        "Rule: the coefficient of the term's gradient on W_rec, <W, R> / <W, W>, is positive, "
        "a step towards 0, after at most half of a trial's epochs; weight decay's, 2 lambda, "
        "is positive after all of them. Positive after "
        f"{spread(pulled, '.0%')} of the epochs (median of the draws), by a median "
        f"coefficient of {spread(size, '.2g')}; {spread(weights, '.0%')} of the weights are "
        f"pulled, weight decay's 100%.{decay} {_NO_DIFFERENCE}"
    )


def _vanishes_with_the_loss_gradient(comparison: Comparison) -> _Judged:
    norms = total_norms(comparison.members["fast_dropout"].complete_curves)
    by_trial = norms.groupby("config_index")
    correlation = pd.Series({k: rank_correlation(one) for k, one in by_trial}).dropna()
    if correlation.empty:
        return "No finished trial has two epochs in which the term's norm differs."
    with_nll = pd.Series({k: rank_correlation(one, "train_nll") for k, one in by_trial}).dropna()
    at_least = norms.loc[by_trial["loss_gradient"].idxmin()]
    at_most = norms.loc[by_trial["loss_gradient"].idxmax()]
    return correlation > 0, (
        "Rule: over a trial's epochs the norm of the term's gradient falls with that of the "
        "training loss's (rank correlation above 0). Correlation: median "
        f"{spread(correlation)}; that with the training NLL {spread(with_nll)}. The term's "
        f"norm is {spread(at_most['regularizer'], '.2g')} where the loss's gradient is "
        f"largest and {spread(at_least['regularizer'], '.2g')} where it is smallest; by the "
        f"norm of that, {spread(at_most['ratio'], '.2g')} and "
        f"{spread(at_least['ratio'], '.2g')}. At a minimum of what is trained, the sum of "
        "both, that ratio is 1 unless both vanish."
    )


def _noise_mean(comparison: Comparison) -> _Judged:
    measured = _last_measured(comparison)
    if measured.empty:
        return _NO_NOISE
    p_value = _by_matrix(measured, "p_value")
    rejected = p_value.min(axis=1) * p_value.notna().sum(axis=1) < LEVEL
    ratio = _spreads(_by_matrix(measured, "mean_by_error"))
    return ~rejected, (
        "Rule: at the last epoch measured, for none of a trial's weight matrices the term over "
        "repeated draws at the same parameters is further from symmetry about 0 than "
        f"random signs allow (level {LEVEL:g} for the matrices together). Norm of the mean by "
        f"that of its standard error, about 1 for a mean of 0: {ratio}. Where the "
        "error signal depends on the draw, Stein's lemma gives a mean of "
        "sqrt(V[a]) E[d2J/da2] times the rest. p: how likely a count so low is if the mean is 0, "
        f"so that a draw keeps the rule with a probability of {1 - LEVEL:g} (one-sided)."
    )


def _noise_scale(comparison: Comparison) -> _Judged:
    measured = _last_measured(comparison)
    if measured.empty:
        return _NO_NOISE
    slope = _by_matrix(measured, "scale_slope")
    return slope.abs().max(axis=1) < 0.5, (
        "Rule: at the last epoch measured, for each of a trial's weight matrices the slope of "
        "the logarithm of the term's standard deviation against that of the weight's size, "
        "between weights of the same two units, is nearer to 0 (no dependence) than to 1 "
        f"(proportional). Slope: {_spreads(slope)}. Equation 4 is that of a unit with one "
        "incoming weight; with several, V[a] is shared, and the scale is |w_i| c_i / "
        "sqrt(V[a])."
    )


_NO_NOISE = "No finished trial of FD-RNN, sampled, has noise: all rates are 0."


def _last_measured(comparison: Comparison) -> pd.DataFrame:
    """Return the last epoch of each trial in which the noise term was measured."""
    curves = comparison.members["fast_dropout_sampled"].complete_curves
    columns = [name for matrix in MATRICES if (name := f"noise_p_value_{matrix}") in curves]
    measured = curves.dropna(subset=columns, how="all")
    return measured.groupby("config_index").tail(1).set_index("config_index")


def _by_matrix(measured: pd.DataFrame, what: str) -> pd.DataFrame:
    names = {f"noise_{what}_{matrix}": matrix for matrix in MATRICES}
    return measured.reindex(columns=list(names)).rename(columns=names)


def _spreads(values: pd.DataFrame) -> str:
    return ", ".join(
        f"{matrix} {spread(column.dropna(), '.3g')}"
        for matrix, column in values.items()
        if column.notna().any()
    )


def _squared_radius(comparison: Comparison) -> _Judged:
    ratios = {
        f"{member.name}, trial {index}": values["spectral_radius_squared"]
        / values["spectral_radius"] ** 2
        for member in comparison.members.values()
        for index, values in member.complete_curves.groupby("config_index")
    }
    if not ratios:
        return "No trial has finished undiverged."
    above = pd.Series({name: int((one > 1 + _TOLERANCE).sum()) for name, one in ratios.items()})
    worst = max(ratios, key=lambda name: (ratios[name].max(), name))
    return above == 0, (
        "Rule: after no epoch of a trial, of any variant, rho(W^2) by rho(W)^2 is above 1 by "
        f"more than the numerical tolerance. It is after {above.sum()} of "
        f"{sum(map(len, ratios.values()))} epochs; largest ratio {ratios[worst].max():.3g} "
        f"({worst}). It is no theorem: [[1, -2], [1, -1]], of full rank, has "
        "rho(W) = 1 and rho(W^2) = 3; what holds is rho(W^2) <= rho(|W|)^2. The claim is on every "
        "matrix: one counterexample refutes it, whatever the count, which therefore has no p."
    )


_CLAIMS = (
    _Claim(
        "Fast dropout's spectral radius exceeds the plain RNN's",
        ("fast_dropout", "plain"),
        "spectral_radius",
        partial(_beside_plain, variant="fast_dropout", column="spectral_radius", rule="larger"),
        sign_test,
    ),
    _Claim(
        "No pull to zero: fast dropout's term makes W_rec smaller no more often than larger",
        ("fast_dropout",),
        "pull_W_rec",
        _pull_has_no_direction,
        sign_test,
    ),
    _Claim(
        "No pull to zero: fast dropout does not keep W_rec smaller than the plain RNN's",
        ("fast_dropout", "plain"),
        "recurrent_norm",
        _norm_is_not_kept_small,
        sign_test,
    ),
    _Claim(
        "Weight decay keeps the spectral radius below the plain RNN's",
        ("weight_decay", "plain"),
        "spectral_radius",
        partial(_beside_plain, variant="weight_decay", column="spectral_radius", rule="smaller"),
        sign_test,
    ),
    _Claim(
        "Fast dropout's term vanishes at minima of the training loss",
        ("fast_dropout",),
        "regularizer_gradient_norm_W_rec",
        _vanishes_with_the_loss_gradient,
        sign_test,
    ),
    _Claim(
        "The sampling regulariser's gradient has zero mean",
        ("fast_dropout_sampled",),
        "noise_p_value_W_in",
        _noise_mean,
        partial(low_count_test, share=1 - LEVEL),
    ),
    _Claim(
        "The scale of the sampling regulariser's gradient does not depend on the weight",
        ("fast_dropout_sampled",),
        "noise_p_value_W_in",
        _noise_scale,
        sign_test,
    ),
    _Claim(
        "rho of the elementwise square of W_rec stays below rho squared",
        (),
        "",
        _squared_radius,
        None,
        unit="trials",
    ),
)

_RECORDS = {"pull_": "decomposition", "regularizer_": "decomposition", "noise_": "noise"}


def _lacking(comparison: Comparison, variants: Sequence[str], column: str) -> str:
    """Return which variant, or which column of its curves, a comparison lacks; empty for none."""
    absent = [variant for variant in variants if variant not in comparison.members]
    if absent:
        return f"The comparison has no study of {' and '.join(absent)}."
    for variant in variants:
        member = comparison.members[variant]
        if column not in member.curves:
            record = next(
                (key for start, key in _RECORDS.items() if column.startswith(start)), column
            )
            if record in member.definition.training.record:
                return f"{member.name} has no epoch yet."
            return f'{member.name} does not record "{record}".'
        if member.complete_curves.empty:
            return f"No trial of {member.name} has finished undiverged."
    return ""
