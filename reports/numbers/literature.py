"""The lowest published test NLL of the paper's data sets, in its Table 1 or later.

In nats per predicted step, as printed by their authors. "Independent notes" are independent of each
other given the past, as the paper's; with "structured frames" the notes of a frame also depend on
each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Published:
    """The lowest known results, those of one publication.

    Attributes
    ----------
    network
        What was trained, in a few words.
    source
        Authors, year and title.
    structured
        Whether notes of a frame depend on each other.
    average
        How test NLL was averaged, as far as it is known.
    nll
        By the data set's name.
    """

    network: str
    source: str
    structured: bool
    average: str
    nll: Mapping[str, float]


_UNSTATED = "not stated"
_ICML = (
    "Boulanger-Lewandowski, Bengio and Vincent 2012, Modeling temporal dependencies in "
    "high-dimensional sequences"
)

LITERATURE = (
    Published(
        network="RRU",
        source="Zakovskis et al. 2021, Gates are not what you need in RNNs",
        structured=False,
        average=(
            "in its code the mean over windows of at most 200 frames, without silent frames and "
            "the last incomplete minibatch"
        ),
        nll={"piano": 7.38, "nottingham": 2.92, "jsb": 7.72},
    ),
    Published(
        network="DOT(S)-RNN, Lp units",
        source=(
            "Pascanu, Gulcehre, Cho and Bengio 2013, How to construct deep recurrent neural "
            "networks"
        ),
        structured=False,
        average=_UNSTATED,
        nll={"musedata": 6.59},
    ),
    Published(
        network="RNN-NADE, Hessian-free",
        source=_ICML,
        structured=True,
        average=_UNSTATED,
        nll={"piano": 7.05, "nottingham": 2.31, "musedata": 5.60, "jsb": 5.19},
    ),
)
"""The lowest of independent notes, then those of structured frames."""
