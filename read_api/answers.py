"""All requests share these: the readers that answers are made from, a clock, and bounds."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import BoundedSemaphore, Event, Lock
from typing import Annotated

from fastapi import Depends, Request

from projections.credentials import Credentials, RateLimits
from projections.keys import KeyFinder
from projections.operations import Feed, Operations, Progress
from projections.readers import AnalyticsReader, DocumentsReader, TimelineReader
from read_api.edge.auth import Authenticator
from read_api.edge.credential import BEARER, SESSION
from read_api.edge.ephemeral import Ephemerals, LocalEphemerals
from read_api.edge.issuer_keys import Fetch, IssuerKeys, nothing_fetched
from read_api.edge.jwt import Tokens
from read_api.edge.rates import DEFAULT, RateLimiter
from read_api.edge.sessions import Sessions
from read_api.shared import Shared, Turns
from schemas.envelope import TenantId

LIVE_STREAMS = 2_000
"""What one process has at once, of all tenants."""

LIVE_STREAMS_OF_A_TENANT = 1_000
"""Of one whose quota says nothing: it does not take the places of all others."""

_LIVE_THREADS = 32

UNNAMED_CONNECTIONS = 100
"""WebSockets of one process at once that have not said yet who listens."""

_ANALYTICS_THREADS = 4
_WAITING_READS = 16


def _utc_now() -> datetime:
    return datetime.now(UTC)


class OpenStreams:
    """Counts the live streams of each tenant, and of `all` together. Any thread may call it."""

    def __init__(self) -> None:
        self.all = 0
        self._open: Counter[TenantId] = Counter()
        self._using = Lock()

    def open(self, tenant_id: TenantId, most: int) -> bool:
        """Count one more, unless the tenant has as many as it may; tell which."""
        with self._using:
            if self._open[tenant_id] >= most:
                return False
            self._open[tenant_id] += 1
            self.all += 1
            return True

    def close(self, tenant_id: TenantId) -> None:
        with self._using:
            self._open[tenant_id] -= 1
            self.all -= 1
            # whose count stays would be remembered for ever
            self._open += Counter()

    def of(self, tenant_id: TenantId) -> int:
        return self._open[tenant_id]


@dataclass(kw_only=True)
class Answers:
    """The readers behind the API, its clock, and its bounds. Call `stop` when the server begins to stop.

    Shape: `log` is the tag of the log that tokens and cursors are of, `partitions` how many it has. `credentials` say
    who may ask, without a view; `fetch` gets the keys of issuers. Without a `limiter` they may ask as much as they
    like, and `usual_limits` are those of a key that says nothing of its own. `personal` has the keys that personal
    fields are opened with. `ephemerals` carry what is not recorded to live streams.
    """

    timeline: TimelineReader
    analytics: AnalyticsReader
    documents: DocumentsReader
    credentials: Credentials
    personal: KeyFinder
    progress: Progress
    operations: Operations
    feed: Feed
    partitions: int
    cursor_secret: bytes
    log: str
    limiter: RateLimiter | None = None
    usual_limits: RateLimits = DEFAULT
    fetch: Fetch = nothing_fetched
    now: Callable[[], datetime] = _utc_now
    ephemerals: Ephemerals = field(default_factory=LocalEphemerals)
    consistency_wait_s: float = 5.0
    heartbeat_s: float = 15.0
    # a WebSocket says within this time who listens, and reads something of what it is sent
    hello_s: float = 10.0
    slow_s: float = 10.0
    authenticator: Authenticator = field(init=False)
    # few threads, because each has its own session with the analytics engine
    analytics_threads: ThreadPoolExecutor = field(init=False)
    # live streams at the same place wait, and read, in one of these together
    live_threads: ThreadPoolExecutor = field(init=False)
    live_news: Shared = field(init=False)
    # so many listeners of a tenant hold much of the log in memory at a time
    live_rooms: Turns = field(init=False)
    live_slots: BoundedSemaphore = field(init=False)
    live_of: "OpenStreams" = field(init=False)
    unnamed_slots: BoundedSemaphore = field(init=False)
    # reads that wait for a view hold a thread of the server's pool: most of the pool stays free
    waiting_slots: BoundedSemaphore = field(init=False)
    stopping: Event = field(init=False)

    def __post_init__(self) -> None:
        tokens = Tokens(self.credentials, IssuerKeys(self.fetch))
        others = {BEARER: tokens.caller, SESSION: Sessions(self.credentials).caller}
        self.authenticator = Authenticator(self.credentials, others, usual=self.usual_limits)
        self.analytics_threads = ThreadPoolExecutor(_ANALYTICS_THREADS, "analytics")
        self.live_threads = ThreadPoolExecutor(_LIVE_THREADS, "live")
        self.live_news = Shared(self.live_threads)
        self.live_rooms = Turns()
        self.live_slots = BoundedSemaphore(LIVE_STREAMS)
        self.live_of = OpenStreams()
        self.unnamed_slots = BoundedSemaphore(UNNAMED_CONNECTIONS)
        self.waiting_slots = BoundedSemaphore(_WAITING_READS)
        self.stopping = Event()

    def stop(self) -> None:
        """End the live streams: a server that stops waits for its open connections, and these never end."""
        self.stopping.set()

    def close(self) -> None:
        """Stop, and wait until no thread reads a store any more; call it when no request is left."""
        self.stop()
        self.live_threads.shutdown()
        self.analytics_threads.shutdown()


async def _answers(request: Request) -> Answers:
    answers: Answers = request.app.state.answers
    return answers


Asked = Annotated[Answers, Depends(_answers)]
