"""Functions of our operations that compile nothing else.

Around the operations under test stand sums and products of a few numbers, each of which Theano
would compile as a C module of its own, in half a second. They are NumPy's here.
"""

from typing import Any
from unittest.mock import patch

from fdrnn.model.ops.elementwise import _Elementary
from fdrnn.model.ops.native import NativeOp
from fdrnn.model.toolchain import theano

_COp = theano.graph.op.COp
_make_c_thunk = _COp.make_c_thunk


def _ours_alone(op: Any, *arguments: Any) -> Any:
    if isinstance(op, NativeOp) or isinstance(getattr(op, "scalar_op", None), _Elementary):
        return _make_c_thunk(op, *arguments)
    # Theano then takes the implementation in Python.
    raise NotImplementedError


def function(inputs: Any, outputs: Any, **options: Any) -> Any:
    """Return `theano.function` with our operations compiled and NumPy's for all others."""
    mode = theano.compile.get_default_mode().excluding("fusion")
    with patch.object(_COp, "make_c_thunk", _ours_alone):
        return theano.function(inputs, outputs, mode=mode, **options)
