"""What a comparison says of the paper's claims: numbers, and a verdict computed from them.

Each claim is a rule on one draw, so that a verdict reads "holds in 3 of 4 draws". Only finished
trials that did not diverge are judged. A claim whose studies or records are missing has no
verdict, and the statement says what it lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd

from fdrnn.model import VARIANTS
from fdrnn.reports.numbers.comparison import Comparison
from fdrnn.reports.numbers.decomposition import MATRICES, rank_correlation, total_norms
from fdrnn.reports.numbers.statements import Statement
from fdrnn.reports.numbers.text import spread

LEVEL = 0.05
"""Of the test whether the noise term's mean is 0."""

# `fdrnn.model.spectral` agrees with a dense solve to a relative 1e-4.
_TOLERANCE = 3e-4


def statements(comparison: Comparison) -> list[Statement]:
    """Return a statement for each claim of the paper that a comparison can judge."""
    return [judge(comparison) for judge in _CLAIMS]


def _radius_exceeds_plain(comparison: Comparison) -> Statement:
    claim = "Fast dropout's spectral radius exceeds the plain RNN's"
    return _beside_plain(comparison, claim, "fast_dropout", "spectral_radius", "larger")


def _decay_keeps_radius_low(comparison: Comparison) -> Statement:
    claim = "Weight decay keeps the spectral radius below the plain RNN's"
    return _beside_plain(comparison, claim, "weight_decay", "spectral_radius", "smaller")


def _norm_is_not_kept_small(comparison: Comparison) -> Statement:
    claim = "No pull to zero: fast dropout does not keep W_rec smaller than the plain RNN's"
    fast = _beside_plain(comparison, claim, "fast_dropout", "recurrent_norm", "larger")
    decay = _beside_plain(comparison, claim, "weight_decay", "recurrent_norm", "smaller")
    if fast.missing or decay.missing:
        return fast
    smaller = f" Weight decay makes it smaller in {decay.holds} of {decay.judged} draws."
    return replace(fast, evidence=fast.evidence + smaller)


_NAMES = {
    "spectral_radius": "spectral radius of W_rec",
    "recurrent_norm": "Frobenius norm of W_rec",
}


def _beside_plain(
    comparison: Comparison, claim: str, variant: str, column: str, rule: str
) -> Statement:
    """State that a number of a variant is larger (or smaller) than the plain RNN's, by draw."""
    missing = _lacking(comparison, (variant, "plain"), column)
    if missing:
        return Statement(claim=claim, missing=missing)
    pairs = comparison.paired(variant, "plain", column)
    if pairs.empty:
        return Statement(claim=claim, missing="No draw of which both trials finished undiverged.")
    own, plain = pairs["one"], pairs["other"]
    left_out = comparison.n_trials - len(pairs)
    without = (
        f" {left_out} of {comparison.n_trials} draws are left out: one of the two trials diverged "
        "or is not finished."
    )
    return Statement(
        claim=claim,
        holds=int((own > plain if rule == "larger" else own < plain).sum()),
        judged=len(pairs),
        evidence=(
            f"Rule: the {_NAMES[column]} is {rule} than the plain RNN's in the same draw, after "
            f"the last epoch that both reached. {_title(variant)}: median {spread(own)}; plain "
            f"RNN: {spread(plain)}; the one by the other: {spread(own / plain)}."
            + (without if left_out else "")
        ),
    )


