"""Nothing that a tenant can store runs in the page, and axe-core finds nothing in any room, in light and in dark."""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import pytest
from selenium.webdriver import Chrome

from tests.end_to_end import browser as browsers
from tests.end_to_end.axe import findings
from tests.end_to_end.conftest import Server
from tests.end_to_end.page import Page, tab

# one walk goes through all rooms twice, in light and in dark
pytestmark = pytest.mark.timeout(900)

# each would set `ran`, if it ran; the first only where it is an address
KINDS = (
    "javascript:ran=1//",
    "<script>ran=2</script>",
    "<img src=x onerror=ran=3>",
    '"autofocus onfocus=ran=4 x="',
    "<svg onload=ran=5>",
    "{{constructor.constructor('ran=6')()}}",
)
# nothing of these would be left to look at
NOT_SENT = {"identity/CloseTenant"}
FEWEST_STORED = 45
ROOMS = (
    "/",
    "/devices",
    "/devices/device-1?stream=device-device-1",
    "/alerts?stream=alert-alert-1",
    "/watches?new=yes",
    "/watches/watch-2",
    "/maintenance",
    "/logs",
    "/scripts",
    "/scripts/script-2?stream=script-script-2",
    "/runs",
    "/runs/run-2?stream=command_execution-run-2",
    "/releases",
    "/releases/release-2?stream=agent_release-release-2",
    "/organizations",
    "/organizations/organization-1?stream=organization-organization-1",
    "/leads",
    "/leads/lead-1?stream=lead-lead-1",
    "/quotes",
    "/quotes/quote-2?stream=quote-quote-2",
    "/team",
    "/customers",
    "/customers/customer-1",
    "/invoices",
    "/transactions",
    "/transactions/transaction-2?stream=transaction-transaction-2",
    "/budgets",
    "/content",
    "/content/content-1?stream=content-content-1",
    "/workflows",
    "/workflows/workflow-2?stream=workflow-workflow-2",
    "/executions/execution-2?stream=execution-execution-2",
    "/agents",
    "/agents/agent-2?stream=agent-agent-2",
    "/agents/runs/agent-run-2?stream=agent_execution-agent-run-2",
    "/conversations",
    "/conversations/conversation-2?stream=conversation-conversation-2",
    "/collections",
    "/collections/collection-2?stream=vector_collection-collection-2",
    "/tools",
    "/tools/tool-2?stream=tool-tool-2",
    "/tasks",
    "/tasks/task-1?stream=task-task-1",
    "/events",
    "/import?kind=invoices",
    "/import?kind=logs",
    "/integrations",
    "/integrations/webhooks/endpoint-2?stream=webhook_endpoint-endpoint-2",
    "/integrations/connectors/connector-2?stream=connector-connector-2",
    "/system",
    "/settings",
    "/account",
)
_ALL = "".join(KINDS)
_ADDRESS = f"https://127.0.0.1/{KINDS[4].replace(' ', '')}"
# what the shortest body that is described does not bring about
_BESIDE: tuple[tuple[str, Mapping[str, Any]], ...] = (
    (
        "fleet/DefineWatch",
        {
            "watch_id": "watch-2",
            "name": _ALL,
            "severity": "info",
            "rule": {"kind": "failures", "contains": _ALL, "count": 9, "within_s": 9},
        },
    ),
    (
        "sales/DraftQuote",
        {
            "quote_id": "quote-2",
            "customer_id": "customer-1",
            "currency": "EUR",
            "lines": [{"product": KINDS[2], "quantity": 1, "unit_price": 1, "description": KINDS[4]}],
        },
    ),
    # the first device was retired
    ("fleet/RegisterDevice", {"device_id": "device-2", "hostname": "device-2"}),
    ("execution/RunCommand", {"execution_id": "run-2", "device_id": "device-2", "shell": "bash", "body": _ALL}),
    ("execution/StartExecution", {"execution_id": "run-2"}),
    ("execution/ReportResult", {"execution_id": "run-2", "exit_code": 0, "stdout": _ALL}),
    ("execution/CreateScript", {"script_id": "script-2", "name": _ALL, "shell": "bash", "body": _ALL}),
    (
        "execution/ScheduleScript",
        {"schedule_id": "schedule-2", "script_id": "script-2", "device_ids": ["device-2"], "every_s": 86_400},
    ),
    (
        "fleet/PlanMaintenance",
        {
            "maintenance_id": "maintenance-2",
            "device_id": "device-2",
            "begins_at": "2030-01-31T08:30:00Z",
            "ends_at": "2030-01-31T09:30:00Z",
            "reason": _ALL,
        },
    ),
    ("automation/CreateWorkflow", {"workflow_id": "workflow-2", "name": _ALL, "description": _ALL}),
    (
        "automation/PublishWorkflow",
        {"workflow_id": "workflow-2", "nodes": [{"id": "ask", "type": "approval", "name": KINDS[2]}]},
    ),
    ("automation/ExecuteWorkflow", {"workflow_id": "workflow-2", "execution_id": "execution-2", "input": {_ALL: _ALL}}),
    ("automation/ApproveNode", {"execution_id": "execution-2", "node_id": "ask", "note": _ALL}),
    ("automation/ExecuteWorkflow", {"workflow_id": "workflow-2", "execution_id": "execution-3", "input": _ALL}),
    (
        "automation/RegisterTool",
        {"tool_id": "tool-2", "name": _ALL, "description": _ALL, "kind": "http.check", "parameters": {"title": _ALL}},
    ),
    (
        "automation/SetPolicy",
        {"policy_id": "policy-2", "name": _ALL, "rules": [{"tools": ["tool-2"], "decision": "deny", "reason": _ALL}]},
    ),
    ("automation/RegisterModel", {"model_id": "model-2", "name": _ALL, "model": KINDS[2]}),
    (
        "automation/CreateAgent",
        {"agent_id": "agent-2", "name": _ALL, "prompt": _ALL, "model_id": "model-2", "tools": ["tool-2"]},
    ),
    ("automation/ExecuteAgent", {"execution_id": "agent-run-2", "agent_id": "agent-2", "input": _ALL}),
    ("automation/StartConversation", {"conversation_id": "conversation-2", "agent_id": "agent-2", "title": _ALL}),
    ("automation/AddMessage", {"conversation_id": "conversation-2", "text": _ALL}),
    (
        "automation/CreateVectorCollection",
        {"collection_id": "collection-2", "name": _ALL, "model": _ALL, "dimensions": 1},
    ),
    (
        "automation/PutDocuments",
        {"collection_id": "collection-2", "change_id": "change-2", "documents": [{"id": "page-2", "vector": [1]}]},
    ),
    (
        "operations/PublishAgentRelease",
        {"release_id": "release-2", "version": KINDS[2], "digest": "0" * 64, "device_ids": ["device-2"]},
    ),
    ("operations/HaltAgentRelease", {"release_id": "release-2", "reason": _ALL}),
    ("integration/PauseWebhook", {"endpoint_id": "endpoint-2", "reason": _ALL}),
    (
        "finance/RecordTransaction",
        {
            "transaction_id": "transaction-2",
            "account": _ALL,
            "booked_at": "2026-01-31T08:30:00Z",
            "amount": 1,
            "currency": "EUR",
            "party": KINDS[2],
            "reference": _ALL,
        },
    ),
)
WIDTHS = (390, 1400)
_INJECTED = "[onerror], [onload], [onfocus], img[src=x], [href^='javascript:']"


