"""Hyperparameters, which are searched, and training settings, which a study fixes."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

from fdrnn.datasets.chunking import PADDING_SIDES
from fdrnn.datasets.errors import shown

PADDING_RULES = ("counted", "masked")
INIT_SCALES = ("variance", "std")
RECORDABLE = ("test_nll", "decomposition", "recurrent_norm", "noise")
"""The optional measurements of an epoch."""


LARGEST_COUNT = 10**6
"""The largest number of epochs, of a minibatch's chunks, of a chunk's frames, of units."""

SMALLEST_POSITIVE, LARGEST_POSITIVE = 1e-30, 1e38
"""The range of a positive number, which single precision, that of training, can represent."""

LARGEST_INITIAL = 1e30
"""The largest variance, or spectral radius, with which all initial weights are finite."""

_ROUNDED_TO_1 = 1.0 - 2.0**-25
"""The smallest number that single precision rounds to 1."""

LARGEST_BIAS = 1000.0
"""The largest magnitude of an initial bias of the output layer."""


def require(holds: bool, key: str, value: object, rule: str) -> None:
    """Raise ValueError with key, rule and value unless the rule holds."""
    if not holds:
        raise ValueError(f"{key} must be {rule}, got {shown(value)}")


def _is_whole(value: object) -> bool:
    """Return whether a value is an integer of Python or NumPy, and no truth value."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def require_count(key: str, value: int, least: int, most: int = LARGEST_COUNT) -> None:
    """Raise ValueError unless the value is a whole number between the least and the most."""
    require(_is_whole(value), key, value, "a whole number")
    require(value >= least, key, value, f"at least {least}")
    require(value <= most, key, value, f"at most {most}")


def require_positive(key: str, value: float, largest: float = LARGEST_POSITIVE) -> None:
    """Raise ValueError unless the value is between `SMALLEST_POSITIVE` and a largest one."""
    limits = f"at least {SMALLEST_POSITIVE:g} and at most {largest:g}"
    holds = SMALLEST_POSITIVE <= value <= largest
    require(holds, key, value, f"positive and finite, for single precision {limits}")


def _require_rate(key: str, value: float | None, rule: str = "in [0, 1)") -> None:
    """Raise ValueError unless the value is in [0, 1), also in single precision."""
    require(value is not None and 0.0 <= value < 1.0, key, value, rule)
    assert value is not None
    require(value < _ROUNDED_TO_1, key, value, "below 1 when rounded to single precision")