def _pull_has_no_direction(comparison: Comparison) -> Statement:
    """State that the term is no pull: it makes W_rec smaller in half of the epochs at most."""
    claim = "No pull to zero: fast dropout's term makes W_rec smaller no more often than larger"
    column = "pull_W_rec"
    missing = _lacking(comparison, ("fast_dropout",), column)
    if missing:
        return Statement(claim=claim, missing=missing)
    curves = comparison.members["fast_dropout"].complete_curves.dropna(subset=column)
    by_trial = curves.groupby("config_index")
    pulled = by_trial[column].apply(lambda values: float((values > 0).mean()))
    weights = by_trial["pulled_share_W_rec"].mean()
    size = by_trial[column].median()
    decay = _twice_lambda(comparison)
    return Statement(
        claim=claim,
        holds=int((pulled <= 0.5).sum()),
        judged=len(pulled),
        evidence=(
            "Rule: the coefficient of the term's gradient on W_rec, <W, R> / <W, W>, is positive, "
            "a step towards 0, after at most half of a trial's epochs; weight decay's, 2 lambda, "
            "is positive after all of them. Positive after "
            f"{spread(pulled, '.0%')} of the epochs (median of the draws), by a median "
            f"coefficient of {spread(size, '.2g')}; {spread(weights, '.0%')} of the weights are "
            f"pulled, weight decay's 100%.{decay}"
        ),
    )


def _twice_lambda(comparison: Comparison) -> str:
    if "weight_decay" not in comparison.members:
        return ""
    values = 2 * comparison.members["weight_decay"].trials["weight_decay"]
    return f" 2 lambda of the weight decay in this comparison: {spread(values, '.2g')}."


def _vanishes_with_the_loss_gradient(comparison: Comparison) -> Statement:
    claim = "Fast dropout's term vanishes at minima of the training loss"
    missing = _lacking(comparison, ("fast_dropout",), "regularizer_gradient_norm_W_rec")
    if missing:
        return Statement(claim=claim, missing=missing)
    norms = total_norms(comparison.members["fast_dropout"].complete_curves)
    by_trial = norms.groupby("config_index")
    correlation = pd.Series({k: rank_correlation(one) for k, one in by_trial}).dropna()
    if correlation.empty:
        return Statement(
            claim=claim,
            missing="No finished trial has two epochs in which the term's norm differs.",
        )
    with_nll = pd.Series({k: rank_correlation(one, "train_nll") for k, one in by_trial}).dropna()
    at_least = norms.loc[by_trial["loss_gradient"].idxmin()]
    at_most = norms.loc[by_trial["loss_gradient"].idxmax()]
    return Statement(
        claim=claim,
        holds=int((correlation > 0).sum()),
        judged=len(correlation),
        evidence=(
            "Rule: over a trial's epochs the norm of the term's gradient falls with that of the "
            "training loss's (rank correlation above 0). Correlation: median "
            f"{spread(correlation)}; that with the training NLL {spread(with_nll)}. The term's "
            f"norm is {spread(at_most['regularizer'], '.2g')} where the loss's gradient is "
            f"largest and {spread(at_least['regularizer'], '.2g')} where it is smallest; by the "
            f"norm of that, {spread(at_most['ratio'], '.2g')} and "
            f"{spread(at_least['ratio'], '.2g')}. At a minimum of what is trained, the sum of "
            "both, that ratio is 1 unless both vanish."
        ),
    )


def _noise_mean(comparison: Comparison) -> Statement:
    claim = "The sampling regulariser's gradient has zero mean"
    found = _noise(comparison, claim)
    if isinstance(found, Statement):
        return found
    p_value, ratio = found["p_value"], found["mean_by_error"]
    tested = p_value.notna().sum(axis=1)
    rejected = p_value.min(axis=1) * tested < LEVEL
    return Statement(
        claim=claim,
        holds=int((~rejected).sum()),
        judged=len(rejected),
        evidence=(
            "Rule: at the last epoch measured, for none of a trial's weight matrices the term over "
            "repeated draws at the same parameters is further from symmetry about 0 than "
            f"random signs allow (level {LEVEL:g} for the matrices together). Norm of the mean by "
            f"that of its standard error, about 1 for a mean of 0: {_by_matrix(ratio)}. Where the "
            "error signal depends on the draw, Stein's lemma gives a mean of "
            "sqrt(V[a]) E[d2J/da2] times the rest."
        ),
    )


