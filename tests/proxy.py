"""A server in front of another, whose connections may fall silent, be cut or be slow."""

from __future__ import annotations

import contextlib
import socket
import threading
import time


class Proxy:
    """A relay of TCP connections to a port of this machine.

    Parameters
    ----------
    port
        Of the server behind it.

    Attributes
    ----------
    port
        Where it listens.
    delay_s
        Seconds for which it keeps what it relays.
    """

    def __init__(self, port: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.behind = port
        self.delay_s = 0.0
        self.silent: set[socket.socket] = set()
        self.clients: list[socket.socket] = []
        self.silences_new = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.clients.append(client)
                if self.silences_new:
                    self.silent.add(client)
                server = socket.create_connection(("127.0.0.1", self.behind))
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._relay, args=(client, *ends), daemon=True).start()

    def _relay(self, client: socket.socket, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                time.sleep(self.delay_s)
                while client in self.silent:
                    time.sleep(0.01)
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)

    def fall_silent(self, *, new: bool) -> None:
        """Relay nothing more of the connections that there are and, if asked, of new ones."""
        self.silent |= set(self.clients)
        self.silences_new = new

    def speak(self) -> None:
        """Relay everything again."""
        self.silences_new = False
        self.silent.clear()

    def cut(self) -> None:
        """End all connections that there are."""
        clients, self.clients = self.clients, []
        for client in clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Relay everything, and listen no more."""
        self.speak()
        self.listener.close()