def require_dropout_rate(key: str, value: float) -> None:
    """Raise ValueError unless the value is in [0, 1), also in single precision."""
    _require_rate(key, value, "a dropout rate in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class CommonHyperparameters:
    """The hyperparameters of Table 2 that every network has.

    Attributes
    ----------
    n_hidden
        Hidden units, at least 1.
    step_rate
        rmsprop's step rate alpha, from 1e-30 to 1e38.
    momentum
        Nesterov momentum beta, in [0, 1).
    decay
        rmsprop's decay gamma of the mean square, in [0, 1).
    sigma2_rec_out
        Variance of the initial entries of W_rec (before rescaling) and W_out, from 1e-30 to 1e30.
    sigma2_in
        Variance of the initial entries of W_in, from 1e-30 to 1e30.
    """

    n_hidden: int
    step_rate: float
    momentum: float
    decay: float
    sigma2_rec_out: float
    sigma2_in: float

    def __post_init__(self) -> None:
        require_count("n_hidden", self.n_hidden, 1)
        _require_rate("momentum", self.momentum)
        _require_rate("decay", self.decay)
        require_positive("step_rate", self.step_rate)
        for key in ("sigma2_rec_out", "sigma2_in"):
            require_positive(key, getattr(self, key), LARGEST_INITIAL)


@dataclass(frozen=True, kw_only=True)
class Hyperparameters(CommonHyperparameters):
    """The hyperparameters of a network with one recurrent matrix: Table 2 without dropout.

    Attributes
    ----------
    spectral_radius
        Spectral radius to which the initial W_rec is rescaled, from 1e-30 to 1e30.
    max_incoming
        nu: incoming recurrent connections kept per unit, None for no limit.
    """

    spectral_radius: float
    max_incoming: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("spectral_radius", self.spectral_radius, LARGEST_INITIAL)
        limit = self.max_incoming
        rule = "a whole number of at least 1, or None for no limit"
        holds = limit is None or (_is_whole(limit) and limit >= 1)
        require(holds, "max_incoming", limit, rule)


@dataclass(frozen=True, kw_only=True)
class DropoutHyperparameters(CommonHyperparameters):
    """`CommonHyperparameters` and the dropout rates of Table 2.

    Attributes
    ----------
    dropout_input, dropout_hidden_to_hidden
        Dropout rates (1 - p_keep), in [0, 1).
    fast_dropout_final_layer
        Whether the final layer uses fast dropout; if not it is an ordinary forward pass that
        ignores the hidden variance and has no rate.
    dropout_hidden_to_output
        Dropout rate of the final layer in [0, 1); None exactly if
        `fast_dropout_final_layer` is false.
    """

    dropout_input: float
    dropout_hidden_to_hidden: float
    fast_dropout_final_layer: bool
    dropout_hidden_to_output: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_dropout_rate("dropout_input", self.dropout_input)
        require_dropout_rate("dropout_hidden_to_hidden", self.dropout_hidden_to_hidden)
        key, rate = "dropout_hidden_to_output", self.dropout_hidden_to_output
        if self.fast_dropout_final_layer:
            rule = "a dropout rate in [0, 1) when fast_dropout_final_layer is true"
            _require_rate(key, rate, rule)
        else:
            require(rate is None, key, rate, "absent when fast_dropout_final_layer is false")


@dataclass(frozen=True, kw_only=True)
class FastDropoutHyperparameters(DropoutHyperparameters, Hyperparameters):
    """Table 2 in full: `Hyperparameters` and `DropoutHyperparameters`."""


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """The settings that the paper leaves open, the same for every trial of a study.

    Attributes
    ----------
    batch_size
        Chunks per minibatch, at least 1.
    patience
        Training stops after this many epochs without a better validation NLL, at least 1.
    max_epochs
        Training stops after this many epochs, at least 1.
    padding
        Whether the zeros of short chunks count in the training and validation loss: ``"counted"``
        (as the authors did) or ``"masked"``.
    padding_side
        Where short chunks get their zeros: ``"front"`` as in the paper, or ``"back"`` as in the
        first author's later code.
    chunk_length
        Frames of a training or validation chunk, at least 2; the paper's 100.
    clip_norm
        Gradient norm above which the gradient is rescaled to it, from 1e-30 to 1e38, which clips
        nothing; the paper's 225.
    init_scale
        Reading of sigma^2: ``"variance"`` as printed, ``"std"`` as the authors' code used it.
    output_bias
        Initial value of every bias of the output layer for binary data; the paper's -0.8. The
        first author's later code has -8. Other outputs start at 0.
    max_incoming_in_out
        Incoming connections kept per unit in the initial W_in and W_out, at random, at least 0;
        0 keeps all, as in the paper. The first author's later code has 15.
    step_rate_decay
        Factor on the step rate after each epoch, in (0, 1]; 1 is off.
    full_rate_epochs
        First epochs after which `step_rate_decay` does not act yet, at least 0: the step rate is
        the full one in one epoch more.
    parameter_average
        Decay per update of the exponential average of the parameters that validation and test
        use, in [0, 1); 0 is off.
    record
        Optional measurements of every epoch, any of `RECORDABLE`. ``"test_nll"``: the test NLL of
        the parameters that validation uses, as measurements ``test_nll_pooled`` and
        ``test_nll_sequence_mean``. Nothing is ever selected by it. ``"decomposition"``: the ratio
        of the two parts of the gradient and the signs of delta^a after the epoch, on one and the
        same minibatch; see `fdrnn.model.gradients.recording.of_decomposition`.
        ``"recurrent_norm"``: the Frobenius norm of the matrix whose spectral radius is recorded.
        ``"noise"``: mean and scale of the noise term over draws on that minibatch, after
        epochs 1, 2, 4, 8 and so on, as ``noise_`` and each field of
        `fdrnn.model.gradients.noise_term.NoiseTerm` per matrix.
        `fdrnn.model.recordable` lists those that a variant can record. With any,
        ``recording_seconds`` is their share of the epoch's wall time, in seconds.
    """

    batch_size: int = 27
    patience: int = 30
    max_epochs: int = 300
    padding: str = "counted"
    padding_side: str = "front"
    chunk_length: int = 100
    clip_norm: float = 225.0
    init_scale: str = "variance"
    output_bias: float = -0.8
    max_incoming_in_out: int = 0
    step_rate_decay: float = 1.0
    full_rate_epochs: int = 0
    parameter_average: float = 0.0
    record: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key, least in (
            ("batch_size", 1), ("patience", 1), ("max_epochs", 1), ("chunk_length", 2),
            ("max_incoming_in_out", 0), ("full_rate_epochs", 0),
        ):  # fmt: skip
            require_count(key, getattr(self, key), least)
        for key, allowed in (
            ("padding", PADDING_RULES), ("padding_side", PADDING_SIDES), ("init_scale", INIT_SCALES)
        ):  # fmt: skip
            require(getattr(self, key) in allowed, key, getattr(self, key), " or ".join(allowed))
        rule = f"at most {LARGEST_BIAS:g} in magnitude"
        require(abs(self.output_bias) <= LARGEST_BIAS, "output_bias", self.output_bias, rule)
        require_positive("clip_norm", self.clip_norm)
        decay = self.step_rate_decay
        require(0.0 < decay <= 1.0, "step_rate_decay", decay, "in (0, 1]; 1 is off")
        _require_rate("parameter_average", self.parameter_average, "in [0, 1); 0 is off")
        distinct = set(self.record) <= set(RECORDABLE) and len(set(self.record)) == len(self.record)
        rule = f"distinct names of {', '.join(RECORDABLE)}"
        require(distinct, "record", list(self.record), rule)

    @property
    def valid_nll_column(self) -> str:
        """Return the name of the validation NLL that selects, as a field and as a column."""
        return f"valid_nll_{self.padding}"

    def valid_nll(self, counted: float, masked: float) -> float:
        """Return the validation NLL that selects: the one under the padding rule.

        Parameters
        ----------
        counted, masked
            The validation NLL with the zeros of short chunks counted, and without.
        """
        return counted if self.padding == "counted" else masked
