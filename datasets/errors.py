"""The base of all errors, the errors of data sets and files, and values in messages.

`FdrnnError` is in the lowest package so that every other package can import it. A mistake of
the user, or a failure of the environment such as a damaged file or a lost network, is raised
as one of its subclasses. The message is one line that names the rule, the value and the way
out; the command line prints it and exits with code 2. Each subclass is also the builtin in
parentheses.

    FdrnnError
    +-- UnknownNameError (LookupError)        a data set, study or trial that does not exist
    +-- PathError (ValueError)                a text that is not a valid path
    +-- FileError (OSError)                   a file that cannot be read or written
    |   +-- MissingFileError (FileNotFoundError)  a file or folder that does not exist
    |   +-- CacheError                        a cache directory that cannot be written
    +-- DataError (ValueError)                a data file that is damaged or breaks a rule
    +-- FetchError (ConnectionError)          a file that no mirror delivered intact
"""

from __future__ import annotations

import difflib
import math
import reprlib
from collections.abc import Iterable
from typing import ClassVar

MESSAGE_LIMIT = 2000
"""Characters of the longest message."""


class FdrnnError(Exception):
    """Base of every error that a user of fdrnn can cause or fix.

    Its text is one line of at most `MESSAGE_LIMIT` characters, without control characters,
    whatever the message was made of.

    Attributes
    ----------
    exit_code
        With which the command line ends.
    """

    exit_code: ClassVar[int] = 2

    def __str__(self) -> str:
        return one_line(super().__str__())


class UnknownNameError(FdrnnError, LookupError):
    """A name that is not among the known ones.

    Parameters
    ----------
    kind
        What the name should be, for example ``"data set"``.
    name
        The name received.
    known
        The names that exist. The nearest is suggested; if none is near, all are listed.
    hint
        Another way out, appended to the line.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        nearest = difflib.get_close_matches(name, names, n=1)
        if nearest:
            guess = f"; did you mean {shown(nearest[0])}?"
        else:
            guess = f" (known: {', '.join(names)})" if names else ""
        super().__init__(f"unknown {kind} {shown(name)}{guess}{'; ' + hint if hint else ''}")


class PathError(FdrnnError, ValueError):
    """A text that is not a valid path, such as the home folder of an unknown user."""


class FileError(FdrnnError, OSError):
    """A file that cannot be read or written."""


class MissingFileError(FileError, FileNotFoundError):
    """A file or folder that the user named and that does not exist."""


class CacheError(FileError):
    """The cache directory cannot be created or written."""


class DataError(FdrnnError, ValueError):
    """A data file that cannot be read, is damaged or breaks a rule of its format."""


class FetchError(FdrnnError, ConnectionError):
    """A data file that no mirror delivered intact."""


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return the end of a message that suggests the nearest of some names, empty if none is near.

    Examples
    --------
    >>> did_you_mean("frist", ["first", "rungs"])
    '; did you mean first?'
    """
    nearest = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


class _Renderer(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxother = 80

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write integers of more than 4,300 digits.
        if x.bit_length() > 128:
            return f"an integer of about {int(x.bit_length() * math.log10(2)) + 1} digits"
        return repr(x)

    def repr_bytes(self, x: bytes, level: int) -> str:
        return repr(x) if len(x) <= self.maxstring else f"{x[: self.maxstring]!r}..."


def shown(value: object, limit: int = 120) -> str:
    """Return a value of unknown origin as text for a message.

    Parameters
    ----------
    value
        Anything: a nested list, an integer of any size, a text with control characters.
    limit
        Characters of the longest result.

    Returns
    -------
    str
        Its ``repr``, shortened, with control characters escaped. Never raises.

    Examples
    --------
    >>> shown("x" * 1000, limit=20)
    "'xxxxxxx...xxxxxxx'"
    >>> shown(10**5000)
    'an integer of about 5001 digits'
    """
    try:
        text = _Renderer().repr(value)
    except Exception:  # the value's own code may raise anything
        text = f"a value of type {type(value).__name__}"
    return one_line(text, limit)


def one_line(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Return a text of unknown origin as one line without control characters.

    Parameters
    ----------
    text
        Any text.
    limit
        Characters of the longest result; a longer text loses its middle.
    """
    if len(text) > limit:
        kept = (limit - 3) // 2
        text = f"{text[:kept]}...{text[-kept:]}"
    if text.isprintable():
        return text
    escaped = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return escaped if len(escaped) <= limit else one_line(escaped, limit)


def error_line(error: BaseException) -> str:
    """Return an exception's type and the first line of its message (Theano's take a page)."""
    lines = (line.strip() for line in str(error).splitlines())
    first = one_line(next(filter(None, lines), ""))
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
