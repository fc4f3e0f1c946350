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
import inspect
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import httpx

_LOG = logging.getLogger(__name__)

_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.5, 30.0
_BEATS = 3  # heartbeats in the time that the task allows between two
_OVER = frozenset({400, 403, 404, 409, 422})


class Task(NamedTuple):
    """What a function is given: `attempt` counts from 1, `input` is JSON."""

    id: str
    kind: str
    attempt: int
    input: Any


class Failed(Exception):  # noqa: N818
    """Raise it to fail a task; a retry is made by the server, unless it is said that none helps."""

    def __init__(self, error: str, *, retryable: bool = True) -> None:
        super().__init__(error)
        self.retryable = retryable


Handler = Callable[[Task], Any]
H = TypeVar("H", bound=Handler)


class Worker:
    """Does tasks until it is stopped.

    Shape: `concurrency` tasks at a time. A request for tasks waits up to `wait_s` for one, also when the worker is
    stopped meanwhile; what goes on then may take up to `stop_s`. The key needs the scope `tasks:write`. A function that
    is no coroutine runs in a thread. What a function returns is the task's output, in JSON; any exception fails the
    attempt, and the server gives the task again later.
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
        self._wait_s, self._stop_s = wait_s, stop_s
        self._going: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._client: Callable[[], httpx.AsyncClient] = lambda: httpx.AsyncClient(
            base_url=url, headers={"X-API-Key": api_key}, timeout=wait_s + 30, transport=transport
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
        """Work until `stop` is called."""
        if not self._handlers:
            raise ValueError("the worker has no function: give it one with @worker.task(kind)")
        async with self._client() as client:
            pause_s = _FIRST_PAUSE_S
            while not self._stopping.is_set():
                if len(self._going) >= self._concurrency:
                    await asyncio.wait(self._going, return_when=asyncio.FIRST_COMPLETED)
                    continue
                try:
                    given = await self._claim(client)
                except httpx.HTTPStatusError as error:
                    if error.response.status_code in _OVER:
                        raise
                    pause_s = await self._pause(error, pause_s)
                except httpx.TransportError as error:
                    pause_s = await self._pause(error, pause_s)
                else:
                    pause_s = _FIRST_PAUSE_S
                    for row in given:
                        doing = asyncio.create_task(self._do(client, row))
                        self._going.add(doing)
                        doing.add_done_callback(self._going.discard)
            await self._finish()

    async def _claim(self, client: httpx.AsyncClient) -> Sequence[Mapping[str, Any]]:
        wanted = {"kinds": list(self._handlers), "worker": self._name, "wait_s": self._wait_s}
        most = min(100, self._concurrency - len(self._going))
        answer = await client.post("/v1/tasks/claim", json={**wanted, "max": most})
        rows: Sequence[Mapping[str, Any]] = answer.raise_for_status().json()["rows"]
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
            await asyncio.gather(*late, return_exceptions=True)

    async def _do(self, client: httpx.AsyncClient, row: Mapping[str, Any]) -> None:
        task = Task(row["task_id"], row["kind"], row["attempt"], row["input"])
        doing = asyncio.ensure_future(_called(self._handlers[task.kind], task))
        beating = asyncio.create_task(self._beat(client, task, row["heartbeat_s"], doing))
        try:
            output = await doing
        except asyncio.CancelledError:
            if not doing.done():
                doing.cancel()
            if self._stopping.is_set():
                await self._say(client, task, "fail", {"error": "the worker was stopped"})
        except Failed as failed:
            await self._say(client, task, "fail", {"error": str(failed), "retryable": failed.retryable})
        except Exception as error:  # noqa: BLE001 - what fails in a function fails its task, and nothing else
            _LOG.exception("task %s failed in attempt %d", task.id, task.attempt)
            await self._say(client, task, "fail", {"error": f"{type(error).__name__}: {error}"})
        else:
            await self._say(client, task, "complete", {"output": output})
        finally:
            beating.cancel()

    async def _beat(
        self, client: httpx.AsyncClient, task: Task, heartbeat_s: int | None, doing: "asyncio.Future[Any]"
    ) -> None:
        while heartbeat_s is not None:
            await asyncio.sleep(heartbeat_s / _BEATS)
            with suppress(httpx.TransportError):
                answer = await client.post(f"/v1/tasks/{task.id}/heartbeat", json={"attempt": task.attempt})
                if answer.status_code in _OVER:
                    # somebody else has the next attempt, or the task was cancelled
                    _LOG.warning("task %s goes on without this worker: %s", task.id, answer.text)
                    doing.cancel()
                    return

    async def _say(self, client: httpx.AsyncClient, task: Task, end: str, said: Mapping[str, Any]) -> None:
        """Give an answer until it is taken, or is of no use any more."""
        # under one key, so that an answer that was lost on its way back is not another one
        headers = {"Idempotency-Key": f"{task.id}/{task.attempt}/{end}"[-128:]}
        pause_s = _FIRST_PAUSE_S
        while True:
            with suppress(httpx.TransportError):
                body = {"attempt": task.attempt, **said}
                answer = await client.post(f"/v1/tasks/{task.id}/{end}", json=body, headers=headers)
                if answer.is_success or answer.status_code in _OVER:
                    if not answer.is_success:
                        _LOG.warning("the answer to task %s came too late or is none: %s", task.id, answer.text)
                    return
            await asyncio.sleep(pause_s)
            pause_s = min(_LAST_PAUSE_S, 2 * pause_s)


async def _called(handler: Handler, task: Task) -> Any:
    if inspect.iscoroutinefunction(handler):
        awaited: Awaitable[Any] = handler(task)
        return await awaited
    return await asyncio.to_thread(handler, task)
