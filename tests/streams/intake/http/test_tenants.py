import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from domain.identity.api_key import RevokeApiKey
from domain.identity.processes import TENANT_ONBOARDING
from domain.identity.user import AcceptInvitation
from infra.sqlite.documents import SqliteDocuments
from infra.sqlite.event_log import SqliteEventLog
from projections.rows import Patch, View
from read_api.edge.asking import add_edge
from read_api.edge.auth import Caller
from schemas.envelope import StreamId, TenantId, Topic
from streams.intake import live_keys
from streams.intake.http.accepting import Refused
from streams.intake.http.app import add_intake_problems
from streams.intake.http.onboarding import Given, Owner, Tenants, new_key
from streams.intake.http.tenants import tenants_router
from streams.intake.live_keys import by_credentials, by_log
from streams.ports import LogUnavailable, OutcomeUnknown, Reply, Submission, SystemClock
from streams.write.writer import Writer
from tests.read_api.keys import ASKING, KeysOfDocuments
from tests.streams.intake.http.ways_in import CALLERS, WaysIn, refused, served
from tests.streams.kit import TESTER, register_tenant, submission


def test_operator_registers_a_tenant_and_gets_its_first_key_once(way: WaysIn) -> None:
    answer = way.post("/v1/tenants", {"tenant_id": "globex", "name": "Globex"}, key="operator")
    assert answer.status_code == 201
    assert answer.json()["api_key"].startswith("ak_")
    registered = way.log.read_stream(TenantId("globex"), StreamId("tenant-globex"), after=0, limit=10)
    assert len(registered) == 1
    again = way.post("/v1/tenants", {"tenant_id": "globex", "name": "Globex"}, key="operator")
    assert refused(again, 409)["detail"] == (
        "tenant globex is registered already and has a key; `factline tenants key globex` gives another"
    )
    assert "api_key" not in again.text


class LosesAnswers:
    """A gate whose first answers are lost after the writer has decided."""

    def __init__(self, writer: Writer, lost: int) -> None:
        self._writer, self._lost = writer, lost

    async def execute(self, submission: Submission) -> Reply:
        [reply] = self._writer.write([submission])
        if self._lost:
            self._lost -= 1
            raise OutcomeUnknown("no reply came")
        return reply


async def _operator(_key: str | None) -> Caller:
    return CALLERS["operator"]


def test_key_is_told_although_answers_were_lost_on_the_way(writer: Writer, log: SqliteEventLog) -> None:
    writer.write([register_tenant("system")])
    app = FastAPI()
    add_edge(app, _operator, "")
    add_intake_problems(app)
    app.include_router(tenants_router(Tenants(LosesAnswers(writer, 2), by_log(log))))
    with served(app) as client:
        answer = client.post("/v1/tenants", json={"tenant_id": "globex", "name": "Globex"})
    assert answer.status_code == 201
    assert answer.json()["api_key"].startswith("ak_")


def test_secret_of_a_key_is_nowhere_in_the_log(way: WaysIn) -> None:
    answer = way.post("/v1/tenants", {"tenant_id": "globex", "name": "Globex"}, key="operator").json()
    secret = answer["api_key"].partition(".sk_")[2]
    entries = way.entries(Topic.EVENTS, "globex")
    assert "api_key.issued" in [entry.type for entry in entries]
    assert secret not in str(entries)


def test_other_keys_register_no_tenant(way: WaysIn) -> None:
    answer = way.post("/v1/tenants", {"tenant_id": "globex", "name": "Globex"}, key="demo")
    assert refused(answer, 403)["detail"] == "only the operator's key may register tenants"


@pytest.mark.parametrize(
    "body",
    [
        {"tenant_id": "Globex", "name": "Globex"},
        {"tenant_id": "", "name": "Globex"},
        {"tenant_id": "g" * 64, "name": "Globex"},
        {"tenant_id": "glo|bex", "name": "Globex"},
        {"tenant_id": "globex"},
        {"tenant_id": "globex", "name": "Globex", "plan": "gold"},
        [],
        b"{",
        b'{"tenant_id": "globex", "name": "\\ud800"}',
    ],
)
def test_tenant_that_does_not_fit_is_refused(way: WaysIn, body: object) -> None:
    assert refused(way.post("/v1/tenants", body, key="operator"), 422)["errors"]


def test_new_keys_differ_and_the_command_holds_no_secret() -> None:
    first, second = new_key(TenantId("acme")), new_key(TenantId("acme"))
    assert first.text != second.text
    assert first.text.partition(".sk_")[2] not in str(first.command)


