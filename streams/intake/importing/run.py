"""An import carries rows from a file to a sink, in batches, and accounts for every row."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from domain.fleet.device import RegisterDevice
from domain.rejection import Kind
from schemas.envelope import TenantId
from streams.identifiers import named_uuid
from streams.intake.files.text import FactRow, RefusedRow
from streams.intake.importing.sink import IMPORTER, ImportFailed, Sink
from streams.ports import Submission

COMMANDS = 500
"""Invoices of one batch."""

FACTS = 5_000
"""Facts of one batch."""

BATCH_BYTES = 6 * 1024 * 1024
"""A batch of this size is not added to: a request may have 16 MiB, and sizes are estimates."""

IN_FLIGHT = 2
"""Batches that are on their way at once."""

_MAX_REASONS = 1_000


class _Sized(Protocol):
    @property
    def size(self) -> int: ...


T = TypeVar("T", bound=_Sized)


class Source(Protocol):
    """A file that is read once from its beginning to its end."""

    @property
    def header(self) -> Sequence[str]:
        """Return the names of its rows' cells."""

    @property
    def rows_read(self) -> int:
        """Return how many rows it has read so far, the refused ones included."""

    def items(self) -> Generator[Any, None, None]:
        """Yield what is to be sent, and a RefusedRow for each row that cannot be. Raises: FileError."""


class Outcome(NamedTuple):
    """What became of a batch. Units: rows."""

    accepted: int
    repeated: int
    refused: Sequence[RefusedRow]
    latest: datetime | None = None
    """When the latest of what was taken happened."""


Send = Callable[[Sequence[T]], Outcome]


class Reason(NamedTuple):
    rows: int
    first: str


class Tally:
    """Counts the rows of all files of an import."""

    def __init__(self) -> None:
        self.read = 0
        self.accepted = 0
        self.repeated = 0
        self.refused = 0
        self.reasons: dict[str, Reason] = {}
        self.latest: datetime | None = None

    @property
    def answered(self) -> int:
        return self.accepted + self.repeated + self.refused

    @property
    def unanswered(self) -> int:
        """Return the rows that were read and of which no answer came: only an import that broke off has some."""
        return self.read - self.answered

    def add(self, outcome: Outcome) -> None:
        """Count what was taken of a batch; what was refused, `refuse` counts with its file."""
        self.accepted += outcome.accepted
        self.repeated += outcome.repeated
        self.latest = later(self.latest, outcome.latest)

    def refuse(self, refused: RefusedRow, path: Path) -> None:
        self.refused += 1
        kind = refused.reason.partition(": ")[0]
        if kind not in self.reasons and len(self.reasons) >= _MAX_REASONS:
            kind = "other reasons"
        found = self.reasons.get(kind, Reason(0, f"{path}, line {refused.row.line}"))
        self.reasons[kind] = found._replace(rows=found.rows + 1)


def run(
    items: Iterator[T | RefusedRow],
    send: Send[T],
    *,
    sink: Sink,
    batch_items: int,
    on_outcome: Callable[[Outcome], None],
) -> None:
    """Send what the items say and tell of every answer, in order.

    Shape: at most IN_FLIGHT batches are on their way. Whatever ends this early, the answers that came are told.
    Raises: ImportFailed, FileError.
    """
    on_their_way: deque[Future[Outcome]] = deque()

    def settle() -> None:
        outcome = on_their_way[0].result()
        on_their_way.popleft()
        on_outcome(outcome)

    with ThreadPoolExecutor(sink.threads, "import") as pool:
        try:
            for batch, refused in _batches(items, batch_items):
                if refused:
                    on_outcome(Outcome(0, 0, refused))
                if not batch:
                    continue
                if len(on_their_way) == IN_FLIGHT:
                    settle()
                on_their_way.append(pool.submit(send, batch))
            while on_their_way:
                settle()
        except BaseException:
            sink.stop()
            for future in on_their_way:
                if not future.cancel() and future.exception() is None:
                    on_outcome(future.result())
            raise


def _batches(items: Iterator[T | RefusedRow], batch_items: int) -> Iterator[tuple[list[T], list[RefusedRow]]]:
    batch: list[T] = []
    refused: list[RefusedRow] = []
    size = 0
    for item in items:
        if isinstance(item, RefusedRow):
            refused.append(item)
        else:
            batch.append(item)
            size += item.size
        if len(batch) == batch_items or size >= BATCH_BYTES or len(refused) == FACTS:
            yield batch, refused
            batch, refused, size = [], [], 0
    if batch or refused:
        yield batch, refused


def register_device(sink: Sink, tenant_id: TenantId, device_id: str) -> None:
    """Make a device known, so that it is in the lists; one that is known already stays as it is.

    Raises: ImportFailed.
    """
    command = RegisterDevice(device_id=device_id, hostname=device_id)
    id_ = named_uuid(tenant_id, "import", "device", device_id)
    [taken] = sink.commands([Submission(id_, tenant_id, "fleet.RegisterDevice", command, IMPORTER)])
    if taken.kind not in {None, Kind.CONFLICT.value}:
        raise ImportFailed(f"device {device_id} cannot be registered: {taken.reason}")


def fact_sender(sink: Sink, tenant_id: TenantId, device_id: str) -> Send[FactRow]:
    """Return what sends facts and makes their devices known, except `device_id`, which is."""
    known = {device_id}

    def send(batch: Sequence[FactRow]) -> Outcome:
        register_devices(sink, tenant_id, batch, known)
        outcome = send_facts(sink, batch)
        return outcome._replace(repeated=outcome.repeated + sum(row.replaced for row in batch))

    return send


def register_devices(sink: Sink, tenant_id: TenantId, batch: Sequence[FactRow], known: set[str]) -> None:
    """Make the devices of facts known, except those that are `known`, to which they are added. Raises: ImportFailed."""
    for device_id in {row.fact.device_id for row in batch} - known:
        register_device(sink, tenant_id, device_id)
        known.add(device_id)


def send_facts(sink: Sink, batch: Sequence[FactRow]) -> Outcome:
    taken = sink.facts([row.fact for row in batch])
    refused = [RefusedRow(batch[place].row, reason) for place, reason in taken.refused.items()]
    latest = max((row.fact.happened_at for place, row in enumerate(batch) if place not in taken.refused), default=None)
    return Outcome(taken.accepted, taken.repeated, refused, latest)


def later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((instant for instant in (one, other) if instant is not None), default=None)


def summary(tally: Tally) -> dict[str, Any]:
    """Return the counts in the shape that programs are told them."""
    return {
        "rows_read": tally.read,
        "accepted": tally.accepted,
        "repeated": tally.repeated,
        "refused": tally.refused,
        "without_an_answer": tally.unanswered,
        "latest": tally.latest,
        "reasons": [{"reason": reason, **found._asdict()} for reason, found in tally.reasons.items()],
    }
