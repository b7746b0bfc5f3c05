"""Fast dropout with rectified linear units, whose moments are exact (Wang and Manning 2013).

The paper left them out, because learning was unstable. With all rates 0 no unit has a variance,
and this is an ordinary rectifier network.
"""

from __future__ import annotations

from fdrnn.model.variants.fast_dropout import TYPICAL, FastDropout

VARIANT = FastDropout(
    name="rectifier", title="FD-RNN, rectifier", typical=TYPICAL, cell="rectifier"
)