class Walked(NamedTuple):
    """What was found on a walk through all rooms. Shape: `shown` is all that stood there."""

    shown: str
    ran: list[str]
    findings: list[str]
    wide: list[str]


@pytest.fixture(scope="module")
def stored(server: Server) -> Server:
    """Give the server once every field that takes such a text has one."""
    description = server.get("/openapi.json")
    sent = {
        path: list(_bodies(description, path))
        for path, does in description["paths"].items()
        if "/v1/commands/" in path and "post" in does
    }
    with closing(server.client()) as client:
        taken = [path for path, bodies in sent.items() if any(client.post(path, json=one).is_success for one in bodies)]
    assert len(taken) >= FEWEST_STORED, taken
    server.post("/v1/webhook_endpoints", {"endpoint_id": "endpoint-2", "url": _ADDRESS, "types": ["device.registered"]})
    for path, body in _BESIDE:
        server.post(f"/v1/commands/{path}", body)
    server.post("/v1/clients", {"name": _ALL, "scopes": ["devices:read"]})
    _bring_in(server)
    issuer = {"issuer": "https://id.example", "client_id": _ALL, "client_secret": "hush"}
    server.post("/v1/sign_in_providers", {"provider_id": "provider-2", "name": _ALL, **issuer})
    fact = {"happened_at": "2026-11-20T10:00:00Z", "device_id": "device-1"}
    metric = {"metrics": {KINDS[2]: 1, KINDS[1]: 2, KINDS[0]: 3}, "unit": KINDS[4]}
    fields = ("summary", "details", "event_type", "tool_type", "user_id", "hostname")
    lines = [{"severity": "info", **dict.fromkeys(fields, kind)} for kind in KINDS]
    for data, type_ in ((metric, "device.metrics.reported"), *((line, "log.recorded") for line in lines)):
        server.post("/v1/telemetry", [{**fact, "type": type_, "data": data}])
    return server


