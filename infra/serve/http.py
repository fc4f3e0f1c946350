"""Both profiles serve their application with this."""

import socket

import uvicorn
from fastapi import FastAPI

from read_api.answers import Answers

LONGEST_MESSAGE = 64 * 1024
"""Bytes of what a WebSocket may say at once: who listens, and to what."""


LOOPBACK = "127.0.0.1"


class Server(uvicorn.Server):
    """Ends live streams first: a server waits for its open connections, and they would never close by themselves."""

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

    def handle_exit(self, sig: int, frame: object) -> None:
        self._answers.stop()
        super().handle_exit(sig, frame)  # type: ignore[arg-type]


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
