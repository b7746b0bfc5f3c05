"""The Euclidean norm of several arrays together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fdrnn.model.ops.elementwise import SUPPORT_CODE, SUPPORT_VERSION
from fdrnn.model.toolchain import theano

T = theano.tensor


class Norm(theano.graph.op.COp):  # type: ignore[misc]
    """sqrt(sum of squares) over all elements of arrays of one dtype, 0-d of that dtype.

    Squares are added in double precision, in the order of ``native/elementwise.c`` within an array
    and of the arguments between arrays, so that the norm of float32 arrays overflows only where it
    is itself too large for float32.
    """

    # Without properties Theano would take it for an operation without a version.
    __props__ = ("name",)
    name = "norm"

    def make_node(self, *arrays: Any) -> Any:
        variables = [T.as_tensor_variable(array) for array in arrays]
        return theano.graph.basic.Apply(self, variables, [T.TensorType(variables[0].dtype, ())()])

    def perform(self, node: Any, inputs: list[Any], outputs: list[list[Any]]) -> None:
        total = sum(float(np.square(array, dtype=np.float64).sum()) for array in inputs)
        outputs[0][0] = np.asarray(math.sqrt(total), node.outputs[0].dtype)

    def c_support_code(self, **_: object) -> str:
        return (
            SUPPORT_CODE
            + r"""
        template <typename real>
        static int add_squares(PyArrayObject *array, double *total) {
            PyArrayObject *rows = PyArray_GETCONTIGUOUS(array);
            if (!rows) return -1;
            const real *x = (const real *)PyArray_DATA(rows);
            *total += fdrnn::sum_of<double>(PyArray_SIZE(rows), [=](npy_intp i) {
                return (double)x[i] * (double)x[i];
            });
            Py_DECREF(rows);
            return 0;
        }
        """
        )

    def c_code(
        self, node: Any, name: str, inputs: list[str], outputs: list[str], sub: dict[str, str]
    ) -> str:
        (norm,) = outputs
        dtype = f"npy_{node.outputs[0].dtype}"
        failures = " || ".join(f"add_squares<{dtype}>({array}, &total)" for array in inputs)
        return f"""
        double total = 0;
        if ({failures}) {{ {sub["fail"]} }}
        if (!{norm}) {norm} = (PyArrayObject *)PyArray_SimpleNew(0, NULL, NPY_{dtype[4:].upper()});
        if (!{norm}) {{ {sub["fail"]} }}
        *({dtype} *)PyArray_DATA({norm}) = ({dtype})std::sqrt(total);
        """

    def c_code_cache_version(self) -> tuple[Any, ...]:
        return (1, SUPPORT_VERSION)
