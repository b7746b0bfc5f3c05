import numpy as np
import pytest

from fdrnn.model.ops import AffineMoments, BernoulliOutput
from fdrnn.model.toolchain import theano
from oracles import uncompiled

T = theano.tensor


@pytest.mark.parametrize("operation", [AffineMoments, BernoulliOutput])
def test_no_rows(operation):
    """Its gradient would have no first block of rows to overwrite what is in memory."""
    mean, variance, W, target = (T.dmatrix() for _ in range(4))
    b, p_keep, fast = T.dvector(), T.dscalar(), T.bscalar()
    data = [target] if operation is BernoulliOutput else []
    result, *_ = operation()(mean, variance, W, b, *data, p_keep, fast)
    run = uncompiled.function(
        [mean, variance, W, b, target, p_keep, fast], result, on_unused_input="ignore"
    )
    none, W_out = np.zeros((0, 3)), np.zeros((3, 5))
    with pytest.raises(ValueError, match="the number of rows must be at least 1, got 0"):
        run(none, none, W_out, np.zeros(5), np.zeros((0, 5)), 0.5, 1)
