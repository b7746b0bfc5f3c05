"""Study definitions by name or path: the project's own and a user's TOML files.

A definition is a TOML file with the keys ``data``, ``variant``, ``space``, ``n_trials`` and
``seed``, ``output`` if it is not Bernoulli, and a table ``[training]``, whose keys are the fields
of `fdrnn.model.settings.TrainingSettings`. A comparison's has ``variants`` in the place of
``variant`` and ``space`` (`fdrnn.search.design.comparison`) and makes a study of each. The path
of a data file is relative to the definition's folder. The project's own definitions are
beside this module.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from fdrnn import datasets
from fdrnn.datasets import FdrnnError, UnknownNameError, user_path
from fdrnn.search import StudyDefinition
from fdrnn.search.design.comparison import compared_studies, comparison_of, is_comparison
from fdrnn.studies.errors import StudyFileError

_SUFFIX = ".toml"


def names() -> list[str]:
    """Return the names of the project's own studies and comparisons, in alphabetical order."""
    folder = files("fdrnn.studies")
    return sorted(
        entry.name.removesuffix(_SUFFIX)
        for entry in folder.iterdir()
        if entry.name.endswith(_SUFFIX)
    )


def is_path(name_or_path: str) -> bool:
    """Tell whether `name_or_path` means a file: it ends with ``.toml`` or holds a slash."""
    return name_or_path.endswith(_SUFFIX) or "/" in name_or_path


def find(name_or_path: str) -> StudyDefinition:
    """Read the definition of a single study.

    Parameters
    ----------
    name_or_path
        As of `find_all`.

    Returns
    -------
    StudyDefinition
        The validated definition.

    Raises
    ------
    UnknownNameError, StudyFileError
        As of `find_all`; also if the definition is a comparison's.

    Examples
    --------
    >>> find("jsb").n_trials
    32
    """
    found = find_all(name_or_path)
    if comparison_of(found[0]) is not None:
        raise StudyFileError(f"{name_or_path} is a comparison of {len(found)} studies, not a study")
    return found[0]


def find_all(name_or_path: str) -> tuple[StudyDefinition, ...]:
    """Read a definition: a study's, or a comparison's.

    Parameters
    ----------
    name_or_path
        One of `names`, or the path of a TOML file; a text that ends with ``.toml`` or holds a
        slash is a path. A file's study or comparison is named after the file.

    Returns
    -------
    tuple of StudyDefinition
        The validated definition, or one for each variant of a comparison.

    Raises
    ------
    UnknownNameError
        If there is no study of that name; the nearest is suggested.
    PathError
        If the path cannot be accessed.
    StudyFileError
        If the file is missing, unreadable, no TOML, or breaks a rule of the definition; the
        line names the file and the place.

    Examples
    --------
    >>> [study.name for study in find_all("compare-jsb")][:2]
    ['compare-jsb.fast_dropout', 'compare-jsb.authors_cell']
    """
    if is_path(name_or_path):
        path = user_path(name_or_path)
        return _read(path, str(path), path.name.removesuffix(_SUFFIX), path.parent)
    if name_or_path not in names():
        hint = f"or give the path of your own file, ending with {_SUFFIX}"
        raise UnknownNameError("study", name_or_path, names(), hint)
    resource = files("fdrnn.studies") / f"{name_or_path}{_SUFFIX}"
    return _read(resource, name_or_path + _SUFFIX, name_or_path, Path())


def _read(
    source: Traversable | Path, shown: str, default_name: str, folder: Path
) -> tuple[StudyDefinition, ...]:
    try:
        # With or without the mark that some editors put first.
        text = source.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise StudyFileError(
            f"{shown}: there is no such study file (the project's own studies: "
            f"{', '.join(names())})"
        ) from error
    except OSError as error:
        raise StudyFileError(f"{shown}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StudyFileError(f"{shown}: a study file must be UTF-8 text: {error}") from error
    try:
        mapping = tomllib.loads(text)
    # A number of thousands of digits is a ValueError that is no TOMLDecodeError, a list in
    # thousands of lists a RecursionError.
    except (ValueError, RecursionError) as error:
        raise StudyFileError(f"{shown}: not valid TOML: {error}") from error
    try:
        if is_comparison(mapping):
            definitions = compared_studies(mapping, default_name)
        else:
            definitions = (StudyDefinition.from_mapping(mapping, default_name),)
        return tuple(_with_data(definition, folder) for definition in definitions)
    except FdrnnError as error:
        raise StudyFileError(f"{shown}: {error}") from error


def _with_data(definition: StudyDefinition, folder: Path) -> StudyDefinition:
    if datasets.is_path(definition.data):
        # Workers may start in any folder, so the store keeps where the file is.
        named = definition.data
        path = user_path(named) if named.startswith("~") else user_path(folder / named)
        return replace(definition, data=str(path))
    if definition.data not in datasets.names():
        raise UnknownNameError(
            "data set in the key data", definition.data, datasets.names(), "or a file's path"
        )
    return definition
