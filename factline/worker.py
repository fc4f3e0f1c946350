"""A worker takes tasks of some kinds over HTTP, does them with the functions it was given, and answers.

```python
worker = Worker("http://localhost:8080", "ak_….sk_…")

@worker.task("http.check")
async def check(task: Task) -> object:
    return {"status": (await httpx.AsyncClient().get(task.input["url"])).status_code}

worker.run()
```
"""

import asyncio
import logging
import math
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import httpx

from factline.calling import called
from factline.client import AsyncClient, ClientError, Conflict, Expired, Forbidden, Invalid, NotFound, ServerRefused

_LOG = logging.getLogger(__name__)

_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.5, 30.0
_LAST_WORD_S = 5.0
"""How long a worker that is stopped tries to give back what it did not finish; its lease ends anyway."""

_LONGEST_WAIT_S = 50.0
"""A claim is answered before the client takes the server for gone."""

_LATEST_S = 3_600
_BEATS = 3  # heartbeats in the time that the task allows between two
_OVER = (Invalid, Forbidden, NotFound, Conflict)
_UNSENT_PARTS = 100
_LAST_PARTS_S = 1.0
"""How long a task that is done waits until the parts that it published are sent."""


class Provider(NamedTuple):
    """A service outside, and the secret for it. Shape: `base_url` None is the service's usual address."""

    name: str
    base_url: str | None
    secret: str

    def __repr__(self) -> str:
        return f"Provider({self.name!r}, {self.base_url!r}, …)"


def _to_nobody(_part: Any) -> None:
    return


class Task(NamedTuple):
    """What a function is given: `attempt` counts from 1, `input` is JSON.

    Shape: `provider` is what the input's `provider_key` names, for a worker whose key has the scope secrets:read; None
    where there is none, or the key is not for tasks of this kind. `publish` shows a part of the output, JSON of up to 8
    KiB, to those who listen to the task now: it returns at once, nothing is recorded, and a part may be lost.
    `tenant_id` is whose task it is, as the server says, empty where it is too old to say so. `events` are those that a
    task of the kind `webhook.deliver` sends.
    """

    id: str
    kind: str
    attempt: int
    input: Any
    provider: Provider | None = None
    publish: Callable[[Any], None] = _to_nobody
    tenant_id: str = ""
    events: Any = None


class ModelUse(NamedTuple):
    """Which language model was used for a task, and how much, as its provider counts it."""

    provider: str
    model: str
    input_tokens: int
    output_tokens: int


class Done(NamedTuple):
    """What a function returns that used a model: the output, and the use, which is counted per tenant and model."""

    output: Any
    usage: ModelUse


class Failed(Exception):  # noqa: N818
    """Raise it to fail a task; a retry is made by the server, unless it is said that none helps."""

    def __init__(self, error: str, *, retryable: bool = True) -> None:
        super().__init__(error)
        self.retryable = retryable


class Postponed(Failed):
    """Raise it where an attempt was not made: the task comes again later, and has as many attempts as before."""

    def __init__(self, reason: str, *, retry_after_s: float) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


Handler = Callable[[Task], Any]
H = TypeVar("H", bound=Handler)