def _noise_scale(comparison: Comparison) -> Statement:
    claim = "The scale of the sampling regulariser's gradient does not depend on the weight"
    found = _noise(comparison, claim)
    if isinstance(found, Statement):
        return found
    slope = found["scale_slope"]
    nearer = slope.abs().max(axis=1) < 0.5
    return Statement(
        claim=claim,
        holds=int(nearer.sum()),
        judged=len(nearer),
        evidence=(
            "Rule: at the last epoch measured, for each of a trial's weight matrices the slope of "
            "the logarithm of the term's standard deviation against that of the weight's size, "
            "between weights of the same two units, is nearer to 0 (no dependence) than to 1 "
            f"(proportional). Slope: {_by_matrix(slope)}. Equation 4 is that of a unit with one "
            "incoming weight; with several, V[a] is shared, and the scale is |w_i| c_i / "
            "sqrt(V[a])."
        ),
    )


def _noise(comparison: Comparison, claim: str) -> dict[str, pd.DataFrame] | Statement:
    """Return what was measured last of the noise term, by trial and matrix."""
    variant = "fast_dropout_sampled"
    columns = {
        what: {f"noise_{what}_{matrix}": matrix for matrix in MATRICES}
        for what in ("p_value", "mean_by_error", "scale_slope")
    }
    missing = _lacking(comparison, (variant,), "noise_p_value_W_in")
    if missing:
        return Statement(claim=claim, missing=missing)
    curves = comparison.members[variant].complete_curves
    measured = curves.dropna(subset=[c for c in columns["p_value"] if c in curves], how="all")
    last = measured.groupby("config_index").tail(1).set_index("config_index")
    if last.empty:
        return Statement(
            claim=claim, missing="No finished trial of FD-RNN, sampled, has noise: all rates are 0."
        )
    return {
        what: last.reindex(columns=list(names)).rename(columns=names)
        for what, names in columns.items()
    }


def _squared_radius(comparison: Comparison) -> Statement:
    claim = "rho of the elementwise square of W_rec stays below rho squared"
    judged, holds, worst, n_epochs, n_above = 0, 0, (0.0, ""), 0, 0
    for member in comparison.members.values():
        curves = member.complete_curves
        ratio = curves["spectral_radius_squared"] / curves["spectral_radius"] ** 2
        for index, values in ratio.groupby(curves["config_index"]):
            judged += 1
            above = int((values > 1 + _TOLERANCE).sum())
            holds += above == 0
            n_above += above
            n_epochs += len(values)
            where = f"{member.name}, trial {index}"
            worst = max(worst, (float(values.max()), where))
    if not judged:
        return Statement(claim=claim, missing="No trial has finished undiverged.")
    return Statement(
        claim=claim,
        holds=holds,
        judged=judged,
        unit="trials",
        evidence=(
            "Rule: after no epoch of a trial, of any variant, rho(W^2) by rho(W)^2 is above 1 by "
            f"more than the numerical tolerance. It is after {n_above} of {n_epochs} epochs; "
            f"largest ratio {worst[0]:.3g} ({worst[1]}). It is no theorem: [[1, -1], [1, -1]] has "
            "rho(W) = 0 and rho(W^2) = 2; what holds is rho(W^2) <= rho(|W|)^2."
        ),
    )


_CLAIMS: Sequence[Callable[[Comparison], Statement]] = (
    _radius_exceeds_plain,
    _pull_has_no_direction,
    _norm_is_not_kept_small,
    _decay_keeps_radius_low,
    _vanishes_with_the_loss_gradient,
    _noise_mean,
    _noise_scale,
    _squared_radius,
)

_RECORDS = {"pull_": "decomposition", "regularizer_": "decomposition", "noise_": "noise"}


def _lacking(comparison: Comparison, variants: Sequence[str], column: str) -> str:
    """Say what of some variants and a column of their curves a comparison lacks; empty if none."""
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


def _title(variant: str) -> str:
    return VARIANTS[variant].title


def _by_matrix(values: pd.DataFrame) -> str:
    return ", ".join(
        f"{matrix} {spread(column.dropna(), '.3g')}"
        for matrix, column in values.items()
        if column.notna().any()
    )
