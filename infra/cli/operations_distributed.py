"""An operator acts on the distributed profile through these methods, from any machine that reaches it."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.cli.operations import CLI, Failed, Operator, SameProcess, named_failures
from infra.distributed import open_log
from infra.kafka.command_gate import KafkaCommandGate
from infra.kafka.connection import Connection
from infra.settings import CannotStart, Settings
from infra.sqlite.scratch import scratch
from infra.stores import open_stores
from projections.rows import Role
from schemas.envelope import TenantId
from streams.intake.http.tenants import Onboarding, onboard
from streams.ports import Overloaded, SystemClock
from streams.project.distributed_operations import DistributedOperations


@contextmanager
def distributed_operator() -> Iterator[Operator]:
    """Give the operator of what the FACTLINE_… variables name. Raises: Failed, it cannot be reached."""
    with ExitStack() as opened:
        try:
            settings = Settings.from_environment()
            with named_failures():
                log = opened.enter_context(open_log(settings))
        except CannotStart as error:
            raise Failed(str(error)) from error
        stores = {role: opened.enter_context(open_stores(role, settings)) for role in Role}
        # of this machine: whoever verifies need not be where the gateways are
        folder = opened.enter_context(TemporaryDirectory(prefix="factline-"))
        operations = DistributedOperations(stores, log=log, clock=SystemClock(), scratch=partial(scratch, Path(folder)))
        yield _Distributed(operations, settings)


class _Distributed(SameProcess):
    def __init__(self, operations: DistributedOperations, settings: Settings) -> None:
        super().__init__(operations)
        self._settings = settings

    def add_tenant(self, tenant_id: str, name: str) -> str:
        onboarding = onboard(TenantId(tenant_id), name, CLI)
        connection = Connection(self._settings.kafka_bootstrap, self._settings.kafka_security)
        with named_failures(), closing(KafkaCommandGate(connection, self._settings.topics)) as gate:
            asyncio.run(_execute(gate, onboarding))
        return onboarding.api_key


async def _execute(gate: KafkaCommandGate, onboarding: Onboarding) -> None:
    for submission in onboarding.submissions:
        try:
            reply = await gate.execute(submission)
        except Overloaded as error:
            raise Failed("the broker takes no more commands just now; try again") from error
        if reply.refusal is not None:
            raise Failed(reply.refusal.reason)
