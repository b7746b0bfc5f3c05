"""``fdrnn dashboard``: optuna-dashboard on a store.

Nothing here writes to the store, so that a PostgreSQL role that may only SELECT is enough. With
one, or with a SQLite file that cannot be written, whatever would change a study is refused
before it reaches optuna-dashboard, which would log a traceback; so is whatever is asked while a
server is away.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import sqlalchemy as sa
import typer
from optuna_dashboard import wsgi

from fdrnn.search import StoreError, default_storage_url, open_store
from fdrnn.search.mirror.optuna_tables import open_mirror
from fdrnn.search.store.database import Database
from fdrnn.studies.errors import DashboardError, OptionError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_LOOPBACK = {"127.0.0.1", "localhost"}


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Print no line per request."""


def serve(host: str, port: int, storage: str | None) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    host, port
        Address; port 0 takes a free one.
    storage
        URL of the store; None for the default.

    Raises
    ------
    OptionError
        If `port` is none.
    DashboardError
        If the store holds no study, or the address cannot be served on.
    """
    if not 0 <= port <= 65535:
        raise OptionError(f"--port must be in 0 .. 65535, got {port}")
    store = open_store(storage or default_storage_url())
    if not store.study_names():
        raise DashboardError(
            f"store {store.database.shown} holds no study to show; `fdrnn run STUDY` or "
            "`fdrnn study create STUDY` makes one"
        )
    application: WSGIApplication = wsgi(open_mirror(store.database))
    writable = _may_write(store.database)
    if not writable:
        application = _reading_only(application)
    if store.database.file is None:
        application = _telling_outages(application, store.database)
    if host not in _LOOPBACK:
        can = "read, change and delete" if writable else "read"
        typer.echo(
            "fdrnn: warning: the dashboard has no authentication; whoever reaches "
            f"{host} on this network can {can} studies",
            err=True,
        )
    try:
        server = make_server(host, port, application, _Server, _QuietHandler)
    except OSError as error:
        raise DashboardError(
            f"cannot serve on {host} port {port}: {error.strerror}; choose another --host or --port"
        ) from error
    typer.echo(
        f"Dashboard of store {store.database.shown}: http://{host}:{server.server_port}/ "
        "(Ctrl-C ends it)",
        err=True,
    )
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


def _may_write(database: Database) -> bool:
    if database.file is not None:
        return os.access(database.file, os.W_OK)
    may_write = sa.func.has_table_privilege("trials", "INSERT, UPDATE, DELETE")
    with database.read() as connection:
        return bool(connection.scalar(sa.select(may_write)))


def _telling_outages(application: WSGIApplication, database: Database) -> WSGIApplication:
    away = False

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        nonlocal away
        if environ["PATH_INFO"].startswith("/api/"):
            try:
                with database.read() as connection:
                    connection.execute(sa.select(1))
            except StoreError as error:
                # Once for an outage: the page asks again and again.
                if not away:
                    typer.echo(f"fdrnn: {error}", err=True)
                away = True
                return _refuse(environ, start_response, "503 Service Unavailable", str(error))
            away = False
        return application(environ, start_response)

    return answer


def _reading_only(application: WSGIApplication) -> WSGIApplication:
    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in {"GET", "HEAD"}:
            return application(environ, start_response)
        reason = "this dashboard may read the store, not change it"
        return _refuse(environ, start_response, "403 Forbidden", reason)

    return answer


def _refuse(
    environ: WSGIEnvironment, start_response: StartResponse, status: str, reason: str
) -> Iterable[bytes]:
    # A request closed with a part unread would take the answer with it.
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    answer = json.dumps({"reason": reason}).encode()
    start_response(
        status, [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
    )
    return [answer]
