"""Both profiles serve their application with this."""

import socket

import uvicorn
from fastapi import FastAPI

from read_api.answers import Answers
from streams.intake.http.importing import Imports

LONGEST_MESSAGE = 64 * 1024
"""Bytes of what a WebSocket may say at once: who listens, and to what."""


LOOPBACK = "127.0.0.1"


class Server(uvicorn.Server):
    """Ends live streams and imports first: a server waits for its open connections, and they would not close soon."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=10,
                ws="websockets-sansio",
                ws_max_size=LONGEST_MESSAGE,
                # it costs each connection memory and the event loop time, whatever a client wants
                ws_per_message_deflate=False,
            )
        )
        self._answers: Answers = app.state.answers
        # an application that only answers has none
        self._imports: Imports | None = getattr(app.state, "imports", None)

    def handle_exit(self, sig: int, frame: object) -> None:
        self._end_long_answers()
        super().handle_exit(sig, frame)  # type: ignore[arg-type]

    def stop(self) -> None:
        """Take no more requests, and let `run` return; safe in any thread."""
        self._end_long_answers()
        self.should_exit = True

    def _end_long_answers(self) -> None:
        self._answers.stop()
        if self._imports is not None:
            self._imports.stop()


def listen(port: int, host: str = LOOPBACK) -> socket.socket:
    # the protocol named, or asyncio leaves Nagle's algorithm on and every answer waits 40 ms
    sock = socket.socket(proto=socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        # from now on a caller waits for the start instead of being refused
        sock.listen(1024)
    except OSError as error:
        sock.close()
        raise OSError(f"port {port} cannot be used: {error.strerror}; choose another with --port or PORT") from error
    return sock
