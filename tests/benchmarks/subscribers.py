"""Subscribers of the live stream of one embedded server, while 100 events a second are recorded.

Each event says when it was sent. All subscribers read all of it; how late it came is looked at with some of them only,
because this process would otherwise be slower than the server.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psutil

from tests.benchmarks.embedded import Server, served
from tests.benchmarks.result import Result

SUBSCRIBERS = 1_000
LOOKED_AT = 40
RATE = 100
AT_ONCE = 5
SECONDS = 20

_MARK = b'"value":"at-'


def run(say: Callable[[str], None]) -> Iterator[Result]:
    say(f"{SUBSCRIBERS:,} subscribers, {RATE} events a second")
    with TemporaryDirectory(dir="build") as folder, served(Path(folder)) as server:
        device = {"device_id": "web-1", "hostname": "web-1"}
        server.client.post("/v1/commands/fleet/RegisterDevice", json=device).raise_for_status()
        process = psutil.Process(server.process.pid)
        before = server.rss_mb()
        late, heard, cpu = asyncio.run(_listen(server, process))
        memory = server.rss_mb()
    late.sort()
    yield Result("live: p50 from sending an event to 1,000 subscribers", median(late) * 1_000, "ms")
    yield Result("live: p99", late[int(len(late) * 0.99)] * 1_000, "ms", None, 500, most=True)
    yield Result("live: events that came, of those that were sent to each", heard * 100, "%", None, 100)
    yield Result("live: of a core", cpu * 100, "%")
    yield Result("live: memory for each subscriber", (memory - before) * 1_000 / SUBSCRIBERS, "kB")


async def _listen(server: Server, process: psutil.Process) -> tuple[list[float], float, float]:
    late: list[float] = []
    heard = [0] * SUBSCRIBERS
    listeners, writers = [], []
    for at in range(SUBSCRIBERS):
        reader, writer = await _subscribed(server)
        writers.append(writer)
        listeners.append(asyncio.create_task(_count(reader, heard, at, late if at < LOOKED_AT else None)))
    began, cpu = time.perf_counter(), sum(process.cpu_times()[:2])
    sent = await asyncio.to_thread(_send, server)
    cpu = (sum(process.cpu_times()[:2]) - cpu) / (time.perf_counter() - began)
    await asyncio.sleep(2)
    for listener, writer in zip(listeners, writers, strict=True):
        listener.cancel()
        writer.close()
    return late, sum(heard) / (sent * SUBSCRIBERS), cpu


async def _subscribed(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=1 << 20)
    key = str(server.client.headers["X-API-Key"]).encode()
    writer.write(b"GET /v1/live?types=device.tagged HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: %b\r\n\r\n" % key)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    return reader, writer


async def _count(reader: asyncio.StreamReader, heard: list[int], at: int, late: list[float] | None) -> None:
    left = b""
    while chunk := await reader.read(1 << 16):
        now = time.time()
        chunk = left + chunk
        parts = chunk.split(_MARK)
        # a mark, and the time behind it, may be cut by the end of the chunk
        left = _MARK + parts.pop() if len(parts) > 1 and len(parts[-1]) < 20 else chunk[-len(_MARK) + 1 :]
        found = parts[1:]
        heard[at] += len(found)
        if late is not None:
            late.extend(now - float(part.partition(b"-")[0]) for part in found)


def _send(server: Server) -> int:
    begin, sent = time.perf_counter(), 0
    while (passed := time.perf_counter() - begin) < SECONDS:
        if sent > passed * RATE:
            time.sleep(0.005)
            continue
        items = [_item(n) for n in range(sent, sent + AT_ONCE)]
        server.client.post("/v1/commands", json=items).raise_for_status()
        sent += AT_ONCE
    return sent


def _item(n: int) -> dict[str, object]:
    body = {"device_id": "web-1", "key": f"k{n % 50}", "value": f"at-{time.time():.6f}-{n}"}
    return {"id": f"sent-{n}", "command": "fleet.TagDevice", "body": body}
