"""Which store a command is given: a URL without a secret, or the file that holds the URL.

Everybody on a machine can read a command line, so a password on it is refused.
"""

from __future__ import annotations

import typer

from fdrnn.datasets import user_path
from fdrnn.search.store.database import holds_secret
from fdrnn.studies.cli.options import on_command_line
from fdrnn.studies.errors import OptionError

_FILE = "@"


def storage_url(context: typer.Context, parameter: typer.CallbackParam, value: str) -> str:
    """Return the URL that ``--storage`` or ``FDRNN_STORAGE`` names.

    Parameters
    ----------
    context, parameter
        Where the value was found.
    value
        A URL, the path of a SQLite file, or ``@`` and the path of a file that holds a URL.

    Returns
    -------
    str
        The URL, which may hold a password unless it stood on the command line.

    Raises
    ------
    OptionError
        If there is a password on the command line, or the file cannot be read or holds no URL.
    StoreError
        If the URL on the command line cannot be read.
    """
    if value.startswith(_FILE):
        return _url_of_file(value.removeprefix(_FILE))
    if on_command_line(context, parameter.name or "") and holds_secret(value):
        raise OptionError(
            "--storage must hold no password, because every user of this machine can read a "
            "command line; put the URL in FDRNN_STORAGE or in a file (--storage @FILE), or the "
            "password in ~/.pgpass"
        )
    return value


def _url_of_file(name: str) -> str:
    if "://" in name:
        # It may hold a password, so it is not told.
        raise OptionError(
            "@ stands before the path of a file that holds the store's URL: leave it out before "
            "the URL itself"
        )
    path = user_path(name)
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise OptionError(
            f"cannot read the store's URL from {path}: {reason}; check --storage or FDRNN_STORAGE"
        ) from error
    # What stands there may be a password, so it is not told.
    if "://" not in text or len(text.split()) > 1:
        raise OptionError(
            f"{path} must hold the store's URL and nothing else, for example "
            "postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    return text
