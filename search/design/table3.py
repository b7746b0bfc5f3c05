"""Table 3 of the paper: the hyperparameters of the paper's own results."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fdrnn.model import FastDropoutHyperparameters

_DATA = ("piano", "nottingham", "musedata", "jsb")
_ROWS: Mapping[str, tuple[Any, ...]] = {
    "n_hidden": (600, 400, 600, 400),
    "dropout_input": (0.1, 0.1, 0.2, 0.1),
    "dropout_hidden_to_hidden": (0.3, 0.4, 0.3, 0.2),
    "fast_dropout_final_layer": (False, True, True, True),
    "dropout_hidden_to_output": (None, 0.0, 0.0, 0.5),
    "step_rate": (0.005, 0.001, 0.0005, 0.001),
    "momentum": (0.995, 0.99, 0.995, 0.99),
    "decay": (0.8, 0.9, 0.9, 0.8),
    "sigma2_rec_out": (0.1, 0.001, 0.1, 0.0001),
    "sigma2_in": (0.0001, 0.1, 0.0001, 0.01),
    "spectral_radius": (1.2, 1.2, 1.2, 1.2),
    "max_incoming": (25, None, None, 15),
}

TABLE_3: Mapping[str, FastDropoutHyperparameters] = MappingProxyType(
    {
        data: FastDropoutHyperparameters(**{name: row[column] for name, row in _ROWS.items()})
        for column, data in enumerate(_DATA)
    }
)
"""The columns of Table 3, the hyperparameters of the column FD, by the data set's name."""
