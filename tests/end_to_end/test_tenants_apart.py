"""Whatever two tenants command: no answer of any kind holds a row of the other."""

import re
from collections.abc import Iterator
from itertools import count, product
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from graphql import get_named_type, is_leaf_type
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from domain import catalog
from domain.message import adapter
from infra.embedded import Embedded
from infra.serve.embedded import create_app
from read_api.graphql.schema import schema
from schemas.envelope import TenantId
from schemas.key_ids import key_tag
from streams.intake.http.onboarding import onboard
from streams.ports import FactSubmission
from tests.strategies import messages, of_tenant
from tests.streams.intake.http.ways_in import served
from tests.streams.kit import TESTER

pytestmark = pytest.mark.full

MARKS = ("AAxqz", "BByqw")
NOBODY = "CCzqv"
SENT = tuple(messages(mark) for mark in MARKS)
NUMBERS = count()
LISTS_AT_ONCE = 20

PUBLIC = {"/metrics", "/v1/ops/health", "/v1/ops/alive", "/docs", "/openapi.json", "/docs/oauth2-redirect"}
"""What needs no key."""

said = st.tuples(
    *(st.tuples(st.lists(sent.commands, min_size=15, max_size=40), st.lists(sent.facts, max_size=4)) for sent in SENT)
)


class Server:
    def __init__(self, embedded: Embedded, app: FastAPI, client: httpx.Client) -> None:
        self.embedded = embedded
        self.client = client
        self.paths = [path for path, methods in app.openapi()["paths"].items() if "get" in methods]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("apart")
    with Embedded.open(folder) as embedded:
        app = create_app(embedded, host_metrics=False)
        with served(app) as client:
            yield Server(embedded, app, client)


class Tenant:
    """A tenant that did not exist before, its key, and what it sent."""

    def __init__(self, server: Server, mark: str) -> None:
        number = next(NUMBERS)
        self.mark = mark
        self._server = server
        # the one's name begins with the other's: a prefix match would mix them
        onboarding = onboard(f"t{number // 2}" + ("-b" if number % 2 else ""), mark, TESTER)  # type: ignore[arg-type]
        self.tenant_id = onboarding.submissions[0].tenant_id
        reply = server.embedded.writer.write(onboarding.submissions)[-1]
        self._headers = {"X-API-Key": onboarding.api_key}
        assert reply.position is not None
        self._positions = [str(reply.position)]
        assert server.embedded.views.operations.wait_for(["tenants", "keys"], reply.position, 30)

    def send(self, commands: list[Any], facts: list[list[FactSubmission]]) -> None:
        items = [
            {"command": catalog.name_of(type(command)), "body": _body(command), "id": f"{self.mark}-{n}"}
            for n, command in enumerate(of_tenant(command, self.tenant_id) for command in commands)
        ]
        replies = self._post("/v1/commands", items)["replies"]
        failed = [reply for reply in replies if reply.get("kind") == "not_now"]
        assert failed == []
        for batch in facts:
            answer = self._post("/v1/telemetry", [_message(fact) for fact in batch])
            assert answer["refused"] == []
            self._positions.append(answer["position"])
        self._positions += [reply["position"]["token"] for reply in replies if reply.get("position")]

    def _post(self, path: str, body: Any) -> Any:
        answer = self._server.client.post(path, content=orjson.dumps(body), headers=self._headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str, **query: Any) -> httpx.Response:
        headers = {**self._headers, "X-Consistent-With": ",".join(sorted(set(self._positions))[-5:])}
        answer = self._server.client.get(path, params=query, headers=headers)
        assert answer.status_code in {200, 400, 403, 404, 422}, answer.text
        return answer

    def graphql(self) -> str:
        """Return what GraphQL shows of all views, of as many at once as one request may ask for."""
        lists = [name for name, field in schema().query_type.fields.items() if "first" in field.args]  # type: ignore[union-attr]
        headers = {**self._headers, "X-Consistent-With": ",".join(sorted(set(self._positions))[-5:])}
        text = ""
        for at in range(0, len(lists), LISTS_AT_ONCE):
            some = lists[at : at + LISTS_AT_ONCE]
            query = " ".join(f"{name}(first: 60) {{ nodes {{ {_shown(name)} }} }}" for name in some)
            answer = self._server.client.post("/v1/graphql", json={"query": f"{{ {query} }}"}, headers=headers)
            assert "errors" not in answer.json(), answer.text
            text += answer.text
        return text

    def live(self) -> str:
        """Return what a live stream shows from the beginning of the log to a last command of the tenant's own."""
        end = {"command": "fleet.RegisterDevice", "body": {"device_id": "end", "hostname": self.mark}, "id": "end"}
        self._post("/v1/commands", [end])
        text = ""
        query = {"after": "events/0/0,telemetry/0/0"}
        with self._server.client.stream("GET", "/v1/live", params=query, headers=self._headers) as stream:
            for line in stream.iter_lines():
                text += line
                if '"causation_id":"end"' in line:
                    break
        assert self.mark in text
        return text


