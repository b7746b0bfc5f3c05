"""``fdrnn dashboard``: optuna-dashboard on a store."""

from __future__ import annotations

from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import typer
from optuna.storages import RDBStorage
from optuna_dashboard import wsgi

from fdrnn.search import default_storage_url, open_store
from fdrnn.studies.errors import DashboardError, OptionError

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


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
    optuna_storage = RDBStorage(
        store.database.url,
        engine_kwargs=store.database.engine_options,
        skip_table_creation=True,
    )
    store.database.prepare(optuna_storage.engine)
    if host not in _LOOPBACK:
        typer.echo(
            "fdrnn: warning: the dashboard has no authentication; whoever reaches "
            f"{host} on this network can read, change and delete studies",
            err=True,
        )
    try:
        server = make_server(host, port, wsgi(optuna_storage), _Server, _QuietHandler)
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
