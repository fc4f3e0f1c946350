"""A test can cut this line to an engine, as an outage of the network would."""

import selectors
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from types import TracebackType
from typing import Any, Self

_CHUNK = 1 << 16


class Line:
    """Passes on what arrives at a port of its own to an engine's. One thread, until it is closed."""

    def __init__(self, engine_port: int) -> None:
        self._engine_port = engine_port
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """End all connections and refuse new ones for the length of a `with`."""
        self._stop()
        try:
            yield
        finally:
            self._listener = self._listen(self.port)
            self._start()

    @staticmethod
    def _listen(port: int) -> socket.socket:
        return socket.create_server(("127.0.0.1", port), backlog=64)

    def _start(self) -> None:
        self._wake, self._woken = socket.socketpair()
        self._thread = Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def _stop(self) -> None:
        self._wake.send(b"x")
        self._thread.join()
        self._wake.close()

    def _pass_on(self) -> None:
        peers: dict[socket.socket, socket.socket] = {}
        with selectors.DefaultSelector() as selector, self._woken, self._listener:
            for one in (self._woken, self._listener):
                selector.register(one, selectors.EVENT_READ)
            try:
                while True:
                    for key, _ in selector.select():
                        end: Any = key.fileobj
                        if end is self._woken:
                            return
                        if end is self._listener:
                            self._accept(selector, peers)
                        elif end in peers and not self._moved(end, peers[end]):
                            for side in (end, peers[end]):
                                selector.unregister(side)
                                del peers[side]
                                side.close()
            finally:
                for side in peers:
                    side.close()

    def _accept(self, selector: selectors.BaseSelector, peers: dict[socket.socket, socket.socket]) -> None:
        client, _ = self._listener.accept()
        try:
            engine = socket.create_connection(("127.0.0.1", self._engine_port))
        except OSError:
            client.close()
            return
        peers[client], peers[engine] = engine, client
        for side in (client, engine):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(side, selectors.EVENT_READ)

    @staticmethod
    def _moved(source: socket.socket, target: socket.socket) -> bool:
        with suppress(OSError):
            data = source.recv(_CHUNK)
            target.sendall(data)
            return bool(data)
        return False