def _body(command: Any) -> Any:
    body = adapter(type(command)).dump_python(command, mode="json", exclude_none=True)
    return orjson.loads(orjson.dumps(body))


def _message(fact: FactSubmission) -> dict[str, Any]:
    data = {name: value for name, value in catalog.payload_of(fact.fact).items() if value is not None}
    message = {"type": fact.fact.TYPE, "device_id": fact.device_id, "happened_at": fact.happened_at, "data": data}
    return message | ({"id": fact.fact_id} if fact.fact_id else {})


def _questions(path: str, mark: str, tenant_id: TenantId) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a path's addresses for what a tenant may have, with the parameters that some of them need."""
    query: dict[str, Any] = {"limit": 100}
    if path == "/v1/analytics/timeseries" or path.endswith("/metrics"):
        query = {
            "device_id": f"{mark}-1",
            "metric": mark,
            "start": "2026-01-31T00:00:00Z",
            "end": "2026-03-07T00:00:00Z",
        }
        query |= {} if path == "/v1/analytics/timeseries" else {"step": "1h"}
    if path == "/v1/metrics/top":
        query = {"metric": mark, "start": "2026-01-31", "end": "2026-03-07"}
    if path == "/v1/analytics/statement":
        query = {"party": mark}
    names = re.findall(r"\{(\w+)\}", path)
    choices = {
        "command_id": [f"{mark}-0"],
        "event_id": [f"{mark}-1"],
        "id": [f"{mark}-1", f"{mark}:{mark}-1", f"in:{mark}:{mark}-1"],
        "stream": [
            f"device-{mark}-1",
            f"alert-{mark}-2",
            f"invoice-{mark}:{mark}-1",
            f"invoice-in:{mark}:{mark}-1",
            f"api_key-{key_tag(tenant_id)}{mark}-1",
        ],
        "tenant_id": [str(tenant_id)],
    }
    for values in product(*(choices[name] for name in names)):
        yield path.format(**dict(zip(names, values, strict=True))), query
    for by in ("day", "country", "product") if path.endswith("/revenue") else ():
        yield path, {"by": by}


@given(said=said)
@settings(max_examples=4, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_no_answer_holds_a_row_of_another_tenant(server: Server, said: Any) -> None:
    tenants = [Tenant(server, mark) for mark in MARKS]
    for tenant, (commands, facts) in zip(tenants, said, strict=True):
        tenant.send(commands, facts)
    found = dict.fromkeys(MARKS, 0)
    for tenant, other in (tenants, reversed(tenants)):
        for path in server.paths:
            if path in PUBLIC or path == "/v1/live":
                continue
            for address, query in _questions(path, tenant.mark, tenant.tenant_id):
                text = tenant.get(address, **query).text
                assert other.mark not in text, address
                found[tenant.mark] += text.count(tenant.mark)
            for address, query in _questions(path, other.mark, other.tenant_id):
                if other.mark not in f"{address} {query}":
                    continue
                asked = tenant.get(address, **query)
                nobodys_address, nobodys_query = _of_nobody((address, query), other.mark)
                unknown = tenant.get(nobodys_address, **nobodys_query)
                assert _shape(asked, other.mark) == _shape(unknown, NOBODY), address
        text = tenant.graphql()
        found[tenant.mark] += text.count(tenant.mark)
        assert other.mark not in text
        assert other.mark not in tenant.live()
    assert all(found.values())
    for path in PUBLIC:
        text = server.client.get(path).text
        assert not any(mark in text for mark in MARKS), path


def _of_nobody(question: tuple[str, dict[str, Any]], mark: str) -> tuple[str, dict[str, Any]]:
    """Return the same question for what exists nowhere."""
    address, query = question
    return address.replace(mark, NOBODY), {name: str(value).replace(mark, NOBODY) for name, value in query.items()}


def _shape(answer: httpx.Response, mark: str) -> tuple[int, str]:
    """Return an answer without the moment it was given and the name it was asked for."""
    text = re.sub(r'"(as_of|window)":\{[^}]*\}', "", answer.text)
    return answer.status_code, text.replace(mark, "?")


def _shown(name: str) -> str:
    """Return the fields that show all of a row of a list of GraphQL."""
    query: Any = schema().query_type
    row: Any = get_named_type(get_named_type(query.fields[name].type).fields["nodes"].type)
    if "document" in row.fields:
        return "document"
    return " ".join(one for one, field in row.fields.items() if is_leaf_type(get_named_type(field.type)))
