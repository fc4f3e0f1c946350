import pytest
from fastapi import FastAPI

from read_api.edge.asking import add_edge
from read_api.edge.auth import Caller
from schemas.envelope import StreamId, TenantId, Topic
from streams.intake.http.app import add_intake_problems
from streams.intake.http.onboarding import Tenants, new_key
from streams.intake.http.tenants import tenants_router
from streams.ports import OutcomeUnknown, Reply, Submission
from streams.write.writer import Writer
from tests.streams.intake.http.ways_in import CALLERS, WaysIn, refused, served
from tests.streams.kit import register_tenant


def test_operator_registers_a_tenant_and_gets_its_first_key_once(way: WaysIn) -> None:
    answer = way.post("/v1/tenants", {"tenant_id": "globex", "name": "Globex"}, key="operator")
    assert answer.status_code == 201
    assert answer.json()["api_key"].startswith("ak_")
    registered = way.log.read_stream(TenantId("globex"), StreamId("tenant-globex"), after=0, limit=10)
    assert len(registered) == 1
    again = way.post("/v1/tenants", {"tenant_id": "globex", "name": "Globex"}, key="operator")
    assert refused(again, 409)["detail"] == "tenant globex is registered already"
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


def test_key_is_told_although_answers_were_lost_on_the_way(writer: Writer) -> None:
    writer.write([register_tenant("system")])
    app = FastAPI()
    add_edge(app, _operator)
    add_intake_problems(app)
    app.include_router(tenants_router(Tenants(LosesAnswers(writer, 2))))
    with served(app) as client:
        answer = client.post("/v1/tenants", json={"tenant_id": "globex", "name": "Globex"})
    assert answer.status_code == 201
    assert answer.json()["api_key"].startswith("ak_")


def test_secret_of_a_key_is_nowhere_in_the_log(way: WaysIn) -> None:
    answer = way.post("/v1/tenants", {"tenant_id": "globex", "name": "Globex"}, key="operator").json()
    secret = answer["api_key"].partition(".sk_")[2]
    entries = way.entries(Topic.EVENTS, "globex")
    assert len(entries) == 2
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
    first, second = new_key(), new_key()
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
