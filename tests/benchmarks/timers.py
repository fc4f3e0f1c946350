"""This measures how late timers fire while a million wait, and what these cost the commands of others.

`python -m tests.benchmarks.timers 10000` takes fewer.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from domain.identity.user import InviteUser, Role
from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import Topic
from streams.ports import Submission
from streams.write.writer import Writer
from tests.benchmarks.result import Result
from tests.streams.kit import accepted, register, register_tenant, submission

PENDING = 1_000_000
RATE = 1_000
"""Timers that are due each second."""

FIRED_S = 20
BATCH = 500
COMMANDS = 20_000
ROUNDS = 5
LATENESS_S = 1.0
WITHIN = 0.9

_BEGAN = datetime(2026, 1, 31, tzinfo=UTC)
_NUMBERS = count(1)


class StopWatch:
    """A clock that stands until it is started, and runs with real time from then on."""

    def __init__(self) -> None:
        self._started: float | None = None

    def start(self) -> None:
        self._started = time.perf_counter()

    def now(self) -> datetime:
        elapsed_s = 0.0 if self._started is None else time.perf_counter() - self._started
        return _BEGAN + timedelta(seconds=elapsed_s)


@contextmanager
def _opened(
    count_: int, of: Callable[[int], Sequence[Submission]], clock: StopWatch, say: Callable[[str], None]
) -> Iterator[tuple[SqliteEventLog, Writer]]:
    """Give a log of its own with so many times two events."""
    with TemporaryDirectory() as folder, closing(SqliteEventLog(Path(folder), clock)) as log:
        writer = Writer(log, clock)
        writer.write([register_tenant("demo")])
        for at in range(0, count_, BATCH):
            numbers = range(at, min(at + BATCH, count_))
            assert all(map(accepted, writer.write([one for n in numbers for one in of(n)])))
            if at % 100_000 == 0:
                say(f"  {at:,} of {count_:,} are there")
        yield log, writer


def _waiting(n: int) -> Sequence[Submission]:
    """Return what sets the n-th timer: the first is due after a second."""
    expires_at = _BEGAN + timedelta(seconds=1 + n / RATE)
    invitation = InviteUser(user_id=f"u{n}", email="a@acme.example", roles=(Role.USER,), expires_at=expires_at)
    return [submission(invitation)]


def _not_waiting(n: int) -> Sequence[Submission]:
    return [register(f"u{n}"), register(f"v{n}")]


def _command_rate(writer: Writer) -> float:
    numbers = [next(_NUMBERS) for _ in range(COMMANDS)]
    batches = [[register(f"d{n}") for n in numbers[at : at + BATCH]] for at in range(0, COMMANDS, BATCH)]
    began = time.perf_counter()
    for batch in batches:
        writer.write(batch)
    return COMMANDS / (time.perf_counter() - began)


def _lateness(log: SqliteEventLog, writer: Writer, clock: StopWatch, seconds: float) -> Sequence[float]:
    """Fire what is due for some seconds; return how late each was recorded, the greatest last."""
    after = log.end(Topic.EVENTS, 0)
    clock.start()
    ends_at = _BEGAN + timedelta(seconds=seconds)
    while clock.now() < ends_at:
        # as the gate does, but for its event loop
        time.sleep(min(0.001 if writer.wait_s() <= 0 else writer.wait_s(), 0.05))
        writer.tick()
    late: list[float] = []
    while entries := log.read(Topic.EVENTS, 0, after=after, limit=5_000):
        after = entries[-1].position
        late += [(e.recorded_at - e.data["due_at"]).total_seconds() for e in entries if e.type == "timer.fired"]  # type: ignore[union-attr]
    return sorted(late)


def run(say: Callable[[str], None], pending: int = PENDING) -> Iterator[Result]:
    say(f"timers: {pending:,} pending")
    clock = StopWatch()
    with (
        _opened(pending, _not_waiting, StopWatch(), say) as (_, plain),
        _opened(pending, _waiting, clock, say) as (log, writer),
    ):
        # one beside the other: machines are faster at one time than at another
        rates = [(_command_rate(plain), _command_rate(writer)) for _ in range(ROUNDS)]
        alone, beside = (median(side) for side in zip(*rates, strict=True))
        yield Result(f"commands beside {pending:,} timers", beside, "/s", alone, WITHIN, of_ratio=True)
        seconds = min(FIRED_S, 1 + pending / RATE)
        late = _lateness(log, writer, clock, seconds)
        assert late
        assert late[0] >= 0
        yield Result("timers that fired", len(late) / (seconds - 1), "/s")
        p99 = late[int(len(late) * 0.99)]
        yield Result(f"lateness of a timer, p99, at {RATE:,}/s", p99, "s", floor=LATENESS_S, most=True)


if __name__ == "__main__":
    for result in run(lambda text: print(text, file=sys.stderr), int(sys.argv[1]) if sys.argv[1:] else PENDING):
        print(result.as_json())
