"""Runs a handler as a worker does."""

import asyncio
from collections.abc import Callable
from typing import Any

from factline.worker import Provider, Task
from infra.handlers.outgoing import Outgoing
from infra.handlers.settings import networks
from infra.handlers.web import Handler

LOCAL = Outgoing(networks("127.0.0.0/8"))
"""For the web servers of tests."""


def done(
    handler: Handler,
    input_: Any,
    *,
    kind: str = "any",
    task_id: str = "t1",
    provider: Provider | None = None,
    tenant_id: str = "acme",
    publish: Callable[[Any], None] = lambda _: None,
) -> Any:
    async def doing() -> Any:
        return await handler(Task(task_id, kind, 1, input_, provider, publish, tenant_id))

    return asyncio.run(doing())
