"""The operator's routes on a whole server in this process."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest

from infra.data_dir import operator_key
from infra.embedded import Embedded
from infra.serve.embedded import create_app
from tests.streams.intake.http.ways_in import refused, served
from tests.streams.kit import register

REBUILD = "/v1/operator/projections/devices/rebuild"


class Server:
    def __init__(self, embedded: Embedded, client: httpx.Client, demo_key: str) -> None:
        self.embedded = embedded
        self.client = client
        self.demo_key = demo_key
        self.key = operator_key(embedded.dir.path) or ""

    def post(self, path: str, key: str | None = None) -> httpx.Response:
        return self.client.post(path, headers={"X-API-Key": key or self.key})

    def job(self, path: str) -> list[dict[str, Any]]:
        answer = self.post(path)
        assert answer.status_code == 200, answer.text
        return [orjson.loads(line) for line in answer.iter_lines()]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Embedded.open(tmp_path_factory.mktemp("operator")) as embedded:
        app = create_app(embedded, host_metrics=False)
        demo_key = embedded.first_start()
        assert demo_key is not None
        [reply] = embedded.writer.write([register("web-1")])
        assert reply.position is not None
        with served(app) as client:
            assert embedded.views.operations.wait_for(["devices", "tenants", "keys"], reply.position, 30)
            yield Server(embedded, client, demo_key)


def test_rebuild_says_how_far_it_is_and_which_table_answers_now(server: Server) -> None:
    said = server.job(REBUILD)
    assert said[-1]["result"].startswith("devices_v")
    assert all(set(step) == {"done", "total"} for step in said[:-1])
    answer = server.client.get("/v1/devices/web-1", headers={"X-API-Key": server.demo_key})
    assert answer.json()["rows"][0]["hostname"] == "web-1.example"


def test_verify_ends_with_its_verdict(server: Server) -> None:
    for name in server.embedded.views.operations.names():
        verdict = server.job(f"/v1/operator/projections/{name}/verify")[-1]["result"]
        assert (verdict["differences"], verdict["examples"], verdict["dead_letters"]) == (0, [], 0)


def test_verify_says_what_was_only_counted_and_compares_all_when_it_is_told_to(server: Server) -> None:
    path = "/v1/operator/projections/audit_trail/verify"
    server.job(path)
    second = server.job(path)[-1]["result"]
    assert second["counted"] > 0
    assert datetime.fromisoformat(second["counted_since"]) <= datetime.now(UTC)
    full = server.job(f"{path}?full=true")[-1]["result"]
    assert (full["counted"], full["counted_since"], full["differences"]) == (0, None, 0)


def test_nothing_parked_is_nothing_to_retry_or_discard(server: Server) -> None:
    letters = server.client.get("/v1/operator/dead-letters", headers={"X-API-Key": server.key})
    assert (letters.status_code, letters.text) == (200, "")
    path = "/v1/operator/projections/devices/dead-letters"
    assert server.post(f"{path}/retry").json() == {"taken": 0, "still_parked": 0}
    assert server.post(f"{path}/discard").json() == {"discarded": 0}


@pytest.mark.parametrize("what", ["rebuild", "verify", "dead-letters/retry", "dead-letters/discard"])
def test_unknown_projection_is_named(server: Server, what: str) -> None:
    problem = refused(server.post(f"/v1/operator/projections/nothing/{what}"), 404)
    assert problem["detail"] == "there is no projection 'nothing'; `factline projections list` shows them"


@pytest.mark.parametrize("what", ["rebuild", "verify", "dead-letters/retry", "dead-letters/discard"])
def test_other_keys_may_do_nothing_of_this(server: Server, what: str) -> None:
    path = f"/v1/operator/projections/devices/{what}"
    assert "only the operator's key" in refused(server.post(path, server.demo_key), 403)["detail"]
    refused(server.post(path, "ak_wrong.sk_wrong"), 401)
    refused(server.client.post(path), 401)


def test_other_keys_see_no_dead_letters(server: Server) -> None:
    refused(server.client.get("/v1/operator/dead-letters", headers={"X-API-Key": server.demo_key}), 403)
