"""Study definitions by name or path: the project's own and a user's TOML files.

A definition is a TOML file with the keys ``data``, ``variant``, ``space``, ``n_trials`` and
``seed``, ``output`` if it is not Bernoulli, and a table ``[training]``, whose keys are the fields
of `fdrnn.model.settings.TrainingSettings`. A comparison has ``variants`` instead of ``variant``
(`fdrnn.search.design.comparison`) and makes a study of each. A study's ``space`` may be a table
(`fdrnn.search.design.space`), whose ``extends`` may be the path of another study file. The path of
a data file or study file is relative to the definition's folder. The project's own definitions are
files of this package.
"""

from __future__ import annotations

import difflib
import re
import tomllib
import unicodedata
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from fdrnn import datasets
from fdrnn.datasets import (
    FdrnnError,
    FileError,
    MissingFileError,
    PathError,
    UnknownNameError,
    user_path,
)
from fdrnn.datasets.errors import shown
from fdrnn.datasets.files import is_file, read_file
from fdrnn.search import StudyDefinition
from fdrnn.search.design.comparison import compared_studies, comparison_of, is_comparison
from fdrnn.search.design.space import EXTENDS, Space
from fdrnn.studies.errors import StudyFileError

_SUFFIX = ".toml"
_LARGEST_FILE = 2**20
_SPACE = "space"


def names() -> list[str]:
    """Return the names of the project's own studies and comparisons, in alphabetical order."""
    folder = files("fdrnn.studies")
    return sorted(
        entry.name.removesuffix(_SUFFIX)
        for entry in folder.iterdir()
        if entry.name.endswith(_SUFFIX)
    )


def is_path(name_or_path: str) -> bool:
    """Return whether `name_or_path` is a path: it ends with ``.toml`` or contains a slash."""
    return name_or_path.lower().endswith(_SUFFIX) or "/" in name_or_path


def find(name_or_path: str) -> StudyDefinition:
    """Read the definition of a single study.

    Parameters
    ----------
    name_or_path
        As for `find_all`.

    Returns
    -------
    StudyDefinition
        The validated definition.

    Raises
    ------
    UnknownNameError, StudyFileError
        As for `find_all`, or if the definition is a comparison's.

    Examples
    --------
    >>> find("jsb").n_trials
    32
    """
    definitions = find_all(name_or_path)
    if comparison_of(definitions[0]) is not None:
        raise StudyFileError(f"{name_or_path} is a comparison, not a study: name it to `fdrnn run`")
    return definitions[0]


def find_all(name_or_path: str) -> tuple[StudyDefinition, ...]:
    """Read a definition: a study's, or a comparison's.

    Parameters
    ----------
    name_or_path
        One of `names`, or the path of a TOML file, as `is_path` decides. A study or comparison
        without the key ``name`` is named after its file; what a name may not contain becomes
        dashes.

    Returns
    -------
    tuple of StudyDefinition
        The validated definition, or one for each variant of a comparison.

    Raises
    ------
    UnknownNameError
        If there is no study of that name; the nearest is suggested, or a file of that name.
    PathError
        If the path cannot be accessed.
    StudyFileError
        If the file is missing, unreadable, not TOML, or breaks a rule of the definition; the
        line names the file.

    Examples
    --------
    >>> [study.name for study in find_all("compare-jsb")][:2]
    ['compare-jsb.fast_dropout', 'compare-jsb.authors_cell']
    """
    if is_path(name_or_path):
        path = user_path(name_or_path)
        content = _content(path)
        return _read(content, str(path), _valid_name(path.name), path.parent, (path,))
    if name_or_path not in names():
        raise _unknown(name_or_path)
    file = f"{name_or_path}{_SUFFIX}"
    return _read((files("fdrnn.studies") / file).read_bytes(), file, name_or_path, Path())


def name_of(path: str) -> str | None:
    """Return the name of the study or comparison in a file, None if there is no such file.

    Parameters
    ----------
    path
        A path, as `is_path` decides. A file that cannot be read as a definition names its study
        by its own name.
    """
    try:
        if not is_file(user_path(path)):
            return None
        first = find_all(path)[0]
    except PathError:
        return None
    except FdrnnError:
        return _valid_name(Path(path).name)
    return comparison_of(first) or first.name


