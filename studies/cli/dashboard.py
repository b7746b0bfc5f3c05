"""``fdrnn dashboard``: optuna-dashboard on a store.

Nothing here writes to the store, so that a PostgreSQL role that may only SELECT is enough. With
one, or with a SQLite file that cannot be written, requests that would change a study are refused
before they reach optuna-dashboard, which would log a traceback; so are requests while the
database is unavailable.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Annotated
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import sqlalchemy as sa
import typer
from optuna_dashboard import wsgi

from fdrnn.search import StoreError, open_store
from fdrnn.search.mirror.optuna_tables import open_mirror
from fdrnn.search.store.database import Database
from fdrnn.studies.cli.options import Storage, commands, number, option
from fdrnn.studies.errors import DashboardError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_LOOPBACK = {"127.0.0.1", "localhost"}


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Print nothing for a request."""


app = commands()


@app.command()
def dashboard(
    host: Annotated[str, option(default="127.0.0.1", help="Address to serve on.")],
    port: Annotated[
        int, number(least=0, most=65_535, default=8080, help="Port to serve on; 0 for a free one.")
    ],
    storage: Storage,
) -> None:
    """Serve optuna-dashboard on the store: live curves in a web browser.

    It has no authentication, and whoever reaches it can change studies, unless the store is
    read-only for this user. It serves this machine alone unless --host says otherwise.
    """
    store = open_store(storage)
    if not store.study_names():
        raise DashboardError(
            f"store {store.database.shown} holds no study to show; `fdrnn run STUDY` or "
            "`fdrnn study create STUDY` makes one"
        )
    application: WSGIApplication = wsgi(open_mirror(store.database))
    writable = _may_write(store.database)
    if not writable:
        application = _read_only(application)
    if store.database.file is None:
        application = _reporting_outages(application, store.database)
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
    with server, suppress(KeyboardInterrupt):
        server.serve_forever()


def _may_write(database: Database) -> bool:
    if database.file is not None:
        return os.access(database.file, os.W_OK)
    may_write = sa.func.has_table_privilege("trials", "INSERT, UPDATE, DELETE")
    with database.read() as connection:
        return bool(connection.scalar(sa.select(may_write)))


def _reporting_outages(application: WSGIApplication, database: Database) -> WSGIApplication:
    unavailable = False

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        nonlocal unavailable
        if environ["PATH_INFO"].startswith("/api/"):
            try:
                with database.read() as connection:
                    connection.execute(sa.select(1))
            except StoreError as error:
                # Once for an outage: the page sends requests all the time.
                if not unavailable:
                    typer.echo(f"fdrnn: {error}", err=True)
                unavailable = True
                return _refuse(environ, start_response, "503 Service Unavailable", str(error))
            unavailable = False
        return application(environ, start_response)

    return answer


def _read_only(application: WSGIApplication) -> WSGIApplication:
    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in {"GET", "HEAD"}:
            return application(environ, start_response)
        reason = "this dashboard can only read the store"
        return _refuse(environ, start_response, "403 Forbidden", reason)

    return answer


def _refuse(
    environ: WSGIEnvironment, start_response: StartResponse, status: str, reason: str
) -> Iterable[bytes]:
    # Closing a request with a part unread would lose the answer.
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    answer = json.dumps({"reason": reason}).encode()
    start_response(
        status, [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
    )
    return [answer]
