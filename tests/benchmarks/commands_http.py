"""Commands over HTTP into the embedded server with its views on, beside the server of an earlier commit.

`BASELINE` names a work tree of that commit (`git worktree add ../before 864c86d`); without it there is no ratio.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import orjson

from tests.benchmarks.embedded import Server, served
from tests.benchmarks.result import Result

CONNECTIONS = 32
SINGLES = 12_000
BATCHED = 40_000
BATCH = 500
SENDERS = 4
ROUNDS = 3

Send = Callable[[bytes, bytes], Awaitable[bytes]]
"""Posts a body to a path, and returns the answer's."""


def run(say: Callable[[str], None]) -> Iterator[Result]:
    """Measure both; the two servers take turns, so that a slow minute of the machine meets both."""
    here, before = Path.cwd(), os.environ.get("BASELINE")
    trees = [Path(before), here] if before else [here]
    say("commands over HTTP" + ("" if before else "; set BASELINE to a work tree of an earlier commit for a ratio"))
    rates = {tree: [_rates(tree) for _ in range(ROUNDS)] for tree in trees}
    for n, (what, floor) in enumerate(
        (("single commands over HTTP, 32 connections", 4), (f"commands over HTTP in batches of {BATCH}", 3))
    ):
        best = {tree: max(rate[n] for rate in measured) for tree, measured in rates.items()}
        baseline = best[trees[0]] if before else None
        yield Result(what, best[here], "/s", baseline, floor if before else None, of_ratio=bool(before))


def _rates(tree: Path) -> tuple[float, float]:
    with TemporaryDirectory(dir="build") as folder, served(Path(folder).absolute(), tree) as server:
        single = asyncio.run(_rate(server, CONNECTIONS, SINGLES, _one_by_one))
        batched = asyncio.run(_rate(server, SENDERS, BATCHED, _in_batches))
        return single, batched


async def _rate(
    server: Server, connections: int, commands: int, send_all: Callable[[Send, Sequence[str]], Awaitable[None]]
) -> float:
    names = [f"{send_all.__name__}-{n}" for n in range(commands)]
    begin = time.perf_counter()
    await in_parallel(server, connections, names, send_all)
    return commands / (time.perf_counter() - begin)


async def in_parallel(
    server: Server,
    connections: int,
    names: Sequence[str],
    send_all: Callable[[Send, Sequence[str]], Awaitable[None]],
) -> None:
    """Give each of some connections its share of the names, and wait until all have sent what they have for them."""
    address = urlsplit(server.url)
    key = str(server.client.headers["X-API-Key"]).encode()

    async def connection(own: Sequence[str]) -> None:
        # not a client library: its cost would be measured with the server's, on the same two cores
        reader, writer = await asyncio.open_connection(address.hostname, address.port)

        async def send(path: bytes, body: bytes) -> bytes:
            writer.write(
                b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: %b\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (path, key, len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            answer = await reader.readexactly(length)
            assert head.startswith(b"HTTP/1.1 200"), answer
            return answer

        await send_all(send, own)
        writer.close()

    await asyncio.gather(*(connection(names[n::connections]) for n in range(connections)))


async def _one_by_one(send: Send, names: Sequence[str]) -> None:
    for name in names:
        await send(b"/v1/commands/fleet/RegisterDevice", orjson.dumps(_body(name)))


async def _in_batches(send: Send, names: Sequence[str]) -> None:
    for at in range(0, len(names), BATCH):
        items = [
            {"id": name, "command": "fleet.RegisterDevice", "body": _body(name)} for name in names[at : at + BATCH]
        ]
        await send(b"/v1/commands", orjson.dumps(items))


def _body(name: str) -> dict[str, str]:
    return {"device_id": name.strip("_"), "hostname": f"{name}.example"}
