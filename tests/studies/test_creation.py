"""Definitions as the options of a command change them."""

from __future__ import annotations

from fdrnn.search import Halving
from fdrnn.studies.cli.creation import requested


def test_fewer_epochs_leave_out_the_rungs_beyond() -> None:
    (short,) = requested("jsb-nade", trials=2, epochs=60, name=None)
    assert (short.n_trials, short.training.max_epochs) == (2, 60)
    assert short.halving == Halving((25, 50), 0.5)
    (none,) = requested("jsb-nade", trials=None, epochs=25, name=None)
    assert none.halving is None
