from __future__ import annotations

import _pydecimal
import decimal
import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable

import optuna
import pytest
from scipy.stats import chisquare, kstest

from fdrnn.search.design import distributions
from fdrnn.search.design.distributions import (
    Choices,
    Distribution,
    FloatRange,
    IntRange,
    distribution_of,
)
from fdrnn.search.errors import DefinitionError

N = 10_000
LEAST_P = 1e-3


def digests(n: int = N) -> list[int]:
    return [int.from_bytes(hashlib.sha256(f"{k}".encode()).digest(), "big") for k in range(n)]


def draws(distribution: Distribution, n: int = N) -> list[object]:
    return [distribution.value(digest) for digest in digests(n)]


ALL: list[Distribution] = [
    Choices((200, 400, 600)),
    Choices((True, False)),
    Choices((15, 25, None)),
    Choices(("variance", "std")),
    Choices((0.99,)),
    IntRange(3, 9),
    IntRange(64, 512, step=8),
    IntRange(1, 12, log=True),
    IntRange(64, 512, log=True, step=8),
    FloatRange(0.0, 0.95),
    FloatRange(-2.5, 1e6),
    FloatRange(0.0, 0.95, step=0.05),
    FloatRange(1e-4, 1e-2, log=True),
    FloatRange(5e-324, 1e308, log=True),
]


@pytest.mark.parametrize("distribution", ALL, ids=str)
def test_draws_are_in_the_distribution_and_of_its_type(distribution: Distribution) -> None:
    assert all(value in distribution for value in draws(distribution, 500))
    for extreme in (0, 1, 2**256 - 1):
        assert distribution.value(extreme) in distribution
    assert distribution.value(0) == distribution.extremes[0]
    assert distribution.value(2**256 - 1) == distribution.extremes[-1]


@pytest.mark.parametrize("distribution", ALL, ids=str)
def test_the_data_form_makes_an_equal_distribution(distribution: Distribution) -> None:
    restored = distribution_of(json.loads(json.dumps(distribution.to_data())))
    assert restored == distribution
    assert list(map(type, restored.extremes)) == list(map(type, distribution.extremes))


@pytest.mark.parametrize("distribution", ALL, ids=str)
def test_optuna_has_the_same_bounds_scale_and_values(distribution: Distribution) -> None:
    theirs = distribution.optuna()
    if isinstance(distribution, Choices):
        assert isinstance(theirs, optuna.distributions.CategoricalDistribution)
        assert theirs.choices == distribution.values
        return
    assert isinstance(
        theirs, optuna.distributions.IntDistribution | optuna.distributions.FloatDistribution
    )
    assert (theirs.low, theirs.high, theirs.log) == (
        distribution.low,
        distribution.high,
        distribution.log,
    )
    for value in draws(distribution, 100):
        assert theirs._contains(theirs.to_internal_repr(value))


@pytest.mark.parametrize(
    "values", [(200, 400, 600), (True, False), tuple(range(100)), ("variance", "std")], ids=str
)
def test_choices_are_equally_likely(values: tuple[int, ...]) -> None:
    counts = Counter(draws(Choices(values)))
    assert chisquare([counts[value] for value in values]).pvalue > LEAST_P


@pytest.mark.parametrize(
    "distribution",
    [IntRange(3, 9), IntRange(64, 512, step=8), IntRange(-50, 50, step=25)],
    ids=str,
)
def test_linear_integers_are_equally_likely(distribution: IntRange) -> None:
    counts = Counter(draws(distribution))
    grid = range(distribution.low, distribution.high + 1, distribution.step)
    assert set(counts) <= set(grid)
    assert chisquare([counts[value] for value in grid]).pvalue > LEAST_P


@pytest.mark.parametrize(
    "distribution",
    [
        IntRange(1, 12, log=True),
        IntRange(64, 512, log=True, step=8),
        IntRange(2, 11, log=True, step=3),
    ],
    ids=str,
)
def test_logarithmic_integers_have_the_probability_of_their_interval(
    distribution: IntRange,
) -> None:
    counts = Counter(draws(distribution))
    step = distribution.step
    grid = list(range(distribution.low, distribution.high + 1, step))
    widths = [math.log((value + step / 2) / (value - step / 2)) for value in grid]
    expected = [N * width / sum(widths) for width in widths]
    assert chisquare([counts[value] for value in grid], expected).pvalue > LEAST_P


def test_steps_of_floats_are_equally_likely_and_the_decimals_that_one_writes() -> None:
    counts = Counter(draws(FloatRange(0.0, 0.95, step=0.05)))
    written = [float(f"{hundredths / 100:.2f}") for hundredths in range(0, 100, 5)]
    assert chisquare([counts[value] for value in written]).pvalue > LEAST_P
    assert set(counts) == set(written)


def uniform(low: float, high: float) -> Callable[[float], float]:
    return lambda value: (value - low) / (high - low)


@pytest.mark.parametrize(
    "distribution",
    [
        FloatRange(0.0, 0.95),
        FloatRange(-2.5, 1e6),
        FloatRange(1e-4, 1e-2, log=True),
        FloatRange(1e-300, 1e300, log=True),
    ],
    ids=str,
)
def test_floats_are_uniform_on_their_scale(distribution: FloatRange) -> None:
    scale = math.log if distribution.log else float
    share = uniform(scale(distribution.low), scale(distribution.high))
    shares = [share(scale(value)) for value in draws(distribution)]  # type: ignore[arg-type]
    assert kstest(shares, "uniform").pvalue > LEAST_P


