"""The model variants: names, hyperparameters and what sets their cells apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fdrnn.model.settings import FastDropoutHyperparameters, Hyperparameters


@dataclass(frozen=True)
class Variant:
    """A recurrent network that a study can name.

    Attributes
    ----------
    name
        As in a study definition.
    title
        As in a report.
    hyperparameters
        The class of its hyperparameters; a search space must draw exactly its fields.
    stochastic
        Whether variances are propagated; without, it is an ordinary network.
    input_scale
        s of the transfer function 2 sig(s a) - 1: 2 is tanh.
    drop_rate_scales_mean
        Whether the recurrent mean is multiplied by the drop rate in the place of p_keep.
    """

    name: str
    title: str
    hyperparameters: type[Hyperparameters]
    stochastic: bool = True
    input_scale: float = 2.0
    drop_rate_scales_mean: bool = False


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        variant.name: variant
        for variant in (
            Variant("fast_dropout", "FD-RNN", FastDropoutHyperparameters),
            Variant("plain", "plain RNN", Hyperparameters, stochastic=False),
            # The authors' library: its recurrent mean took the drop rate for p_keep (the
            # variance did not), and its tanh was 2 sig(a) - 1 = tanh(a / 2).
            Variant(
                "authors_cell",
                "FD-RNN, authors' cell",
                FastDropoutHyperparameters,
                input_scale=1.0,
                drop_rate_scales_mean=True,
            ),
        )
    }
)
