"""Names and values of hyperparameters as the reports print them."""

from __future__ import annotations

import pytest

from fdrnn.reports.numbers.names import value_text
from fdrnn.search.design.space import SPACES

PARAMETERS = {
    (space, parameter.name): parameter.distribution.extremes
    for space, one in SPACES.items()
    for parameter in one.parameters
}


@pytest.mark.parametrize(("space", "name"), PARAMETERS)
def test_every_choice_is_printed_as_itself(space: str, name: str) -> None:
    choices = PARAMETERS[space, name]
    printed = [value_text(name, choice) for choice in choices]
    assert len(set(printed)) == len(choices)
    for text, choice in zip(printed, choices, strict=True):
        if not isinstance(choice, bool) and choice is not None and text not in {"yes", "no"}:
            assert float(text) == choice