def test_a_linear_float_is_the_nearest_to_the_exact_value() -> None:
    # low + (high - low) / 3 of the decimals 0.1 and 0.7 as doubles, by hand in integers.
    low, high = (0.1).as_integer_ratio(), (0.7).as_integer_ratio()
    digest = 2**256 // 3
    numerator = low[0] * high[1] * 2**256 + (high[0] * low[1] - low[0] * high[1]) * digest
    assert FloatRange(0.1, 0.7).value(digest) == numerator / (low[1] * high[1] * 2**256)


@pytest.mark.parametrize("distribution", [d for d in ALL if getattr(d, "log", False)], ids=str)
def test_logarithmic_draws_have_the_bits_of_another_decimal_arithmetic(
    distribution: Distribution, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = draws(distribution, 50)
    monkeypatch.setattr(distributions, "decimal", _pydecimal)
    assert draws(distribution, 50) == drawn


def test_logarithmic_draws_do_not_depend_on_the_threads_decimal_context() -> None:
    drawn = draws(FloatRange(1e-4, 1e-2, log=True), 50)
    with decimal.localcontext(prec=3, rounding=decimal.ROUND_UP):
        assert draws(FloatRange(1e-4, 1e-2, log=True), 50) == drawn


def test_draws_keep_their_bits() -> None:
    digest = int.from_bytes(hashlib.sha256(b"2013/0/step_rate").digest(), "big")
    assert Choices((0.01, 0.001)).value(digest) == (0.01, 0.001)[digest >> 255]
    assert FloatRange(1e-4, 1e-2, log=True).value(digest).hex() == "0x1.af970c0579cd5p-12"
    assert FloatRange(0.0, 0.95).value(digest).hex() == "0x1.2ae101a842ab7p-2"
    assert IntRange(64, 512, log=True, step=8).value(digest) == 120


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"int": [64, 512], "log": True, "step": 8}, IntRange(64, 512, log=True, step=8)),
        ({"float": [1e-4, 1e-2], "log": True}, FloatRange(1e-4, 1e-2, log=True)),
        ({"float": [0, 1]}, FloatRange(0.0, 1.0)),
        ({"float": [0, 1], "step": 0.25}, FloatRange(0.0, 1.0, step=0.25)),
        ([0.8, 0.9], Choices((0.8, 0.9))),
        ({"choices": [0.8, 0.9]}, Choices((0.8, 0.9))),
        ([15, "none"], Choices((15, None))),
        ("none", Choices((None,))),
        (0.99, Choices((0.99,))),
        (True, Choices((True,))),
    ],
)
def test_a_study_files_forms_are_read(data: object, expected: Distribution) -> None:
    assert distribution_of(data) == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"int": [512, 64]}, r"low must be below high, got \[512, 64\]"),
        ({"float": [0.5, 0.5]}, "a fixed value is written alone"),
        ({"float": [0, 1], "log": True}, "low must be positive on a logarithmic range, got 0.0"),
        ({"int": [0, 8], "log": True}, "low must be positive on a logarithmic range, got 0"),
        ({"int": [4, 20], "log": True, "step": 8}, "low must be above half the step"),
        ({"int": [64, 512], "step": 10}, "step must divide high - low, got 10 for 64 to 512"),
        ({"float": [0.0, 0.95], "step": 0.1}, "step must divide high - low"),
        ({"int": [1, 8], "step": 0}, "step must be at least 1, got 0"),
        ({"float": [0.0, 1.0], "step": -0.5}, "step must be positive"),
        ({"float": [0.1, 1.0], "log": True, "step": 0.1}, "logarithmic range of floats has no"),
        ({"int": [1.5, 8]}, "int and step must be integers up to 2"),
        ({"int": [True, 8]}, "int and step must be integers up to 2"),
        ({"int": [1, 10**30]}, "int and step must be integers up to 2"),
        ({"float": ["a", 1]}, "float and step must be numbers, got 'a'"),
        ({"float": [0.0, math.inf]}, "must be finite, got inf"),
        ({"float": [math.nan, 1.0]}, "must be finite, got nan"),
        ({"float": [1.0]}, r"float must be \[low, high\], got \[1.0\]"),
        ({"float": 1.0}, "float must be a list, got 1.0"),
        ({"float": [0, 1], "log": 1}, "log must be true or false, got 1"),
        ({"float": [0, 1], "lgo": True}, "unknown key 'lgo' beside 'float'; did you mean log"),
        ({"choices": [1, 2], "step": 1}, "unknown key 'step' beside 'choices'"),
        ({"float": [0, 1], "int": [0, 1]}, "one of the keys choices, int, float, got"),
        ({}, "one of the keys choices, int, float, got"),
        ([0.8, 0.9, 0.8], "choices must be distinct, got 0.8 twice"),
        ([0, 0.0], "choices must be distinct, got 0.0 twice"),
        ([], "must have 1 to 1000 choices, got 0"),
        (list(range(1001)), "must have 1 to 1000 choices, got 1001"),
        ([[1]], r"a choice must be a number, text or truth value, got \[1\]"),
        ([math.nan], "must be finite, got nan"),
    ],
)
def test_bad_input_is_one_line(data: object, message: str) -> None:
    with pytest.raises(DefinitionError, match=message) as raised:
        distribution_of(data)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("distribution", "foreign"),
    [
        (Choices((0.0, 1.0)), 0),
        (Choices((0, 1)), False),
        (IntRange(2, 8, step=2), 3),
        (IntRange(2, 8, step=2), 4.0),
        (IntRange(2, 8, step=2), 10),
        (FloatRange(0.0, 1.0), 1),
        (FloatRange(0.0, 1.0), 1.5),
        (FloatRange(0.0, 1.0, step=0.25), 0.3),
    ],
)
def test_another_value_or_type_is_not_in_it(distribution: Distribution, foreign: object) -> None:
    assert foreign not in distribution
