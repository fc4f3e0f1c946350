"""Runs a handler as a worker does."""

import asyncio
from typing import Any

from factline.worker import Provider, Task
from infra.handlers.outgoing import Outgoing
from infra.handlers.settings import networks
from infra.handlers.web import Handler

LOCAL = Outgoing(networks("127.0.0.0/8"))
"""For the web servers of tests."""


def done(
    handler: Handler, input_: Any, *, kind: str = "any", task_id: str = "t1", provider: Provider | None = None
) -> Any:
    async def doing() -> Any:
        return await handler(Task(task_id, kind, 1, input_, provider))

    return asyncio.run(doing())