def _unknown(name: str) -> UnknownNameError:
    """Return the error for a name that no study of the project has."""
    file = f"{name}{_SUFFIX}"
    with suppress(PathError):
        if is_file(Path(file)):
            hint = f"to use the file {shown(file)} of this folder, give its name with {_SUFFIX}"
            return UnknownNameError("study", name, (), hint)
    # The list of all names is too long for a line.
    nearest = difflib.get_close_matches(name, names(), n=1)
    hint = (
        f"`fdrnn study list` prints all names; or give the path of your own file, ending with "
        f"{_SUFFIX}"
    )
    return UnknownNameError("study", name, nearest, hint)


def _content(path: Path) -> bytes:
    try:
        return read_file(path, limit_bytes=_LARGEST_FILE, what="study file")
    except FileError as error:
        known = "; `fdrnn study list` prints the names of fdrnn's own studies"
        hint = known if isinstance(error, MissingFileError) else ""
        raise StudyFileError(f"{error}{hint}") from error


def _valid_name(file_name: str) -> str:
    """Return a study's name made from its file's, such as ``etude`` from ``étude.toml``."""
    stem = file_name[: -len(_SUFFIX)] if file_name.lower().endswith(_SUFFIX) else file_name
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[:100] or "study"


def _read(
    content: bytes, shown: str, default_name: str, folder: Path, own: tuple[Path, ...] = ()
) -> tuple[StudyDefinition, ...]:
    mapping = _parsed(content, shown)
    try:
        if is_comparison(mapping):
            definitions = compared_studies(mapping, default_name)
        else:
            mapping = _with_extended_space(mapping, folder, own)
            definitions = (StudyDefinition.from_mapping(mapping, default_name),)
        return tuple(_with_data(definition, folder) for definition in definitions)
    except FdrnnError as error:
        raise StudyFileError(f"{shown}: {error}") from error


def _with_extended_space(
    mapping: dict[str, Any], folder: Path, chain: tuple[Path, ...]
) -> dict[str, Any]:
    """Return a definition whose space extends a `Space` where it extended a study file."""
    space = mapping.get(_SPACE)
    if not isinstance(space, dict):
        return mapping
    extended = space.get(EXTENDS)
    bases: object = (
        [_extended(one, folder, chain) for one in extended]
        if isinstance(extended, list)
        else _extended(extended, folder, chain)
    )
    return mapping if bases == extended else mapping | {_SPACE: space | {EXTENDS: bases}}


def _extended(extended: object, folder: Path, chain: tuple[Path, ...]) -> object:
    if not isinstance(extended, str) or not is_path(extended):
        return extended
    path = _relative(extended, folder)
    known = [one.resolve() for one in chain]
    if path.resolve() in known:
        names = " -> ".join(str(one) for one in [*chain[known.index(path.resolve()) :], path])
        raise StudyFileError(f"space.{EXTENDS} must not be circular, got {names}")
    parsed = _parsed(_content(path), str(path))
    other = _with_extended_space(parsed, path.parent, (*chain, path))
    base = other.get(_SPACE)
    if isinstance(base, str):
        base = {EXTENDS: base}
    if not isinstance(base, dict):
        raise StudyFileError(f"space.{EXTENDS} must be a file with a space, got {path}")
    return Space.from_mapping(base, _valid_name(path.name))


def _relative(named: str, folder: Path) -> Path:
    return user_path(named) if named.startswith("~") else user_path(folder / named)


def _parsed(content: bytes, shown: str) -> dict[str, Any]:
    try:
        # With or without a byte order mark.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StudyFileError(f"{shown}: a study file must be UTF-8 text: {error}") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyFileError(f"{shown}: not valid TOML: {error}") from error
    # Python's own limits, whose messages are about Python.
    except (ValueError, RecursionError) as error:
        raise StudyFileError(
            f"{shown}: a study file must have no integer of more than 4,300 digits and no deeply "
            "nested lists or tables"
        ) from error


def _with_data(definition: StudyDefinition, folder: Path) -> StudyDefinition:
    if datasets.is_path(definition.data):
        # Workers may start in any folder, so the store keeps the absolute path.
        return replace(definition, data=str(_relative(definition.data, folder)))
    if definition.data not in datasets.names():
        raise UnknownNameError(
            "data set in the key data", definition.data, datasets.names(), "or a file's path"
        )
    return definition
