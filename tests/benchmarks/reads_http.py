"""Point reads and first pages over HTTP, 500 a second, from an embedded server that has read 1,000,000 events.

Requests are sent when they are due, whether those before are answered or not, and their time counts from then: what
waits because the server is busy is late. `BASELINE` names a work tree of an earlier commit.
"""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from tests.benchmarks.embedded import Server, alone, fill_mixed, served
from tests.benchmarks.result import Result

EVENTS = 1_000_000
RATE = 500
SECONDS = 20
CONNECTIONS = 64
READS: Mapping[str, Sequence[str]] = {
    "point reads": ("/v1/devices/web-{n}", "/v1/devices/web-{n}/history?limit=20", "/v1/audit/streams/device-web-{n}"),
    "first pages": ("/v1/devices?limit=20", "/v1/invoices?limit=20", "/v1/audit/events?limit=20"),
}


def run(say: Callable[[str], None]) -> Iterator[Result]:
    here, before = Path.cwd(), os.environ.get("BASELINE")
    with TemporaryDirectory(dir="build") as folder:
        say(f"writing {EVENTS:,} events")
        alone(fill_mixed, Path(folder), EVENTS)
        say(f"reads over HTTP, {RATE} a second" + ("" if before else "; set BASELINE for the times of another commit"))
        late = {tree: _late(Path(folder), tree) for tree in ([Path(before), here] if before else [here])}
    for kind in READS:
        baseline = late[Path(before)][kind] if before else None
        yield Result(f"read API: {kind} at {RATE}/s, p99", late[here][kind], "ms", baseline, 30, most=True)


def _late(folder: Path, tree: Path) -> Mapping[str, float]:
    with served(folder, tree) as server:
        server.wait_caught_up()
        asyncio.run(_send(server, 2))
        times = asyncio.run(_send(server, SECONDS))
        return {kind: sorted(found)[int(len(found) * 0.99)] * 1_000 for kind, found in times.items()}


async def _send(server: Server, seconds: float) -> Mapping[str, Sequence[float]]:
    address = urlsplit(server.url)
    key = str(server.client.headers["X-API-Key"]).encode()
    asked = [(kind, path) for kind, paths in READS.items() for path in paths]
    times: dict[str, list[float]] = defaultdict(list)
    due: asyncio.Queue[tuple[float, str, bytes]] = asyncio.Queue()

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        while True:
            at, kind, path = await due.get()
            if not path:
                break
            writer.write(b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: %b\r\n\r\n" % (path, key))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            answer = await reader.readexactly(length)
            assert head.startswith(b"HTTP/1.1 200"), answer
            times[kind].append(time.perf_counter() - at)
        writer.close()

    connections = [asyncio.create_task(connection()) for _ in range(CONNECTIONS)]
    begin = time.perf_counter()
    for n in range(int(RATE * seconds)):
        at = begin + n / RATE
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        kind, path = asked[n % len(asked)]
        due.put_nowait((at, kind, path.format(n=n % 3_000).encode()))
    for _ in connections:
        due.put_nowait((0.0, "", b""))
    await asyncio.gather(*connections)
    return times
