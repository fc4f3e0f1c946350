"""All gateways count requests together, in Redis."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from infra.settings import BadSettings
from projections.operations import DEGRADED, OK
from read_api.edge.rates import Counted, Left, Window

_LOG = logging.getLogger(__name__)

_TIMEOUT_S = 0.2
# how long nobody asks a Redis that did not answer: each request would wait in vain
_LEFT_ALONE_S = 1.0

_COUNT = """
local amount, done = tonumber(ARGV[1]), ARGV[2] == '1'
local allowed = 1
for i, name in ipairs(KEYS) do
  if not done and tonumber(redis.call('GET', name) or '0') + amount > tonumber(ARGV[2 * i + 1]) then
    allowed = 0
  end
end
local said = {allowed}
for i, name in ipairs(KEYS) do
  if allowed == 1 and amount > 0 then
    if redis.call('INCRBY', name, amount) == amount then
      redis.call('EXPIRE', name, ARGV[2 * i + 2])
    end
  end
  said[2 * i] = tonumber(redis.call('GET', name) or '0')
  said[2 * i + 1] = math.max(redis.call('PTTL', name), 0)
end
return said
"""
"""Looks at all windows and counts in them in one step and one journey.

Source: the script `incr_expire` of the library `limits`, which does it for one window at a time.
"""


class RedisRateLimiter:
    """Counts what comes to all processes with this Redis.

    Shape: while it does not answer, nothing is limited, and `health` says so.
    """

    waits = True

    def __init__(self, url: str, prefix: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises: BadSettings, the address is none; nothing is asked before somebody counts."""
        try:
            self.redis = Redis.from_url(
                url,
                socket_timeout=_TIMEOUT_S,
                socket_connect_timeout=_TIMEOUT_S,
                # one try: the request that is being counted waits for it
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as error:
            raise BadSettings(f"FACTLINE_REDIS_URL: {error}") from error
        self._prefix = prefix
        self._script = self.redis.register_script(_COUNT)
        self._clock = clock
        self._again_at = 0.0
        self._error = ""

    @property
    def health(self) -> str:
        """Return "ok", or that requests pass without being counted, and why. It is asked if it answers by now."""
        self.count(())
        return f"{DEGRADED}: requests are not limited, Redis does not answer: {self._error}" if self._error else OK

    def count(self, windows: Sequence[Window], amount: int = 1, *, done: bool = False) -> Counted | None:
        if self._clock() < self._again_at:
            return None
        names = [f"{self._prefix}:requests:{window.whose}:{window.name}" for window in windows]
        values = [amount, int(done), *(value for window in windows for value in (window.most, window.seconds))]
        try:
            said: list[Any] = self._script(keys=names, args=values)
        except RedisError as error:
            if not self._error:
                _LOG.warning("requests are not limited, because Redis does not answer: %s", error)
            self._error = type(error).__name__
            self._again_at = self._clock() + _LEFT_ALONE_S
            return None
        if self._error:
            _LOG.warning("requests are limited again")
            self._error = ""
        left = [
            Left(max(0, window.most - used), ends_ms / 1_000)
            for window, used, ends_ms in zip(windows, said[1::2], said[2::2], strict=True)
        ]
        return Counted(bool(said[0]), left)

    def close(self) -> None:
        self.redis.close()
