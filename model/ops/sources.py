"""The C files of ``native/``, and the object file of the products, linked with every operation."""

from __future__ import annotations

from pathlib import Path

from fdrnn.model.toolchain import compile_object

_FOLDER = Path(__file__).parent.parent / "native"
_PRELUDE = """\
#include <cstddef>
typedef std::ptrdiff_t npy_intp;
"""
_C_TYPES = {"float32": "float", "float64": "double"}


def path(name: str) -> str:
    """Return the path of a C file, by its name without ``.c``."""
    return str(_FOLDER / f"{name}.c")


def text(*names: str) -> str:
    """Return C files as C++ that needs neither Python nor NumPy."""
    texts = [Path(path(name)).read_text("utf-8") for name in names]
    return _PRELUDE + "\n".join(texts).replace("#section support_code", "")


def product_object(dtype: str) -> Path:
    """Return the object file with the products of a dtype, which ``native/product.c`` declares.

    Parameters
    ----------
    dtype
        ``"float32"`` or ``"float64"``.

    Raises
    ------
    ToolchainError
        If it cannot be compiled.
    """
    source = text("elementwise", "vectors", "product", "tiles")
    return compile_object("product", f"#define FDRNN_REAL {_C_TYPES[dtype]}\n{source}")
