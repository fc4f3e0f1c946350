"""The client of a factline server: commands, facts, reads and the live feed, blocking or with `async`.

    from factline.client import Client

    with Client("http://127.0.0.1:8080", "ak_….sk_…") as factline:
        reply = factline.command("fleet", "RegisterDevice", {"device_id": "web-1", "hostname": "web-1.example"})
        for device in factline.rows("/v1/devices", consistent_with=reply.token):
            print(device["hostname"])

It needs `httpx` alone, and imports nothing of the server.
"""

from factline.client.answers import LiveMessage, LiveRecord, Outcome, Reply, Taken
from factline.client.asynchronous import AsyncClient
from factline.client.blocking import Client
from factline.client.errors import (
    ClientError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    ServerGone,
    ServerRefused,
    TooManyRequests,
    Unauthenticated,
)
from factline.client.trying import PATIENCE_S

__all__ = [
    "PATIENCE_S",
    "AsyncClient",
    "Client",
    "ClientError",
    "Conflict",
    "Expired",
    "Forbidden",
    "Invalid",
    "LiveMessage",
    "LiveRecord",
    "NotFound",
    "Outcome",
    "Reply",
    "ServerGone",
    "ServerRefused",
    "Taken",
    "TooManyRequests",
    "Unauthenticated",
]
