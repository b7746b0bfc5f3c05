"""Fast dropout with the variance of Wang and Manning 2013 (the paper's footnote 1).

V[a] = p_keep (1 - p_keep) mean^2 W^2: what the incoming units bring along of variance is dropped.
With all rates 0 this is an ordinary network.
"""

from __future__ import annotations

from fdrnn.model.variants.fast_dropout import TYPICAL, FastDropout

VARIANT = FastDropout(
    name="fast_dropout_wang_manning",
    title="FD-RNN, Wang & Manning's variance",
    typical=TYPICAL,
    cell="dropout_variance",
)
