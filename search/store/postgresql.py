"""Connections to PostgreSQL, with what notices a peer that is lost or a server that hangs.

Both sides notice a lost peer within `SILENCE_S` by TCP's keepalives and timeouts, and a server ends
an idle transaction, so that a stopped process keeps no row locked. A server that hangs keeps its
connections open and answers nothing. After `ANSWER_S` without a byte of an answer a connection of
`Connection` therefore opens another one: where the server accepts it, or refuses it because it has
no free one for example, the server is slow and is waited for, up to `LONGEST_S`; where it does
neither, the connection is closed and its statement fails, as if the server had gone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from typing import Any

import psycopg
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

CONNECT_S = 10
"""Seconds within which a connection is open."""

SILENCE_S = 20
"""Seconds after which a peer that acknowledges nothing counts as lost."""

ANSWER_S = 6.0
"""Seconds without an answer after which the server is tried by another connection."""

LONGEST_S = 300.0
"""Seconds that a server which answers another connection may need for the next byte."""

_TRY_S = 4
_IDLE_TRANSACTION_S = 30
# Between severity and message of an error that the server sent, such as "FATAL:  sorry, too many
# clients already", libpq writes two spaces in every language; its own errors have none.
# `PGconn.ping` would tell them apart too, but holds the interpreter's lock, which stops training.
_SEVERITY_END = ":  "


class Connection(psycopg.Connection[Any]):
    """A connection of psycopg that fails where its server hangs.

    Attributes
    ----------
    arguments
        Of `psycopg.connect`, with which it was opened; they may hold a password.
    """

    arguments: dict[str, Any]

    @classmethod
    def open(cls, arguments: dict[str, Any]) -> Connection:
        """Open a connection.

        Parameters
        ----------
        arguments
            Of `psycopg.connect`.
        """
        connection = cls.connect(**arguments)
        connection.arguments = arguments
        return connection

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
        """Run an operation of psycopg, which yields while it waits for the server."""
        return super().wait(self._answered(gen), *args, **kwargs)

    def _answered(self, operation: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Pass on what an operation yields, and end it when the server has hung."""
        heard_at = tried_at = time.monotonic()
        try:
            wanted = next(operation)
            while True:
                # Zero at intervals of psycopg, otherwise which of reading and writing is possible.
                ready = yield wanted
                now = time.monotonic()
                if ready:
                    heard_at = tried_at = now
                elif now - tried_at >= ANSWER_S:
                    if now - heard_at >= LONGEST_S or not self._server_answers():
                        self.close()
                        raise psycopg.OperationalError(
                            f"the server has not answered for {time.monotonic() - heard_at:.0f} s"
                        )
                    tried_at = time.monotonic()
                wanted = operation.send(ready)
        except StopIteration as end:
            return end.value

    def _server_answers(self) -> bool:
        try:
            psycopg.connect(**self.arguments | {"connect_timeout": _TRY_S}).close()
        except psycopg.OperationalError as error:
            return _SEVERITY_END in str(error)
        return True


def engine_options(url: URL) -> dict[str, Any]:
    """Return options of an engine that keeps no connection between two uses.

    Parameters
    ----------
    url
        Of a PostgreSQL database. What its query or libpq's environment sets is kept.
    """
    arguments = _arguments(url)
    dialect = url.get_dialect()()
    if dialect.driver != "psycopg":
        return {"poolclass": NullPool, "connect_args": arguments}
    arguments = {**dialect.create_connect_args(url)[1], **arguments}
    return {"poolclass": NullPool, "creator": lambda: Connection.open(arguments)}


def _arguments(url: URL) -> dict[str, Any]:
    interval_s = SILENCE_S // 4
    # The client's side of a connection; the server's is below.
    arguments = {
        "connect_timeout": CONNECT_S,
        "keepalives_idle": 2 * interval_s,
        "keepalives_interval": interval_s,
        "keepalives_count": 2,
        "tcp_user_timeout": 1000 * SILENCE_S,
        "fallback_application_name": "fdrnn",
    }
    settings = {
        "idle_in_transaction_session_timeout": f"{_IDLE_TRANSACTION_S}s",
        "tcp_keepalives_idle": 2 * interval_s,
        "tcp_keepalives_interval": interval_s,
        "tcp_keepalives_count": 2,
        "tcp_user_timeout": 1000 * SILENCE_S,
    }
    defaults = " ".join(f"-c {name}={value}" for name, value in settings.items())
    # Of two options of one name the server uses the later one.
    own = " ".join(url.normalized_query.get("options", [os.environ.get("PGOPTIONS", "")]))
    return {
        **{name: value for name, value in arguments.items() if name not in url.query},
        "options": f"{defaults} {own}".strip(),
    }
