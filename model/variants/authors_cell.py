"""Fast dropout with two quirks of the authors' library.

Its recurrent mean took the drop rate for p_keep (the variance did not), and its tanh was
2 sig(a) - 1 = tanh(a / 2).
"""

from __future__ import annotations

from fdrnn.model.variants.fast_dropout import TYPICAL, FastDropout

VARIANT = FastDropout(
    name="authors_cell",
    title="FD-RNN, authors' cell",
    typical=TYPICAL,
    input_scale=1.0,
    drop_rate_scales_mean=True,
)
