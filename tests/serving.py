"""Tests serve an application on a free port of the loopback here, and do not wait longer than it takes to stop it."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import uvicorn

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For `verify` of clients: to read the authorities that a machine trusts takes longer than most tests."""

_LOOKS_EVERY_S = 0.005


class Prompt(uvicorn.Server):
    """Stops at once: uvicorn looks every 0.1 s, which is most of the time of a thousand short tests."""

    async def main_loop(self) -> None:
        # it also sets the headers that every answer has
        await self.on_tick(0)
        while not self.should_exit:  # noqa: ASYNC110 - another thread sets it, as it does for uvicorn
            await asyncio.sleep(_LOOKS_EVERY_S)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        for _ in range(20):
            if not self.server_state.connections and not self.server_state.tasks:
                break
            await asyncio.sleep(_LOOKS_EVERY_S)
        await asyncio.wait_for(self._wait_tasks_to_complete(), self.config.timeout_graceful_shutdown)
        await self.lifespan.shutdown()


@contextmanager
def address_of(server: uvicorn.Server) -> Iterator[str]:
    """Run the server in a thread and give where it answers."""
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it every answer takes 40 ms longer
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                thread.join(_LOOKS_EVERY_S)
                assert thread.is_alive()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def port_of(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Run a small web server in threads, which says nothing of requests, and give where it answers."""
    quiet = type("Quiet", (handler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), quiet)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
