"""A server of this machine answers under its own names only."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from infra.serve.hosts import HOSTS, guard_hosts
from read_api.edge.safe import SAFE


def client(listens_on: str = "127.0.0.1", hosts: str = "") -> TestClient:
    app = FastAPI()
    app.add_api_route("/", lambda: "here")

    async def socket(websocket: object) -> None:
        await websocket.accept()  # type: ignore[attr-defined]

    app.router.add_websocket_route("/", socket)
    guard_hosts(app, listens_on, {HOSTS: hosts})
    return TestClient(app)


def status(client: TestClient, host: str) -> int:
    return client.get("/", headers={"Host": host}).status_code


OWN = (
    "127.0.0.1",
    "127.0.0.1:8080",
    "localhost",
    "LocalHost:1",
    "localhost.",
    "[::1]",
    "[::1]:8080",
    "192.0.2.7:80",
    "",
)
OTHERS = ("evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "0x7f.1", "[evil]:1")


@pytest.mark.parametrize("host", OWN)
def test_own_names_are_answered(host: str) -> None:
    assert status(client(), host) == 200


@pytest.mark.parametrize("host", OTHERS)
def test_name_that_another_site_gave_this_address_is_refused(host: str) -> None:
    answer = client().get("/", headers={"Host": host})
    assert (answer.status_code, answer.headers["content-type"]) == (421, "application/problem+json")
    assert HOSTS in answer.json()["detail"]
    assert SAFE.items() <= {name.title(): value for name, value in answer.headers.items()}.items() | {
        ("X-Frame-Options", answer.headers["x-frame-options"])
    }
    with pytest.raises(WebSocketDisconnect), client().websocket_connect("/", headers={"Host": host}):
        pass


def test_names_that_are_said_are_own_names_everywhere() -> None:
    for listens_on in ("127.0.0.1", "0.0.0.0", "gateway"):
        guarded = client(listens_on, "factline.example, Other.example")
        assert [status(guarded, host) for host in ("factline.example:443", "other.example", "evil.example")] == [
            200,
            200,
            421,
        ]


@pytest.mark.parametrize("listens_on", ["0.0.0.0", "gateway", "192.0.2.7"])
def test_server_for_others_has_the_names_that_they_give_it(listens_on: str) -> None:
    assert status(client(listens_on), "factline.example") == 200
