"""Keys, scopes and tenants."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.sqlite.documents import SqliteDocuments
from projections.rows import Patch
from read_api.edge.auth import Authenticator, Caller, Forbidden, Key, Unauthenticated, parse_key
from read_api.edge.scopes import may
from schemas.key_ids import key_tag
from tests.read_api.keys import KeysOfDocuments
from tests.read_api.world import ACME, BOLT, Stores, problem
from tests.read_api.world import Caller as Client

MakeClient = Callable[[str | None], Client]


class HandClock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_read_from_its_header() -> None:
    assert parse_key("ak_ci.sk_abc") == Key("ci", "abc")


def test_a_key_id_with_dots_is_read_whole() -> None:
    assert parse_key("ak_ci.sk_x.eu.sk_abc") == Key("ci.sk_x.eu", "abc")


@pytest.mark.parametrize(
    "header", [None, "", "ak_ci", "ci.sk_abc", "ak_.sk_abc", "ak_ci.sk_", "Bearer x", "ak_" + "x" * 600 + ".sk_a"]
)
def test_anything_else_is_no_key(header: str | None) -> None:
    with pytest.raises(Unauthenticated):
        parse_key(header)


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        (("*",), True),
        (("devices:*",), True),
        (("devices:read",), True),
        (("devices:write",), False),
        (("alerts:read",), False),
        ((), False),
    ],
)
def test_a_scope_allows_its_own_resource(scopes: tuple[str, ...], *, allowed: bool) -> None:
    assert may(Caller(ACME, "ci", scopes), "devices:read") is allowed


def test_a_request_without_a_key_is_refused(nobody: Client) -> None:
    response = nobody.get("/v1/devices")
    assert problem(response, 401)["detail"] == "no api key; send X-API-Key: ak_<id>.sk_<secret>"
    assert "www-authenticate" in response.headers


def test_an_unknown_key_and_a_wrong_secret_get_the_same_answer(stores: Stores, caller: MakeClient) -> None:
    stores.issue_key(ACME, "known", "*")
    unknown = problem(caller("ak_unknown.sk_x").get("/v1/devices"), 401)
    wrong = problem(caller("ak_known.sk_x").get("/v1/devices"), 401)
    assert unknown == wrong


def test_another_tenants_key_of_the_same_id_shuts_nobody_out(stores: Stores, authenticator: Authenticator) -> None:
    own = stores.issue_key(BOLT, "same", "*")
    other = stores.issue_key(ACME, "same", "*")
    assert own != other
    assert authenticator.authenticate(own).tenant_id == BOLT
    assert authenticator.authenticate(other).tenant_id == ACME


def test_a_key_works_where_its_hash_was_first(stores: Stores, authenticator: Authenticator) -> None:
    """Of before there were tags: another tenant had issued or rotated a key to the id and hash of this one."""
    copies: list[dict[str, Any]] = [
        {"issued_at": "2026-01-02"},
        {"issued_at": "2025-01-01", "rotated_at": "2026-01-02"},
    ]
    for number, copy in enumerate(copies):
        stores.issue_key(BOLT, f"copied-{number}", "*", secret="the same", **copy)
        key = stores.issue_key(ACME, f"copied-{number}", "*", secret="the same", issued_at="2026-01-01")
        assert authenticator.authenticate(key).tenant_id == ACME


def test_a_key_with_a_tag_works_in_its_tenant_alone(stores: Stores, authenticator: Authenticator) -> None:
    id_ = f"{key_tag(ACME)}first"
    stores.issue_key(BOLT, id_, "*", secret="the same", issued_at="2025")
    key = stores.issue_key(ACME, id_, "*", secret="the same", issued_at="2026")
    assert authenticator.authenticate(key).tenant_id == ACME


def test_a_revoked_key_opens_no_copy_of_it(stores: Stores, authenticator: Authenticator) -> None:
    stores.issue_key(BOLT, "gone", "*", secret="the same", issued_at="2026-01-02")
    key = stores.issue_key(ACME, "gone", "*", secret="the same", issued_at="2026-01-01", revoked=True)
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(key)


def test_a_key_without_the_scope_is_refused(stores: Stores, caller: MakeClient) -> None:
    client = caller(stores.issue_key(ACME, "narrow", "alerts:read"))
    assert client.get("/v1/alerts").status_code == 200
    assert problem(client.get("/v1/devices"), 403)["detail"] == "api key narrow lacks the scope devices:read"


RESOURCES = {
    "/v1/devices": "devices",
    "/v1/devices/filters": "devices",
    "/v1/devices/_filters": "devices",
    "/v1/devices/d/metrics": "devices",
    "/v1/devices/d/logs": "devices",
    "/v1/logs": "logs",
    "/v1/alerts": "alerts",
    "/v1/invoices": "invoices",
    "/v1/analytics/revenue": "analytics",
    "/v1/analytics/receivables": "analytics",
    "/v1/analytics/events": "analytics",
    "/v1/audit/events": "audit",
    "/v1/audit/streams/device-d": "audit",
    "/v1/ops/lag": "ops",
    "/v1/ops/projections": "ops",
    "/v1/ops/dead-letters": "ops",
    "/v1/live": "live",
}


@pytest.mark.parametrize("path", RESOURCES)
def test_every_answer_asks_for_its_scope(path: str, stores: Stores, caller: MakeClient) -> None:
    others = sorted({f"{resource}:read" for resource in RESOURCES.values()} - {f"{RESOURCES[path]}:read"})
    problem(caller(stores.issue_key(ACME, f"not{path.replace('/', '.')}", *others)).get(path), 403)


def test_a_suspended_tenant_is_refused(stores: Stores, caller: MakeClient) -> None:
    stores.put("tenants", "gone", "gone", status="SUSPENDED")  # type: ignore[arg-type]
    client = caller(stores.issue_key("gone", "gone-key", "*"))  # type: ignore[arg-type]
    assert "SUSPENDED" in problem(client.get("/v1/devices"), 403)["detail"]


def test_a_tenant_named_by_the_caller_changes_nothing(stores: Stores, acme: Client) -> None:
    stores.put("devices", BOLT, "of-bolt", hostname="of-bolt")
    assert acme.get("/v1/devices/of-bolt", headers={"X-Tenant-Id": "bolt"}).status_code == 404
    problem(acme.get("/v1/devices", tenant_id="bolt"), 400)
    problem(acme.get("/v1/logs", tenant_id="bolt"), 400)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def authenticator(stores: Stores, clock: HandClock) -> Authenticator:
    return Authenticator(KeysOfDocuments(stores.documents), clock=clock, remembered=2)


def test_a_revoked_key_is_refused_after_a_second(
    stores: Stores, authenticator: Authenticator, clock: HandClock
) -> None:
    key = stores.issue_key(ACME, "revoked-soon", "*")
    assert authenticator.authenticate(key) == Caller(ACME, "revoked-soon", ("*",))
    stores.write("callers", [Patch(ACME, "revoked-soon", "events", 2, {"revoked": True})])
    clock.now = 0.9
    assert authenticator.authenticate(key).tenant_id == ACME
    clock.now = 1.0
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(key)


def test_a_suspension_is_seen_after_a_second_and_its_end_at_once(
    stores: Stores, authenticator: Authenticator, clock: HandClock
) -> None:
    stores.put("tenants", "brief", "brief", status="ACTIVE")  # type: ignore[arg-type]
    key = stores.issue_key("brief", "brief-key", "*")  # type: ignore[arg-type]
    authenticator.authenticate(key)
    stores.put("tenants", "brief", "brief", order=2, status="SUSPENDED")  # type: ignore[arg-type]
    clock.now = 1.0
    with pytest.raises(Forbidden):
        authenticator.authenticate(key)
    stores.put("tenants", "brief", "brief", order=3, status="ACTIVE")  # type: ignore[arg-type]
    assert authenticator.authenticate(key).tenant_id == "brief"


def test_only_so_many_keys_are_remembered(stores: Stores, authenticator: Authenticator) -> None:
    for number in range(5):
        authenticator.authenticate(stores.issue_key(ACME, f"one-of-many-{number}", "*"))
    assert len(authenticator._callers) == 2


def test_a_wrong_secret_is_refused_while_the_right_one_is_remembered(
    stores: Stores, authenticator: Authenticator
) -> None:
    key = stores.issue_key(ACME, "remembered", "*")
    authenticator.authenticate(key)
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(key + "x")


def test_a_caller_is_known_on_the_event_loop_as_off_it(
    stores: Stores, authenticator: Authenticator, clock: HandClock
) -> None:
    async def twice() -> list[Caller]:
        return [await authenticator.identify(key), await authenticator.identify(key)]

    key = stores.issue_key(ACME, "on-the-loop", "*")
    assert asyncio.run(twice()) == [authenticator.authenticate(key)] * 2
    stores.write("callers", [Patch(ACME, "on-the-loop", "events", 2, {"revoked": True})])
    clock.now = 1.0
    with pytest.raises(Unauthenticated):
        asyncio.run(authenticator.identify(key))


def test_the_documents_are_not_asked_again_within_a_second(tmp_path: Path, stores: Stores) -> None:
    documents = SqliteDocuments(tmp_path / "closed.db", ())
    authenticator = Authenticator(KeysOfDocuments(stores.documents), clock=HandClock())
    key = stores.issue_key(ACME, "asked-once", "*")
    caller = authenticator.authenticate(key)
    authenticator._credentials = KeysOfDocuments(documents)
    assert authenticator.authenticate(key) == caller
    documents.close()


def test_who_asks_is_found_while_long_jobs_hold_the_loops_own_threads(stores: Stores) -> None:
    header = stores.issue_key(ACME, "beside-jobs", "*")
    over = threading.Event()

    async def ask() -> Caller:
        loop = asyncio.get_running_loop()
        jobs = [loop.run_in_executor(None, over.wait) for _ in range(40)]
        try:
            return await asyncio.wait_for(Authenticator(KeysOfDocuments(stores.documents)).identify(header), 20)
        finally:
            over.set()
            await asyncio.gather(*jobs)

    assert asyncio.run(ask()).tenant_id == ACME


def test_callers_who_ask_with_one_key_at_once_are_looked_up_once(stores: Stores, authenticator: Authenticator) -> None:
    header = stores.issue_key(ACME, "shared", "*")
    looked_up = 0
    look_up = authenticator.authenticate

    def counted(header: str | None) -> Caller:
        nonlocal looked_up
        looked_up += 1
        return look_up(header)

    async def scenario() -> list[Caller | BaseException]:
        asking = [asyncio.create_task(authenticator.identify(header)) for _ in range(20)]
        await asyncio.sleep(0)
        # the one who asked first takes the answer from nobody else
        asking[0].cancel()
        return await asyncio.gather(*asking, return_exceptions=True)

    authenticator.authenticate = counted  # type: ignore[method-assign]
    first, *others = asyncio.run(scenario())
    assert isinstance(first, asyncio.CancelledError)
    assert looked_up == 1
    assert {other.tenant_id for other in others if isinstance(other, Caller)} == {ACME}
