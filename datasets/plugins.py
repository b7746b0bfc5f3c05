"""Plug-ins: variants, outputs and data sets that other installed packages provide.

A package names its objects as entry points of the groups `VARIANTS`, `OUTPUTS` and `DATA`. They are
found by the packages' metadata and imported when they are first used, so that a plug-in that is
broken harms only the studies that name it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, TypeVar

from fdrnn.datasets.errors import FdrnnError, error_line, shown

if TYPE_CHECKING:
    from fdrnn.datasets.dataset import Dataset

VARIANTS = "fdrnn.variants"
OUTPUTS = "fdrnn.outputs"
DATA = "fdrnn.data"

T = TypeVar("T")


class PluginError(FdrnnError, ImportError):
    """A plug-in that cannot be imported, or is not what its entry point says."""


@dataclass(frozen=True)
class Plugin:
    """What a package's metadata say of a plug-in.

    Attributes
    ----------
    name
        Its name in a study definition.
    package, version
        The package that provides it.
    """

    name: str
    package: str
    version: str

    def __str__(self) -> str:
        """Return name and package for a message."""
        return f"plug-in {shown(self.name)} of package {self.package} {self.version}"


@dataclass(frozen=True)
class DataSource:
    """A data set that a plug-in provides.

    Attributes
    ----------
    title
        Its title in reports.
    load
        A function without arguments that returns the `fdrnn.datasets.Dataset`.
    note
        What a report must say of it, empty for nothing.
    """

    title: str
    load: Callable[[], Dataset]
    note: str = ""


class Registry(Mapping[str, T]):
    """The project's objects of a kind and those of plug-ins, by name.

    A plug-in cannot replace an object of the project. Of two plug-ins with one name the one whose
    package comes first in the alphabet counts.

    Parameters
    ----------
    group
        The group of the plug-ins' entry points.
    own
        The project's objects.
    kind
        The class of all objects.

    Raises
    ------
    PluginError
        By ``registry[name]``, if the plug-in of that name cannot be imported or is of another
        class.
    """

    def __init__(self, group: str, own: Mapping[str, T], kind: type[T]) -> None:
        self._group = group
        self.own = own
        self._kind: Any = kind

    @property
    def plugins(self) -> Mapping[str, Plugin]:
        """The plug-ins by name."""
        found = _entry_points(self._group)
        return {name: plugin for name, (plugin, _) in found.items() if name not in self.own}

    def package(self, name: str) -> str | None:
        """Return the package and version of a plug-in, None for an object of the project."""
        plugin = self.plugins.get(name)
        return None if plugin is None else f"{plugin.package} {plugin.version}"

    def __getitem__(self, name: str) -> T:
        """Return the object of a name, imported if it is a plug-in's."""
        if name in self.own:
            return self.own[name]
        loaded: T = _load(self._group, name, self._kind)
        return loaded

    def __contains__(self, name: object) -> bool:
        """Return whether there is an object of that name, without an import."""
        return name in self.own or name in self.plugins

    def __iter__(self) -> Iterator[str]:
        """Yield the project's names, then those of plug-ins."""
        yield from self.own
        yield from self.plugins

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self.own) + len(self.plugins)


@cache
def _entry_points(group: str) -> dict[str, tuple[Plugin, EntryPoint]]:
    found: dict[str, tuple[Plugin, EntryPoint]] = {}
    points = [point for point in entry_points(group=group) if point.dist is not None]
    for point in sorted(points, key=lambda one: (one.dist.name, one.name)):  # type: ignore[union-attr]
        assert point.dist is not None
        plugin = Plugin(point.name, point.dist.name, point.dist.version)
        found.setdefault(point.name, (plugin, point))
    return found


@cache
def _load(group: str, name: str, kind: type[Any]) -> Any:
    plugin, point = _entry_points(group)[name]
    try:
        loaded = point.load()
    # Whatever the plug-in's own code raises; a script that is imported may exit.
    except (Exception, SystemExit) as error:
        raise PluginError(f"{plugin} cannot be imported: {error_line(error)}") from error
    if not isinstance(loaded, kind):
        raise PluginError(
            f"{plugin} must be a {kind.__name__}, got {shown(loaded)} from {point.value}"
        )
    if getattr(loaded, "name", name) != name:
        raise PluginError(f"{plugin} must have the name of its entry point, got {loaded.name!r}")
    for key in ("title", "note"):
        if not isinstance(getattr(loaded, key, ""), str):
            raise PluginError(
                f"{plugin} must have a text as its {key}, got {shown(getattr(loaded, key))}"
            )
    return loaded


def load_data(registry: Registry[DataSource], name: str) -> Dataset:
    """Return the data set of a plug-in, with the names that the plug-in gives it.

    Raises
    ------
    PluginError
        If the plug-in cannot be imported, its function fails, or returns no data set.
    """
    from fdrnn.datasets.dataset import Dataset  # noqa: PLC0415 - which imports the errors

    source, plugin = registry[name], registry.plugins[name]
    try:
        loaded: object = source.load()
    except FdrnnError:
        raise
    except (Exception, SystemExit) as error:  # as at its import
        raise PluginError(f"{plugin} cannot load its data: {error_line(error)}") from error
    if not isinstance(loaded, Dataset):
        raise PluginError(f"{plugin} must load a Dataset, got {shown(loaded)}")
    return replace(loaded, name=name, title=source.title, note=source.note)