class Worker:
    """Does tasks until it is stopped.

    Shape: `concurrency` tasks at a time. A request for tasks waits up to `wait_s`, 50 at most, for one, also when the
    worker is stopped meanwhile; what goes on then may take up to `stop_s`. The key needs the scope `tasks:write`. A
    function that is no coroutine runs in a thread of its own, which nothing can stop before it returns but the end of
    the process. What a function returns is the task's output, in JSON; any exception fails the attempt, and the server
    gives the task again later.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        name: str | None = None,
        concurrency: int = 10,
        wait_s: float = 10.0,
        stop_s: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._name = name or f"{socket.gethostname()}-{os.getpid()}"
        self._handlers: dict[str, Handler] = {}
        self._concurrency = concurrency
        self._wait_s, self._stop_s = min(wait_s, _LONGEST_WAIT_S), stop_s
        self._going: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        # an answer is sent until it is taken; a claim once, because it is heard between two that the worker is stopped
        self._client: Callable[[], AsyncClient] = lambda: AsyncClient(
            url, api_key, patience_s=math.inf, transport=transport
        )

    def task(self, kind: str) -> Callable[[H], H]:
        """Return a decorator: the function does the tasks of this kind."""

        def register(handler: H) -> H:
            self._handlers[kind] = handler
            return handler

        return register

    def run(self) -> None:
        """Work until SIGINT or SIGTERM; what goes on then is finished first."""

        async def until_a_signal() -> None:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.stop)
            await self.work()

        asyncio.run(until_a_signal())

    def stop(self) -> None:
        """Let `work` return when what goes on is done; no more is taken."""
        self._stopping.set()

    async def work(self) -> None:
        """Work until `stop` is called. Raises: ServerRefused, the server gives no tasks to this worker."""
        if not self._handlers:
            raise ValueError("the worker has no function: give it one with @worker.task(kind)")
        async with self._client() as client:
            pause_s = _FIRST_PAUSE_S
            while not self._stopping.is_set():
                if len(self._going) >= self._concurrency:
                    stopped = asyncio.create_task(self._stopping.wait())
                    await asyncio.wait({*self._going, stopped}, return_when=asyncio.FIRST_COMPLETED)
                    stopped.cancel()
                    continue
                try:
                    given = await self._claim(client)
                except _OVER:
                    raise
                except ClientError as error:
                    pause_s = await self._pause(error, pause_s)
                else:
                    pause_s = _FIRST_PAUSE_S
                    for row in given:
                        doing = asyncio.create_task(self._do(client, row))
                        self._going.add(doing)
                        doing.add_done_callback(self._going.discard)
            await self._finish()

    async def _claim(self, client: AsyncClient) -> Sequence[Mapping[str, Any]]:
        wanted = {"kinds": list(self._handlers), "worker": self._name, "wait_s": self._wait_s}
        most = min(100, self._concurrency - len(self._going))
        answer = await client.post("/v1/tasks/claim", {**wanted, "max": most}, patience_s=0)
        rows: Sequence[Mapping[str, Any]] = answer["rows"]
        return rows

    async def _pause(self, error: Exception, pause_s: float) -> float:
        _LOG.warning("no tasks can be claimed now: %s", error)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), pause_s)
        return min(_LAST_PAUSE_S, 2 * pause_s)

    async def _finish(self) -> None:
        if self._going:
            _, late = await asyncio.wait(self._going, timeout=self._stop_s)
            for doing in late:
                doing.cancel()
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*late, return_exceptions=True), _LAST_WORD_S)

    async def _do(self, client: AsyncClient, row: Mapping[str, Any]) -> None:
        parts = _Parts(client, row["task_id"], row["attempt"])
        provider = _provider_of(row.get("provider"))
        task = Task(
            row["task_id"],
            row["kind"],
            row["attempt"],
            row["input"],
            provider,
            parts.publish,
            row.get("tenant_id", ""),
            row.get("events"),
        )
        doing = asyncio.ensure_future(called(self._handlers[task.kind], task))
        beating = asyncio.create_task(self._beat(client, task, row["heartbeat_s"], doing))
        try:
            said = _said(await doing)
            await parts.sent()
            await self._say(client, task, "complete", said)
        except asyncio.CancelledError:
            doing.cancel()
            if self._stopping.is_set():
                await self._say(client, task, "fail", {"error": "the worker was stopped"})
        except Postponed as postponed:
            retry_after_s = min(_LATEST_S, max(1, math.ceil(postponed.retry_after_s)))
            await self._say(client, task, "postpone", {"reason": str(postponed), "retry_after_s": retry_after_s})
        except Failed as failed:
            await self._say(client, task, "fail", {"error": str(failed), "retryable": failed.retryable})
        except Exception as error:  # noqa: BLE001 - what fails in a function fails its task, and nothing else
            _LOG.exception("task %s failed in attempt %d", task.id, task.attempt)
            await self._say(client, task, "fail", {"error": f"{type(error).__name__}: {error}"})
        finally:
            beating.cancel()
            parts.close()

    async def _beat(
        self, client: AsyncClient, task: Task, heartbeat_s: int | None, doing: "asyncio.Future[Any]"
    ) -> None:
        while heartbeat_s is not None:
            await asyncio.sleep(heartbeat_s / _BEATS)
            try:
                await client.post(f"/v1/tasks/{task.id}/heartbeat", {"attempt": task.attempt}, patience_s=0)
            except _OVER as error:
                # somebody else has the next attempt, or the task was cancelled
                _LOG.warning("task %s goes on without this worker: %s", task.id, error)
                doing.cancel()
                return
            except ClientError:
                pass  # the next one may come through

    async def _say(self, client: AsyncClient, task: Task, end: str, said: Mapping[str, Any]) -> None:
        """Give an answer until it is taken, or is of no use any more. Raises: Invalid, it is no output."""
        # under one key, so that an answer that was lost on its way back is not another one
        key = f"{task.id}/{task.attempt}/{end}"[-128:]
        while True:
            try:
                await client.post(f"/v1/tasks/{task.id}/{end}", {"attempt": task.attempt, **said}, idempotency_key=key)
            except Expired:
                # nothing was done: the server had more to do than it could
                await asyncio.sleep(_FIRST_PAUSE_S)
            except ServerRefused as error:
                if end == "complete" and isinstance(error, Invalid):
                    raise
                _LOG.warning("the answer to task %s is of no use: %s", task.id, error)
                return
            else:
                return


class _Parts:
    """Sends the parts of an output in their order while the task goes on; what comes faster than that is dropped."""

    def __init__(self, client: AsyncClient, task_id: str, attempt: int) -> None:
        self._client = client
        self._path, self._attempt = f"/v1/tasks/{task_id}/stream", attempt
        self._loop = asyncio.get_running_loop()
        self._unsent: asyncio.Queue[Any] = asyncio.Queue(_UNSENT_PARTS)
        self._sending: asyncio.Task[None] | None = None
        self._is_over = False

    def publish(self, part: Any) -> None:
        # a function that is no coroutine calls from a thread; after the end of its task the loop may be closed
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._put, part)

    def _put(self, part: Any) -> None:
        if self._is_over:
            # a thread may go on after its task
            return
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        with suppress(asyncio.QueueFull):
            self._unsent.put_nowait(part)

    async def _send(self) -> None:
        is_wanted = True
        while True:
            part = await self._unsent.get()
            try:
                if is_wanted:
                    body = {"attempt": self._attempt, "output": part}
                    await self._client.post(self._path, body, patience_s=0)
            except (Invalid, TypeError, ValueError) as error:
                _LOG.warning("a part published at %s is not taken: %s", self._path, error)
            except _OVER as error:
                # the attempt is over, or the server does not know of parts: the task itself is told otherwise
                _LOG.info("no more parts are published at %s: %s", self._path, error)
                is_wanted = False
            except ClientError:
                pass  # the next one may come through
            finally:
                self._unsent.task_done()

    async def sent(self) -> None:
        """Wait a moment until all that was published is sent: when the task is done, nobody takes it any more."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._unsent.join(), _LAST_PARTS_S)

    def close(self) -> None:
        self._is_over = True
        if self._sending is not None:
            self._sending.cancel()


def _said(returned: Any) -> Mapping[str, Any]:
    if isinstance(returned, Done):
        return {"output": returned.output, "usage": returned.usage._asdict()}
    return {"output": returned}


def _provider_of(given: Mapping[str, Any] | None) -> Provider | None:
    return None if given is None else Provider(given["provider"], given["base_url"], given["secret"])
