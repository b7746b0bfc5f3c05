"""The error every other one derives from, and the errors of the data sets.

`FdrnnError` stands in the lowest package so that every other package may import it.
A user's mistake or the world's (a damaged file, no network) is raised as one of its
subclasses, with one line that names the rule, the value received and the way out; the
command line prints that line and exits with code 2. Each subclass is also the builtin
that fits.

    FdrnnError
    +-- UnknownNameError (LookupError)        a data set, study or trial that does not exist
    +-- PathError (ValueError)                a path that names no place
    +-- MissingFileError (FileNotFoundError)  a named file or folder that does not exist
    +-- DataError (ValueError)                a file that is damaged, truncated or of another form
    +-- CacheError (OSError)                  a cache directory that cannot be written
    +-- FetchError (ConnectionError)          no mirror delivered the file with its checksum
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FdrnnError(Exception):
    """Base of every error that a user of fdrnn can cause or mend."""


class UnknownNameError(FdrnnError, LookupError):
    """A name that is not among the known ones.

    Parameters
    ----------
    kind
        What was looked for, for example ``"data set"``.
    name
        The name received.
    known
        The names that exist; the nearest is suggested.
    hint
        Another way out, appended to the line.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        nearest = difflib.get_close_matches(name, names, n=1)
        guess = f"; did you mean {nearest[0]!r}?" if nearest else ""
        listed = f" (known: {', '.join(names)})" if names else ""
        super().__init__(f"unknown {kind} {name!r}{guess}{listed}{'; ' + hint if hint else ''}")


class MissingFileError(FdrnnError, FileNotFoundError):
    """A file or folder that the user named and that does not exist."""


class PathError(FdrnnError, ValueError):
    """A path that names no place, such as the home folder of an unknown user."""


class DataError(FdrnnError, ValueError):
    """A data file that cannot be read as what it should be."""


class CacheError(FdrnnError, OSError):
    """The cache directory cannot be created or written."""


class FetchError(FdrnnError, ConnectionError):
    """A data file that no mirror delivered intact."""


def error_line(error: BaseException) -> str:
    """Return an exception's type and the first line of its message: Theano's take a page."""
    lines = (line.strip() for line in str(error).splitlines())
    first = next(filter(None, lines), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
