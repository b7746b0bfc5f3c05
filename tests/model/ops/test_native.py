import threading
import time

import numpy as np

from fdrnn.model.ops import OwnWeightsLayer
from fdrnn.model.toolchain import theano

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
