import threading
import time

import numpy as np
import pytest

from fdrnn.model.ops import OwnWeightsLayer, OwnWeightsProduct
from fdrnn.model.toolchain import theano
from oracles import uncompiled

T = theano.tensor


def test_other_threads_run_during_a_long_operation():
    # A trial's lease is renewed by another thread.
    a, h0, W = T.fmatrix(), T.fmatrix(), T.ftensor3()
    n_rows = T.lvector()
    run = theano.function([a, n_rows, h0, W], OwnWeightsLayer()(a, n_rows, h0, W))
    n_steps, H = 20_000, 300
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(n_steps, H)).astype(np.float32)
    matrix = rng.normal(0, 0.05, (1, H, H)).astype(np.float32)
    start = np.zeros((1, H), np.float32)
    ticks, over = [], threading.Event()

    def tick():
        while not over.wait(0.002):
            ticks.append(time.perf_counter())

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        begin = time.perf_counter()
        run(steps, np.ones(n_steps, np.int64), start, matrix)
        end = time.perf_counter()
    finally:
        over.set()
        thread.join()
    assert sum(begin < one < end for one in ticks) > 5


@pytest.mark.parametrize(
    ("surplus", "named", "message"),
    [
        ([0], {}, "too many positional arguments"),
        ([], {"b": 0}, "unexpected keyword argument 'b'"),
        ([], {"x": 0}, "multiple values for argument 'x'"),
    ],
)
def test_surplus_arguments_are_refused(surplus, named, message):
    with pytest.raises(TypeError, match=message):
        OwnWeightsProduct()(T.dmatrix(), T.dtensor3(), *surplus, **named)


def test_read_only_arrays():
    x, W = T.dmatrix(), T.dtensor3()
    run = uncompiled.function([x, W], OwnWeightsProduct()(x, W))
    rows, identity = np.arange(6.0).reshape(3, 2), np.eye(2)[None]
    rows.flags.writeable = identity.flags.writeable = False
    np.testing.assert_array_equal(run(rows, identity), rows)
    with pytest.raises(ValueError, match="OwnWeightsProduct: x must be C-contiguous and aligned"):
        run(np.zeros((2, 3)).T, identity)
