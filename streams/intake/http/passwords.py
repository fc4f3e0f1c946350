"""Passwords are hashed slowly here, a few at a time, and whoever guesses them has to wait."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from math import ceil
from typing import NamedTuple, TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher

from read_api.edge.problems import Problem

T = TypeVar("T")

_THREADS = 2
_MAX_WAITING = 20

_FREE_TRIES = 5
_LONGEST_WAIT_S = 60.0
_FORGOTTEN_S = 900.0
_REMEMBERED = 10_000


class Passwords:
    """Hashes passwords with Argon2id. Shape: each hash takes 64 MiB, so there are few at a time, each with a `place`.

    Source: RFC 9106, section 4, the second recommended option, which is the default of argon2-cffi.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHash((Argon2Hasher(),))
        self._threads = ThreadPoolExecutor(_THREADS, "passwords")
        self._waiting = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place among those who wait for a hash. Raises: Problem (503), there is none."""
        if self._waiting >= _MAX_WAITING:
            raise Problem(503, "too many sign in at this moment; try again", retry_after_s=1)
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def hash(self, password: str) -> str:
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, password: str, hash_: str | None) -> bool:
        """Tell if a password is the one of a hash; where there is none, take as long to say no."""
        return await self._run(lambda: self._is_right(password, hash_ or self._of_nobody) and hash_ is not None)

    def _is_right(self, password: str, hash_: str) -> bool:
        try:
            return self._hasher.verify(password, hash_)
        except PwdlibError:
            return False

    @cached_property
    def _of_nobody(self) -> str:
        return self._hasher.hash(secrets.token_hex())

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


class _Tries(NamedTuple):
    number: int
    last_at: float

    @property
    def next_at(self) -> float:
        over = self.number - _FREE_TRIES
        return self.last_at + (min(2.0**over, _LONGEST_WAIT_S) if over >= 0 else 0.0)


class SlowDown:
    """Lets nobody try many passwords of one user, whether there is such a user or not."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tries: dict[tuple[str, str], _Tries] = {}

    def try_once(self, who: tuple[str, str]) -> None:
        """Count a try before it is known how it ends, so that a thousand at once are no thousand tries.

        Raises: Problem (429), it is too early for another one; this one does not count.
        """
        now = self._clock()
        tries = self._tries.pop(who, _Tries(0, now))
        if now - tries.last_at > _FORGOTTEN_S:
            tries = _Tries(0, now)
        if now < tries.next_at:
            self._tries[who] = tries
            left = ceil(tries.next_at - now)
            raise Problem(429, "too many tries with a wrong password; wait", retry_after_s=left)
        if len(self._tries) >= _REMEMBERED:
            # the oldest is first, because each one is put in again at the end
            del self._tries[next(iter(self._tries))]
        self._tries[who] = _Tries(tries.number + 1, now)

    def succeeded(self, who: tuple[str, str]) -> None:
        self._tries.pop(who, None)
