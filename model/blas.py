"""The BLAS that the native operations are linked with.

OpenBLAS from the wheel ``scipy-openblas32``, a dependency, unless MKL from the wheel ``mkl`` (the
extra ``fdrnn[mkl]``) is installed. The environment variable ``FDRNN_BLAS`` selects one of the two.
Results are the same to the last bit on the same kind of CPU with the same BLAS and number of
threads; between the two, and with other threads, they differ by rounding.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import scipy_openblas32

from fdrnn.model.errors import ToolchainError

_ROUTINES = ("gemm", "gemv", "ger", "dot")
_NAMES = ("openblas", "mkl")


@dataclass(frozen=True)
class Blas:
    """A BLAS library on this machine.

    Attributes
    ----------
    name
        ``"openblas"`` or ``"mkl"``.
    version
        Version of its wheel.
    library
        The shared library.
    prefix
        Prefix of its symbols: ``scipy_`` for this OpenBLAS, else empty.
    """

    name: str
    version: str
    library: Path
    prefix: str = ""

    @property
    def definitions(self) -> list[str]:
        """Compiler arguments that give the routines the library's names."""
        if not self.prefix:
            return []
        return [f"-D{t}{name}_={self.prefix}{t}{name}_" for t in "sd" for name in _ROUTINES]

    @property
    def link_flags(self) -> str:
        """Linker arguments, with the folder of the library for the run time."""
        folder, name = _linkable(self.library.parent), self.library.name
        plain = name.removeprefix("lib").removesuffix(".so")
        named = f"-l{plain}" if name == f"lib{plain}.so" else f"-l:{name}"
        return f"-L{folder} {named} -Wl,-rpath,{folder}"


def _linkable(folder: Path) -> Path:
    """Return a path to `folder` without spaces and commas, at which Theano and ld split flags."""
    if not any(character.isspace() or character == "," for character in str(folder)):
        return folder
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    link = Path(tempfile.gettempdir()) / f"fdrnn-{os.getuid()}-blas-{digest}"
    try:
        # Another process may have made it meanwhile.
        with contextlib.suppress(FileExistsError):
            link.symlink_to(folder)
        # Another user's link could lead elsewhere later.
        if link.lstat().st_uid == os.getuid() and link.resolve() == folder.resolve():
            return link
    except OSError:
        pass
    raise ToolchainError(
        f"the path of the BLAS must have no space or comma, got {str(folder)!r}, and no link to it "
        f"could be made at {link}; install fdrnn in another folder"
    )


def linked_blas() -> Blas:
    """Return the BLAS to link with.

    Raises
    ------
    ToolchainError
        If ``FDRNN_BLAS`` is another name, or that of a library which is not installed.
    """
    wanted = os.environ.get("FDRNN_BLAS", "")
    if wanted not in {"", *_NAMES}:
        raise ToolchainError(f"FDRNN_BLAS must be openblas or mkl, got {wanted!r}")
    mkl = None if wanted == "openblas" else _installed_mkl()
    if mkl is None and wanted == "mkl":
        raise ToolchainError("FDRNN_BLAS is mkl, which is not installed; install fdrnn[mkl]")
    return mkl or _openblas()


def _openblas() -> Blas:
    library = Path(scipy_openblas32.get_lib_dir()) / f"lib{scipy_openblas32.get_library()}.so"
    return Blas("openblas", metadata.version("scipy-openblas32"), library, prefix="scipy_")


def _installed_mkl() -> Blas | None:
    try:
        distribution = metadata.distribution("mkl")
    except metadata.PackageNotFoundError:
        return None
    for file in distribution.files or ():
        if file.name.startswith("libmkl_rt.so"):
            library = Path(str(distribution.locate_file(file))).resolve()
            if library.is_file():
                return Blas("mkl", distribution.version, library)
    return None
