"""Study definitions by name or path: the project's own and a user's TOML files.

A definition is a TOML file with the keys ``data``, ``variant``, ``space``, ``n_trials`` and
``seed``, ``output`` if it is not Bernoulli, and a table ``[training]``, whose keys are the fields
of `fdrnn.model.settings.TrainingSettings`. A comparison has ``variants`` instead of ``variant``
and ``space`` (`fdrnn.search.design.comparison`) and makes a study of each. The path of a data file
is relative to the definition's folder. The project's own definitions are files of this package.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from fdrnn import datasets
from fdrnn.datasets import FdrnnError, FileError, MissingFileError, UnknownNameError, user_path
from fdrnn.datasets.files import read_file
from fdrnn.search import StudyDefinition
from fdrnn.search.design.comparison import compared_studies, comparison_of, is_comparison
from fdrnn.studies.errors import StudyFileError

_SUFFIX = ".toml"
_LARGEST_FILE = 2**20


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
        If there is no study of that name; the nearest is suggested.
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
        try:
            content = read_file(path, limit_bytes=_LARGEST_FILE, what="study file")
        except FileError as error:
            known = "; `fdrnn study list` prints the names of fdrnn's own studies"
            hint = known if isinstance(error, MissingFileError) else ""
            raise StudyFileError(f"{error}{hint}") from error
        return _read(content, str(path), _valid_name(path.name), path.parent)
    if name_or_path not in names():
        hint = f"or give the path of your own file, ending with {_SUFFIX}"
        raise UnknownNameError("study", name_or_path, names(), hint)
    file = f"{name_or_path}{_SUFFIX}"
    return _read((files("fdrnn.studies") / file).read_bytes(), file, name_or_path, Path())


def _valid_name(file_name: str) -> str:
    """Return a study's name made from its file's, such as ``etude`` from ``étude.toml``."""
    stem = file_name[: -len(_SUFFIX)] if file_name.lower().endswith(_SUFFIX) else file_name
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[:100] or "study"


def _read(
    content: bytes, shown: str, default_name: str, folder: Path
) -> tuple[StudyDefinition, ...]:
    try:
        # With or without a byte order mark.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StudyFileError(f"{shown}: a study file must be UTF-8 text: {error}") from error
    try:
        mapping = tomllib.loads(text)
    # An integer of thousands of digits raises a ValueError that is not a TOMLDecodeError, lists
    # nested thousands deep a RecursionError.
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
        # Workers may start in any folder, so the store keeps the absolute path.
        data = definition.data
        path = user_path(data) if data.startswith("~") else user_path(folder / data)
        return replace(definition, data=str(path))
    if definition.data not in datasets.names():
        raise UnknownNameError(
            "data set in the key data", definition.data, datasets.names(), "or a file's path"
        )
    return definition
