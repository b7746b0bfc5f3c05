"""Lower bounds of a training step's time: its products by fdrnn's kernel, and the core's peak.

Both come from ``native/product.c``, compiled with the compiler and the flags of the operations.
"""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from fdrnn.model.ops.sources import product_object, text
from fdrnn.model.toolchain import compiler_command

_SOURCE = """
{native}
using namespace fdrnn;
extern "C" {{
npy_intp size_packed(npy_intp K, npy_intp n) {{ return packed_size<float>(K, n); }}
npy_intp size_workspace(npy_intp n) {{ return transposed_workspace<float>(n); }}
void pack_matrix(npy_intp K, npy_intp n, const float *B, float *out) {{
    pack(K, n, B, n, (npy_intp)1, [](float x) {{ return x; }}, out);
}}
void multiply(npy_intp m, npy_intp n, npy_intp K, const float *A, const float *B, float *C) {{
    packed_product(m, n, K, A, K, (npy_intp)1, B, false, C, n);
}}
void multiply_transposed(npy_intp m, npy_intp n, npy_intp K, const float *A, const float *B,
                         float *C, float *workspace) {{
    product_of_transposed(m, n, K, A, m, B, n, false, C, n, workspace);
}}
/* Twelve chains of fused multiply-adds that never leave the registers. */
float multiply_registers(npy_intp n, float a, float b) {{
    typedef Vector<float>::type vector;
    const vector x = repeated(a), y = repeated(b);
    vector c[12];
    FDRNN_UNROLL
    for (int i = 0; i < 12; ++i) c[i] = repeated((float)i);
    for (npy_intp k = 0; k < n; ++k)
        FDRNN_UNROLL
        for (int i = 0; i < 12; ++i) c[i] = fused<float>(x, c[i], y);
    float sum = 0;
    for (int i = 0; i < 12; ++i)
        for (int l = 0; l < Vector<float>::lanes; ++l) sum += c[i][l];
    return sum;
}}
npy_intp operations() {{ return 12 * 2 * Vector<float>::lanes; }}
}}
"""


@functools.cache
def kernel() -> Any:
    """Return the compiled functions; sizes are ``c_ssize_t``."""
    native = text("elementwise", "vectors", "product")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.so"
        files = [str(product_object("float32")), "-x", "c++", "-", "-o", str(path)]
        subprocess.run(
            [*compiler_command(), "-fvisibility=default", "-shared", *files],
            input=_SOURCE.format(native=native),
            text=True,
            check=True,
        )
        library = ctypes.CDLL(str(path))
    for name in ("size_packed", "size_workspace", "operations"):
        getattr(library, name).restype = ctypes.c_ssize_t
    library.multiply_registers.restype = ctypes.c_float
    library.multiply_registers.argtypes = (ctypes.c_ssize_t, ctypes.c_float, ctypes.c_float)
    return library


_PEAK_ROUNDS = 1_000_000


def run_peak() -> None:
    """Make `peak_operations` additions and multiplications, as fast as the core can."""
    kernel().multiply_registers(_PEAK_ROUNDS, 0.5, 0.5)


def peak_operations() -> int:
    """Return how many additions and multiplications `run_peak` makes."""
    return _PEAK_ROUNDS * int(kernel().operations())
