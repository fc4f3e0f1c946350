"""An operator acts on the distributed profile through these methods, from any machine that reaches it."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.cli.operations import Answer, Failed, Operator, SameProcess, named_failures
from infra.distributed import open_log
from infra.kafka.command_gate import KafkaCommandGate
from infra.kafka.connection import Connection
from infra.settings import CannotStart, Settings
from infra.sqlite.scratch import scratch
from infra.stores import open_stores
from projections.rows import Role
from streams.intake.http.commands import Gate
from streams.ports import LogReader, SystemClock
from streams.project.distributed_operations import DistributedOperations

_ANSWER_S = 30.0
"""A command has to connect first, and nobody scrapes it."""


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
        operations = DistributedOperations(
            stores, log=log, clock=SystemClock(), scratch=partial(scratch, Path(folder)), answer_s=_ANSWER_S
        )
        yield _Distributed(operations, log, settings)


class _Distributed(SameProcess):
    def __init__(self, operations: DistributedOperations, log: LogReader, settings: Settings) -> None:
        super().__init__(operations, log)
        self._settings = settings

    def tenants(self) -> Sequence[Answer]:
        raise Failed("credentials are followed by gateways: ask one, with --url and the operator's key")

    def _gate(self) -> AbstractContextManager[Gate]:
        connection = Connection(self._settings.kafka_bootstrap, self._settings.kafka_security)
        return closing(KafkaCommandGate(connection, self._settings.topics))