def _bring_in(server: Server) -> None:
    """Let a system outside send a change whose every part is such a text."""
    given = server.post("/v1/connectors", {"connector_id": "connector-2", "tool_type": _ALL, "format": "debezium"})
    row = {"id": _ALL, KINDS[2]: KINDS[4]}
    source = {"db": KINDS[1], "schema": KINDS[2], "table": KINDS[4], "lsn": 7}
    change = {"op": "u", "before": None, "after": row, "source": source, "key": {_ALL: _ALL}, "ts_ms": 1}
    said = {"Authorization": f"Bearer {given['secret']}"}
    answer = httpx.post(f"{server.address}{given['address']}", json=change, headers=said, timeout=10)
    assert answer.is_success, answer.text
    server.command("integration.PauseConnector", connector_id="connector-2", reason=_ALL)


def _bodies(description: Mapping[str, Any], path: str) -> Iterator[Any]:
    """Give what a command takes, with as many of these texts in it as may be, and then with those it needs only."""
    if path.removeprefix("/v1/commands/") in NOT_SENT:
        return
    body = description["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    schema = _whole(description, body["schema"])
    example = body["example"]
    yield {**_fields(description, schema, example, every=True)}
    yield {**_fields(description, schema, example, every=False)}
    yield example


def _fields(description: Mapping[str, Any], schema: Mapping[str, Any], example: Any, *, every: bool) -> dict[str, Any]:
    known = schema.get("properties", {})
    wanted = known if every else example
    said = {name: _filled(description, known.get(name, {}), example.get(name), every=every) for name in wanted}
    return {name: value for name, value in said.items() if value is not None}


def _filled(description: Mapping[str, Any], schema: Mapping[str, Any], example: Any, *, every: bool) -> Any:
    schema = _whole(description, schema)
    if isinstance(example, list):
        return [_filled(description, schema.get("items", {}), one, every=every) for one in example]
    if isinstance(example, dict) and schema.get("properties"):
        return _fields(description, schema, example, every=every)
    if schema.get("type") == "string" and not {"enum", "format", "const"} & schema.keys():
        # all of them where they fit, else the longest that does
        for text in ("".join(KINDS), *sorted(KINDS, key=len, reverse=True)):
            if len(text) <= schema.get("maxLength", len(text)) and re.search(schema.get("pattern", ""), text):
                return text
    return example


def _whole(description: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "anyOf" in schema:
        schema = next((one for one in schema["anyOf"] if one.get("type") != "null"), {})
    if "$ref" in schema:
        return _whole(description, description["components"]["schemas"][schema["$ref"].split("/")[-1]])
    return schema


@pytest.fixture(scope="module")
def walked(browser: Chrome, stored: Server) -> Walked:
    invoice = stored.get("/v1/invoices")["rows"][0]["id"]
    change = stored.get("/v1/received_changes")["rows"][0]["id"]
    late = (
        f"/invoices/{invoice}?stream=invoice-{invoice}",
        f"/integrations/changes/{quote(change)}?stream=change-{quote(change)}",
    )
    walked = Walked("", [], [], [])
    with tab(browser, stored.address) as page:
        for room in (*ROOMS, *late):
            walked = _look(page, stored, room, walked)
    return walked


def _look(page: Page, stored: Server, room: str, walked: Walked) -> Walked:
    page.open(stored.api_key, room)
    page.settled()
    if "stream=" in room:
        page.until_text("#history label", "version")
    if page.run("return typeof ran") != "undefined" or page.all(_INJECTED):
        walked.ran.append(room)
    walked.findings.extend(f"{room} {one}" for one in findings(page))
    shown = page.text("body")
    for width in WIDTHS:
        browsers.resize(page.browser, width, 900)
        if page.run("return document.documentElement.scrollWidth") > width:
            walked.wide.append(f"{room} at {width}")
    browsers.resize(page.browser, 1280, 900)
    return walked._replace(shown=walked.shown + shown)


def test_nothing_that_is_stored_runs_in_any_room(walked: Walked) -> None:
    assert walked.ran == [], walked.ran
    # they were shown
    assert [kind for kind in KINDS if kind not in walked.shown] == []


def test_axe_finds_nothing_in_any_room_in_light_and_in_dark(walked: Walked) -> None:
    assert walked.findings == [], "\n".join(walked.findings)


def test_no_room_is_wider_than_the_window(walked: Walked) -> None:
    assert walked.wide == [], walked.wide
