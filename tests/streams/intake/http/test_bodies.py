"""What a body may cost: whatever it holds, others are served meanwhile and memory stays bounded."""

import asyncio
import gzip
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import thread_time
from typing import Any, NamedTuple

import httpx
import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from streams.intake.http.bodies import MAX_FRAMES, MAX_VALUES, _outside_of_texts
from tests.streams.intake.http.ways_in import WaysIn, ways_in

MIB = 1024 * 1024
LONGEST_LAG_S = 0.2
MOST_MEMORY = 300 * MIB
ZEROS = b"[" + b"0," * (11 * MIB // 2) + b"0]"
OBJECTS = b"[" + b"{}," * (11 * MIB // 3) + b"{}]"
EMPTY_MEMBERS = gzip.compress(b"") * 60_000
EMPTY_FRAMES = zstandard.ZstdCompressor().compress(b"") * 150_000


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WaysIn]:
    with ways_in(tmp_path_factory.mktemp("bodies")) as way:
        yield way


class Cost:
    """What requests cost. Units: `lag_s` is how long the loop did not answer at worst; `memory` in bytes."""

    def __init__(self) -> None:
        self.lag_s = 0.0
        self.memory = 0
        self.statuses: list[int] = []
        self.details: set[str] = set()

    @property
    def is_small(self) -> bool:
        return self.lag_s < LONGEST_LAG_S and self.memory < MOST_MEMORY


def cost_of(way: WaysIn, path: str, costly: "Costly") -> Cost:
    """Send a body several times at once, on a loop of this test's own, and watch that loop."""
    cost = Cost()

    async def send(client: httpx.AsyncClient) -> None:
        response = await client.post(path, content=costly.body, headers={"X-API-Key": "demo", **costly.headers})
        cost.statuses.append(response.status_code)
        cost.details.add(response.json()["detail"])

    async def watch() -> None:
        while True:
            # what the loop's own thread has worked meanwhile: others on a busy machine are not the body's fault
            began = thread_time()
            await asyncio.sleep(0.01)
            cost.lag_s = max(cost.lag_s, thread_time() - began)

    async def run() -> None:
        transport = httpx.ASGITransport(way.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here", timeout=60) as client:
            watching = asyncio.create_task(watch())
            await asyncio.gather(*(send(client) for _ in range(costly.times)))
            watching.cancel()

    before = _peak_from_now()
    asyncio.run(run())
    cost.memory = _resident("VmHWM") - before
    return cost


def _peak_from_now() -> int:
    """Forget the highest memory of before, and return what is held now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _resident("VmRSS")


def _resident(name: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1]) * 1024


class Costly(NamedTuple):
    body: bytes
    headers: Mapping[str, str]
    times: int
    status: int
    detail: str


GZIP, ZSTD = {"Content-Encoding": "gzip"}, {"Content-Encoding": "zstd"}
TOO_MANY = f"the body holds more than {MAX_VALUES} values; send it in parts"
COSTLY = {
    "empty members": Costly(EMPTY_MEMBERS, GZIP, 1, 400, f"more than {MAX_FRAMES} members; pack it as one"),
    "empty frames": Costly(EMPTY_FRAMES, ZSTD, 1, 400, f"more than {MAX_FRAMES} frames; pack it as one"),
    "zeros": Costly(ZEROS, {}, 4, 413, TOO_MANY),
    "objects": Costly(OBJECTS, {}, 4, 413, TOO_MANY),
    "as many zeros as may be": Costly(b"[" + b"0," * 900_000 + b"0]", {}, 4, 413, "900001 facts are too many"),
    "packed zeros": Costly(gzip.compress(ZEROS, 1), GZIP, 4, 413, TOO_MANY),
}
LINES = Costly(b"\n" * 15 * MIB, {"Content-Type": "application/x-ndjson"}, 4, 413, "lines are too many for one request")


@pytest.mark.parametrize(
    ("path", "costly"),
    [
        *(pytest.param("/v1/telemetry", costly, id=name) for name, costly in COSTLY.items()),
        pytest.param("/v1/telemetry", LINES, id="lines"),
        pytest.param("/v1/commands", COSTLY["objects"], id="commands"),
    ],
)
def test_body_that_is_made_to_cost_much_ends_early(way: WaysIn, path: str, costly: Costly) -> None:
    # the collector may have had its turn in the midst of one
    costs: list[Cost] = []
    while len(costs) < 3 and not any(cost.is_small for cost in costs):
        costs.append(cost_of(way, path, costly))
    assert costs[-1].statuses == [costly.status] * costly.times
    assert all(costly.detail in said for said in costs[-1].details)
    assert any(cost.is_small for cost in costs), [(cost.lag_s, cost.memory) for cost in costs]


def test_as_many_parts_as_packers_make_are_taken(way: WaysIn) -> None:
    packed = gzip.compress(b"[]") + gzip.compress(b" ") * (MAX_FRAMES - 1)
    assert way.telemetry(packed, headers={"Content-Encoding": "gzip"}).status_code == 200
    frame = zstandard.ZstdCompressor().compress
    packed = frame(b"[]") + frame(b" ") * (MAX_FRAMES - 1)
    assert way.telemetry(packed, headers={"Content-Encoding": "zstd"}).status_code == 200


def test_commas_within_texts_are_no_values(way: WaysIn) -> None:
    line = {"type": "log.recorded", "device_id": "web-1", "happened_at": "2026-01-31T08:30:00Z"}
    fact = {**line, "data": {"severity": "info", "summary": "a,{[" * 10_000 + '\\"' + "\\" * 7}}
    body = orjson.dumps([{**fact, "id": f"{n}"} for n in range(300)])
    assert body.count(b",") > MAX_VALUES
    response = way.telemetry(body)
    assert (response.status_code, response.json()["accepted"]) == (200, 300)


JSON_TEXTS = st.recursive(
    st.text(st.sampled_from(["a", '"', "\\", ",", "[", "{", "é"]), max_size=6) | st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["k", '"', "\\", "[,"]), inner),
    max_leaves=12,
)


@given(value=JSON_TEXTS, piece=st.integers(1, 7))
def test_texts_are_left_out_wherever_a_piece_ends(value: Any, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.intake.http.bodies._CHUNK_BYTES", piece)
        outside = b"".join(_outside_of_texts(orjson.dumps(value)))
    assert outside == _without_texts(value)


def _without_texts(value: Any) -> bytes:
    if isinstance(value, dict):
        return b"{" + b",".join(b":" + _without_texts(one) for one in value.values()) + b"}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return b"[" + b",".join(map(_without_texts, value)) + b"]"
    return b"" if isinstance(value, str) else orjson.dumps(value)
