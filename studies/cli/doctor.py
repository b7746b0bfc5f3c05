"""``fdrnn doctor``: checks of everything that training needs, each failure with the way to fix it.

Each check imports what it inspects, so that a broken installation fails one check alone.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import typer

from fdrnn.datasets.errors import FdrnnError, one_line
from fdrnn.datasets.plugins import PluginError, Registry
from fdrnn.studies.cli.options import DataDir, Storage, commands
from fdrnn.studies.errors import InstallationError

_PYTHON = (3, 11)
_INSTALL = "install fdrnn again, by the README's first command"
_NEEDED_BYTES = 10**9
_VECTORS = ("avx512f", "avx2", "sse2")

app = commands()


@app.command()
def doctor(storage: Storage, data_dir: DataDir) -> None:
    """Check Python, packages, plug-ins, compiler, CPU, cache, store and data.

    Prints a line per check; one that fails says how to fix it, and the exit code is then 1.
    Nothing is downloaded, and the store is only read.
    """
    checks: dict[str, Callable[[], str]] = {
        "Python": _python,
        "packages": _packages,
        "plug-ins": _plugins,
        "compiler": _compiler,
        "CPU": _cpu,
        "cache": _cache,
        "store": lambda: _store(storage),
        "data": lambda: _data(data_dir),
    }
    failed = False
    for name, check in checks.items():
        try:
            line = f"ok     {name}: {check()}"
        except FdrnnError as error:
            line, failed = f"wrong  {name}: {error}", True
        # A package that is missing or damaged may raise anything.
        except Exception as error:
            line, failed = f"wrong  {name}: {one_line(repr(error))}; {_INSTALL}", True
        typer.echo(line)
    raise typer.Exit(int(failed))


def _python() -> str:
    found = sys.version.split()[0]
    if sys.version_info[:2] != _PYTHON:
        raise InstallationError(
            f"fdrnn needs Python 3.11, because Theano-PyMC needs NumPy 1.23, got {found}; create "
            "the environment with python3.11"
        )
    return f"{found} at {sys.executable}"


def _packages() -> str:
    from packaging.requirements import Requirement

    wrong = []
    requirements = [Requirement(text) for text in metadata.requires("fdrnn") or []]
    for required in requirements:
        if required.marker is not None and not required.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(required.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{required.name} is missing")
            continue
        if found not in required.specifier:
            wrong.append(f"{required.name} must be {required.specifier}, got {found}")
    if wrong:
        raise InstallationError(f"{', '.join(wrong)}; {_INSTALL}")
    shown = ("fdrnn", "theano-pymc", "numpy", "optuna", "sqlalchemy")
    return ", ".join(f"{name} {metadata.version(name)}" for name in shown)


def _plugins() -> str:
    from fdrnn.datasets.sources import DATA_PLUGINS, package
    from fdrnn.model import OUTPUTS, VARIANTS

    registries: tuple[Registry[Any], ...] = (VARIANTS, OUTPUTS, DATA_PLUGINS)
    loaded, wrong = [], []
    for registry in registries:
        for name, plugin in registry.plugins.items():
            if registry is DATA_PLUGINS and package(name) is None:
                continue  # a data set of the project has the name
            try:
                registry[name]
            except PluginError as error:
                wrong.append(str(error))
            else:
                loaded.append(f"{name} ({plugin.package} {plugin.version})")
    if wrong:
        raise InstallationError(f"{'; '.join(wrong)}; repair or uninstall the package")
    return ", ".join(loaded) or "none"


def _compiler() -> str:
    # Importing it compiles a module of Theano, or loads the compiled one.
    from fdrnn.model.toolchain import check_toolchain, theano

    check_toolchain()
    return f"{theano.config.cxx} and Python's headers; compiled modules load"


def _cpu() -> str:
    from fdrnn.search.machine import describe_machine, usable_cores

    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    vectors = next((name for name in _VECTORS if name in flags), "no vector instructions known")
    return f"{usable_cores()} usable cores, {describe_machine()}, {vectors}"


def _cache() -> str:
    import shutil

    from fdrnn.datasets import cache_directory
    from fdrnn.datasets.cache import make_directory

    folder = cache_directory()
    make_directory(folder)
    free = shutil.disk_usage(folder).free
    if free < _NEEDED_BYTES:
        raise InstallationError(
            f"{folder} has {free / 1e9:.1f} GB free, compiled operations and data need up to 1 GB; "
            "free some space, or name another folder in FDRNN_CACHE_DIR"
        )
    return f"{folder}, {free / 1e9:.0f} GB free"


def _store(storage: str) -> str:
    from fdrnn.search import find_store
    from fdrnn.search.store.database import Database

    store = find_store(storage)
    if store is None:
        return f"there is none at {Database(storage).shown} yet; `fdrnn run STUDY` creates it"
    with store.database.read():
        return f"{store.shown}, studies: {len(store.study_names())}"


def _data(data_dir: Path | None) -> str:
    from fdrnn.datasets import describe

    known = describe(data_dir)
    missing = [data for data in known if data.origin == "missing"]
    # A folder may have some of the data sets: the others are only listed as missing.
    if missing and not any(data.origin == "folder" for data in known):
        names = ", ".join(data.name for data in missing)
        raise InstallationError(
            f"the data folder {missing[0].path} lacks {names}; put the files there, or name no "
            "folder (--data-dir, FDRNN_DATA_DIR) to have them downloaded"
        )
    return ", ".join(f"{data.name} ({data.origin})" for data in known)
