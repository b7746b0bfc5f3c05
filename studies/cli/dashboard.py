"""``fdrnn dashboard``: optuna-dashboard on a store.

Nothing here writes to the store, so that a PostgreSQL role that may only SELECT is enough. With
one, or with a SQLite file that cannot be written, whatever would change a study is refused
before it reaches optuna-dashboard, which would log a traceback.
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

from fdrnn.search import default_storage_url, open_store
from fdrnn.search.database import Database
from fdrnn.search.mirror import open_mirror
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


def _reading_only(application: WSGIApplication) -> WSGIApplication:
    def refuse(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in {"GET", "HEAD"}:
            return application(environ, start_response)
        # A request closed with a part unread would take the answer with it.
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        answer = json.dumps({"reason": "this dashboard may read the store, not change it"}).encode()
        start_response(
            "403 Forbidden",
            [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))],
        )
        return [answer]

    return refuse
