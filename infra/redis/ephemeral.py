"""Messages that nobody records go to the listeners of all gateways by way of Redis, which keeps none of them."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import orjson
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from projections.operations import DEGRADED, OK
from read_api.edge.ephemeral import Ephemeral, Hearing, LocalEphemerals
from schemas.envelope import StreamId, TenantId

_LOG = logging.getLogger(__name__)

_TIMEOUT_S = 0.2
_LISTEN_S = 0.5
_AGAIN_S = 1.0


class RedisEphemerals:
    """Carries messages to the listeners of every gateway with this Redis and prefix.

    Shape: while it does not answer, they reach the listeners of their own gateway, and `health` says so.
    """

    waits = True

    def __init__(self, url: str, prefix: str) -> None:
        """Shape: the address is one that RedisRateLimiter has taken; nothing is asked before the thread begins."""
        # one try each: a message that comes late is of no use
        self._redis = Redis.from_url(
            url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        )
        self._name = uuid4().hex
        self._channel = f"{prefix}:ephemeral"
        self._here = LocalEphemerals()
        self._errors = {"publish": "", "listen": ""}
        self._stopping = Event()
        self._thread = Thread(target=self._follow, name="ephemerals", daemon=True)
        self._thread.start()

    @property
    def health(self) -> str:
        """Return "ok", or that messages reach the listeners of this gateway alone, and why."""
        error = next(filter(None, self._errors.values()), "")
        return f"{DEGRADED}: live messages stay in this gateway, Redis does not answer: {error}" if error else OK

    def publish(self, message: Ephemeral) -> None:
        self._here.publish(message)
        said = orjson.dumps({"from": self._name, **message._asdict()})
        try:
            self._redis.publish(self._channel, said)
        except RedisError as error:
            self._failed("publish", error)
        else:
            self._errors["publish"] = ""

    def listen(self, tenant_id: TenantId, hearing: Hearing) -> Callable[[], None]:
        return self._here.listen(tenant_id, hearing)

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._redis.close()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            try:
                self._hear()
            except RedisError as error:
                self._failed("listen", error)
                self._stopping.wait(_AGAIN_S)

    def _hear(self) -> None:
        with self._redis.pubsub(ignore_subscribe_messages=True) as heard:  # type: ignore[no-untyped-call]
            heard.subscribe(self._channel)
            while not self._stopping.is_set():
                told = heard.get_message(timeout=_LISTEN_S)
                self._errors["listen"] = ""
                if told is not None:
                    self._take(told["data"])

    def _take(self, told: bytes) -> None:
        try:
            said = orjson.loads(told)
            message = None if said["from"] == self._name else _message(said)
        except (ValueError, KeyError, TypeError):
            _LOG.warning("a message in the channel %s is none of a gateway", self._channel)
            return
        if message is not None:
            self._here.publish(message)

    def _failed(self, doing: str, error: RedisError) -> None:
        if not self._errors[doing]:
            _LOG.warning("live messages stay in this gateway, because Redis does not answer: %s", error)
        self._errors[doing] = type(error).__name__


def _message(said: Mapping[str, Any]) -> Ephemeral:
    """Return what another gateway published. Raises: KeyError; ValueError; TypeError."""
    return Ephemeral(
        TenantId(said["tenant_id"]),
        said["type"],
        tuple(StreamId(stream) for stream in said["streams"]),
        datetime.fromisoformat(said["at"]),
        dict(said["data"]),
        said["resource"],
        bool(said["personal"]),
    )