def test_operator_suspends_a_tenant_and_makes_it_active_again(way: WaysIn) -> None:
    device = {"device_id": "web-1", "hostname": "web-1.example"}
    suspended = way.post("/v1/tenants/acme/suspend", {"reason": "unpaid"}, key="operator")
    assert (suspended.status_code, suspended.json()["events"]) == (200, ["tenant.suspended"])
    assert way.post("/v1/tenants/acme/suspend", key="operator").json()["events"] == []
    said = refused(way.command("fleet.RegisterDevice", device, key="acme"), 403)["detail"]
    assert said == "tenant is SUSPENDED"
    reactivated = way.post("/v1/tenants/acme/reactivate", {"reason": "paid"}, key="operator")
    assert (reactivated.status_code, reactivated.json()["events"]) == (200, ["tenant.reactivated"])
    assert way.command("fleet.RegisterDevice", device, key="acme").status_code == 200
    recorded = [(entry.type, entry.actor.id) for entry in way.entries(Topic.EVENTS, "acme")[1:3]]
    assert recorded == [("tenant.suspended", "operator"), ("tenant.reactivated", "operator")]


@pytest.mark.parametrize("how", ["suspend", "reactivate"])
def test_only_the_operator_changes_the_status_of_a_tenant(way: WaysIn, how: str) -> None:
    said = refused(way.post(f"/v1/tenants/demo/{how}", {}, key="demo"), 403)["detail"]
    assert said == f"only the operator's key may {how} tenants"
    command = f"identity.{how.title()}Tenant"
    refused(way.command(command, {"tenant_id": "demo", "reason": "x"}), 404)
    [reply] = way.batch({"command": command, "body": {"tenant_id": "demo", "reason": "x"}})
    assert reply["kind"] == "not_found"


def test_tenant_that_cannot_be_suspended_or_reactivated_is_told_why(way: WaysIn) -> None:
    unknown = refused(way.post("/v1/tenants/nobody/suspend", key="operator"), 404)
    assert "tenant is not known here" in unknown["detail"]
    own = refused(way.post("/v1/tenants/system/suspend", key="operator"), 403)
    assert "the operator's own tenant stays active" in own["detail"]
    refused(way.post("/v1/tenants/No Name/suspend", key="operator"), 422)
    refused(way.post("/v1/tenants/acme/suspend", {"why": "x"}, key="operator"), 422)
    way.command("identity.CloseTenant", {"tenant_id": "acme", "reason": "moved"}, key="acme")
    closed = refused(way.post("/v1/tenants/acme/reactivate", key="operator"), 403)
    assert closed["detail"] == "tenant acme is CLOSED, and stays closed"


class Breaks:
    """A gate whose process is killed after so many commands."""

    def __init__(self, writer: Writer, after: int) -> None:
        self._writer, self._left = writer, after

    async def execute(self, submission: Submission) -> Reply:
        if not self._left:
            raise LogUnavailable("killed")
        self._left -= 1
        [reply] = self._writer.write([submission])
        return reply


GLOBEX = TenantId("globex")


@contextmanager
def view_of_keys(folder: Path) -> Iterator[tuple[SqliteDocuments, Callable[..., None]]]:
    """Give a view of keys, and what tells it of one."""
    view = View(ASKING.name, 1)

    def issue(key_id: str, **fields: Any) -> None:
        documents.apply(view, [Patch(GLOBEX, key_id, "events", 1, {"issued_at": "2026", **fields})])

    with closing(SqliteDocuments(folder / "documents.sqlite", [ASKING])) as documents:
        documents.create(view)
        documents.switch(view)
        yield documents, issue


def added(writer: Writer, log: SqliteEventLog, *, after: int = 9) -> Given:
    return asyncio.run(Tenants(Breaks(writer, after), by_log(log)).add(GLOBEX, "Globex", TESTER))


@pytest.mark.parametrize("registered", [False, True], ids=["before", "after its registration by an earlier version"])
def test_onboarding_that_was_killed_is_taken_up_again(writer: Writer, log: SqliteEventLog, *, registered: bool) -> None:
    with pytest.raises(LogUnavailable):
        added(writer, log, after=0)
    if registered:
        writer.write([register_tenant("globex")])
    given = added(writer, log)
    assert given.api_key.startswith("ak_")
    assert given.registered is not registered
    with pytest.raises(Refused, match="is registered already and has a key"):
        added(writer, log)


