"""Fast dropout with one quirk of the authors' library: the recurrent mean takes the drop rate.

`fdrnn.model.variants.authors_cell` has their tanh(a / 2) besides; this one tells the two apart.
"""

from __future__ import annotations

from fdrnn.model.variants.fast_dropout import TYPICAL, FastDropout

VARIANT = FastDropout(
    name="authors_mean",
    title="FD-RNN, authors' mean",
    typical=TYPICAL,
    drop_rate_scales_mean=True,
)
