"""Table 3 of Bayer et al. 2013: the hyperparameters of the paper's own results."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fdrnn.model import FastDropoutHyperparameters

TABLE_3: Mapping[str, FastDropoutHyperparameters] = MappingProxyType(
    {
        "piano": FastDropoutHyperparameters(
            n_hidden=600,
            dropout_input=0.1,
            dropout_hidden_to_hidden=0.3,
            fast_dropout_final_layer=False,
            step_rate=0.005,
            momentum=0.995,
            decay=0.8,
            sigma2_rec_out=0.1,
            sigma2_in=0.0001,
            spectral_radius=1.2,
            max_incoming=25,
        ),
        "nottingham": FastDropoutHyperparameters(
            n_hidden=400,
            dropout_input=0.1,
            dropout_hidden_to_hidden=0.4,
            fast_dropout_final_layer=True,
            dropout_hidden_to_output=0.0,
            step_rate=0.001,
            momentum=0.99,
            decay=0.9,
            sigma2_rec_out=0.001,
            sigma2_in=0.1,
            spectral_radius=1.2,
        ),
        "musedata": FastDropoutHyperparameters(
            n_hidden=600,
            dropout_input=0.2,
            dropout_hidden_to_hidden=0.3,
            fast_dropout_final_layer=True,
            dropout_hidden_to_output=0.0,
            step_rate=0.0005,
            momentum=0.995,
            decay=0.9,
            sigma2_rec_out=0.1,
            sigma2_in=0.0001,
            spectral_radius=1.2,
        ),
        "jsb": FastDropoutHyperparameters(
            n_hidden=400,
            dropout_input=0.1,
            dropout_hidden_to_hidden=0.2,
            fast_dropout_final_layer=True,
            dropout_hidden_to_output=0.5,
            step_rate=0.001,
            momentum=0.99,
            decay=0.8,
            sigma2_rec_out=0.0001,
            sigma2_in=0.01,
            spectral_radius=1.2,
            max_incoming=15,
        ),
    }
)
"""The columns of Table 3, the hyperparameters of the column FD, by the data set's name."""