def test_tenant_its_first_key_and_its_owner_are_one_transaction(writer: Writer, log: SqliteEventLog) -> None:
    owner = Owner("ann", "ann@globex.example")
    with pytest.raises(LogUnavailable):
        # killed after the registration, before anything else is sent
        asyncio.run(Tenants(Breaks(writer, 1), by_log(log)).add(GLOBEX, "Globex", TESTER, owner))
    entries = [entry for entry in log.read(Topic.EVENTS, 0, after=0, limit=99) if entry.tenant_id == GLOBEX]
    assert [entry.type for entry in entries if entry.stream != "tenant_onboarding-globex"] == [
        "tenant.registered",
        "api_key.issued",
        "user.invited",
        "timer.set",
    ]
    onboarding = [entry.type for entry in entries if entry.stream == "tenant_onboarding-globex"]
    assert onboarding == [*["process.asked"] * 2, *["process.answered"] * 2, "onboarding.step.done"]
    # the key's secret was not told: the operator gives another, and the owner joins
    with pytest.raises(Refused, match="has a key"):
        added(writer, log)
    writer.write([submission(AcceptInvitation(user_id="ann"), tenant="globex")])
    joined = log.read_stream(GLOBEX, StreamId("tenant_onboarding-globex"), after=5, limit=9)
    assert [entry.type for entry in joined] == ["onboarding.step.done", "tenant.onboarded"]


def test_position_of_a_new_tenant_is_that_of_its_key(writer: Writer, log: SqliteEventLog) -> None:
    given = added(writer, log)
    assert given.reply.position is not None
    assert log.read(Topic.EVENTS, 0, after=given.reply.position.position - 1, limit=1)[0].type == "api_key.issued"


def test_tenant_gets_its_first_key_also_where_the_process_breaks(log: SqliteEventLog) -> None:
    def crash(*_: object) -> Any:
        raise ZeroDivisionError

    broken = Writer(log, SystemClock(), processes=(replace(TENANT_ONBOARDING, react=crash),))
    assert added(broken, log).registered
    assert asyncio.run(by_log(log)(GLOBEX))


def test_tenant_whose_last_key_is_revoked_gets_another(writer: Writer, log: SqliteEventLog) -> None:
    keys = []
    for _ in range(3):
        given = added(writer, log)
        keys.append(given.api_key)
        key_id = given.api_key.removeprefix("ak_").partition(".sk_")[0]
        writer.write([submission(RevokeApiKey(key_id=key_id), tenant="globex")])
    assert len(set(keys)) == 3


def test_gateway_that_is_behind_its_log_gives_no_second_first_key(
    writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_keys, "_LOOK_S", 0.01)
    with view_of_keys(tmp_path) as (documents, issue):
        tenants = Tenants(Breaks(writer, 9), by_credentials(KeysOfDocuments(documents)))
        given = asyncio.run(tenants.add(GLOBEX, "Globex", TESTER))
        with pytest.raises(Refused, match="has a key"):
            asyncio.run(tenants.add(GLOBEX, "Globex", TESTER))
        # it has read on, and the key was revoked
        issue(given.key_id, revoked=True)
        assert asyncio.run(tenants.add(GLOBEX, "Globex", TESTER)).registered is False


def test_credentials_know_of_a_key_that_works(tmp_path: Path) -> None:
    with view_of_keys(tmp_path) as (documents, issue):
        for n in range(120):
            issue(f"k{n:03}", revoked=True)
        assert asyncio.run(by_credentials(KeysOfDocuments(documents))(GLOBEX)) is False
        issue("k050-and-a-half", revoked=False)
        assert asyncio.run(by_credentials(KeysOfDocuments(documents))(GLOBEX)) is True


def test_operator_gives_a_tenant_one_more_key(way: WaysIn) -> None:
    answer = way.post("/v1/tenants/acme/keys", {"name": "spare", "scopes": ["devices:read"]}, key="operator")
    assert answer.status_code == 201
    assert answer.json()["scopes"] == ["devices:read"]
    issued = way.entries(Topic.EVENTS, "acme")[-1]
    assert f"ak_{issued.data['key_id']}.sk_" in answer.json()["api_key"]
    assert (issued.data["name"], issued.data["scopes"]) == ("spare", ["devices:read"])
    assert way.post("/v1/tenants/acme/keys", key="operator").json()["scopes"] == ["*"]
    refused(way.post("/v1/tenants/nobody/keys", key="operator"), 404)
    refused(way.post("/v1/tenants/acme/keys", {"scopes": []}, key="operator"), 422)
    said = refused(way.post("/v1/tenants/demo/keys", key="demo"), 403)["detail"]
    assert said == "only the operator's key may give keys to tenants"
