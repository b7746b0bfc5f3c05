"""``fdrnn dashboard``: optuna-dashboard on a store.

Without ``--writable`` nothing is written, so that a PostgreSQL role that may only SELECT is enough.
Requests are checked before they reach optuna-dashboard, which would log a traceback: those that
would change a study, those for another host (a page whose name is rebound to this address could
send them), malformed ones, and all while the database is unavailable.
"""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import typer
from optuna_dashboard import wsgi

from fdrnn.search import StoreError, open_store
from fdrnn.search.mirror.optuna_tables import may_change_mirror, open_mirror
from fdrnn.search.store.database import Database
from fdrnn.studies.cli.interrupts import remembered_interrupts
from fdrnn.studies.cli.options import Storage, commands, number, option
from fdrnn.studies.errors import DashboardError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_LARGEST_BODY = 2**20
_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _ServerOfIpv6(_Server):
    address_family = socket.AF_INET6


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Print nothing for a request."""


app = commands()


@app.command()
def dashboard(
    hosts: Annotated[
        list[str],
        option(
            "--host",
            default=("127.0.0.1",),
            metavar="HOST",
            help="Address to serve on. Given again: another name by which browsers may call it.",
        ),
    ],
    port: Annotated[
        int, number(least=0, most=65_535, default=8080, help="Port to serve on; 0 for a free one.")
    ],
    writable: Annotated[
        bool,
        option("--writable", default=False, help="Let the page change studies and their notes."),
    ],
    storage: Storage,
) -> None:
    """Serve optuna-dashboard on the store: live curves in a web browser.

    It has no authentication. It serves this machine alone unless --host says otherwise, and only
    reads the store unless --writable is given.
    """
    host = hosts[0]
    if not host:
        raise DashboardError("--host must be an address; 0.0.0.0 serves on all of the machine's")
    store = open_store(storage)
    if not store.study_names():
        raise DashboardError(
            f"store {store.shown} holds no study to show; `fdrnn run STUDY` or "
            "`fdrnn study create STUDY` makes one"
        )
    application: WSGIApplication = wsgi(open_mirror(store.database))
    if writable and not may_change_mirror(store.database):
        raise DashboardError(
            f"store {store.shown} cannot be written by this user: leave out --writable"
        )
    if store.database.file is None:
        application = _reporting_outages(application, store.database)
    names = {*_LOOPBACK, *map(str.lower, hosts), socket.gethostname().lower()}
    application = _guarded(application, names, writable)
    if host not in _LOOPBACK:
        can = "read, change and delete" if writable else "read"
        typer.echo(
            "fdrnn: warning: the dashboard has no authentication; whoever reaches "
            f"{host} on this network can {can} studies",
            err=True,
        )
    try:
        kind = _ServerOfIpv6 if ":" in host else _Server
        server = make_server(host, port, application, kind, _QuietHandler)
    except OSError as error:
        raise DashboardError(
            f"cannot serve on {host} port {port}: {error.strerror}; choose another --host or --port"
        ) from error
    ends = (signal.SIGINT, signal.SIGTERM)
    address = f"http://{f'[{host}]' if ':' in host else host}:{server.server_port}/"
    with suppress(KeyboardInterrupt), server, remembered_interrupts(*ends):
        typer.echo(f"Dashboard of store {store.shown}: {address} (Ctrl-C ends it)", err=True)
        server.serve_forever()


def _reporting_outages(application: WSGIApplication, database: Database) -> WSGIApplication:
    unavailable = False

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        nonlocal unavailable
        if environ["PATH_INFO"].startswith("/api/"):
            try:
                database.require_available()
            except StoreError as error:
                # Once for an outage: the page sends requests all the time.
                if not unavailable:
                    typer.echo(f"fdrnn: {error}", err=True)
                unavailable = True
                return _refuse(environ, start_response, "503 Service Unavailable", str(error))
            unavailable = False
        return application(environ, start_response)

    return answer


def _guarded(application: WSGIApplication, names: set[str], writable: bool) -> WSGIApplication:
    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        refusal = _refusal(environ, names, writable)
        if refusal is None:
            return application(environ, start_response)
        return _refuse(environ, start_response, *refusal)

    return answer


def _refusal(environ: WSGIEnvironment, names: set[str], writable: bool) -> tuple[str, str] | None:
    """Return the status and the reason with which a request is refused; None if it is not."""
    host = environ.get("HTTP_HOST", "")
    name = (urlsplit(f"//{host}").hostname or "") if _HOST.fullmatch(host) else ""
    changes = environ["REQUEST_METHOD"] not in {"GET", "HEAD"}
    path = environ["PATH_INFO"]
    rules = (
        (
            # A page on another site can rebind its own name to this address, but not an address.
            name not in names and not _is_address(name),
            "403 Forbidden",
            "this dashboard has another name; `fdrnn dashboard --host` adds names",
        ),
        (
            not (environ.get("CONTENT_LENGTH") or "0").isdecimal(),
            "400 Bad Request",
            "Content-Length must be a number",
        ),
        (".." in path.split("/") or "\0" in path, "404 Not Found", "there is no such page"),
        (
            changes and not writable,
            "403 Forbidden",
            "this dashboard can only read the store; --writable changes that",
        ),
        (
            changes and environ.get("HTTP_ORIGIN", f"http://{host}") != f"http://{host}",
            "403 Forbidden",
            "a page of another site cannot change the store",
        ),
    )
    return next(((status, reason) for refused, status, reason in rules if refused), None)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _refuse(
    environ: WSGIEnvironment, start_response: StartResponse, status: str, reason: str
) -> Iterable[bytes]:
    # Closing a request with a part unread would lose the answer.
    length = environ.get("CONTENT_LENGTH") or "0"
    environ["wsgi.input"].read(min(int(length), _LARGEST_BODY) if length.isdecimal() else 0)
    answer = json.dumps({"reason": reason}).encode()
    start_response(
        status, [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
    )
    return [answer]
