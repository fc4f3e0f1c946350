"""The embedded server puts documents into collections, and an agent finds them with a tool; tenants are apart."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.embedded import Embedded
from infra.handlers.calls import calls_of_tasks
from infra.handlers.catalog import handlers
from infra.handlers.kinds import HARMLESS
from infra.handlers.settings import HandlerSettings, networks
from infra.qdrant.vectors import QdrantVectors
from infra.serve.embedded import create_app
from infra.serve.own_worker import Shipped
from projections.credentials import RateLimits
from tests.infra.handlers.test_vectors import vector
from tests.infra.handlers.web_server import Answer, Sent, web_server
from tests.infra.serve.test_own_worker import SECRET, Tenant, says
from tests.streams.intake.http.ways_in import served
from tests.waiting import eventually

PAGES = [
    {"id": "page-7", "text": "A pump that hums needs oil.", "data": {"chapter": "pumps"}},
    {"id": "page-8", "text": "A fan that is loud needs a new belt."},
]


@pytest.fixture
def tenants(tmp_path: Path) -> Iterator[tuple[Tenant, Tenant]]:
    kept = QdrantVectors(tmp_path / "vectors")
    outside = calls_of_tasks(4)
    handlers_of = handlers(HandlerSettings(networks("127.0.0.0/8")), HARMLESS, outside, kept)
    with Embedded.open(tmp_path) as embedded:
        demo = str(embedded.first_start())
        operator = (tmp_path / "operator.key").read_text().strip()
        app = create_app(
            embedded,
            host_metrics=False,
            usual_limits=RateLimits(),
            shipped=Shipped(HARMLESS, lambda: handlers_of, outside, kept.close),
        )
        with served(app) as client:
            made = Tenant(client, operator).post("/v1/tenants", {"tenant_id": "acme", "name": "Acme"})
            yield Tenant(client, demo), Tenant(client, made["api_key"])


def send(tenant: Tenant, command: str, **body: Any) -> None:
    tenant.post(f"/v1/commands/automation/{command}", body)


def first(tenant: Tenant, path: str) -> dict[str, Any]:
    row: dict[str, Any] = eventually(lambda: next(iter(tenant.get(path)), None))
    return row


def test_agent_finds_what_was_put_in_and_no_other_tenant_does(tenants: tuple[Tenant, Tenant]) -> None:
    demo, acme = tenants
    calls = [
        says(calls=[{"name": "handbook", "given": {"text": "why does my pump hum?"}}]),
        says(text="It needs oil."),
    ]

    def answer(sent: Sent) -> Answer:
        if sent.path == "/chat/completions":
            return 200, {}, calls.pop(0)
        texts = json.loads(sent.body)["input"]
        data = [{"index": at, "embedding": vector(text)} for at, text in enumerate(texts)]
        return 200, {}, json.dumps({"data": data, "usage": {"prompt_tokens": 7}}).encode()

    with web_server(answer) as server:
        kinds = ["chat.complete", "vectors.upsert", "vectors.search"]
        key = {"key_id": "mine", "provider": "openai", "kinds": kinds, "secret": SECRET, "base_url": server.url}
        demo.post("/v1/secrets", key)
        about = {"name": "Our handbook", "model": "m-1", "dimensions": 3}
        send(demo, "CreateVectorCollection", collection_id="handbook", provider_key="mine", **about)
        send(demo, "PutDocuments", collection_id="handbook", change_id="first", documents=PAGES)
        put = first(demo, "/v1/vector_collections?last_change_status=COMPLETED")
        rows = eventually(lambda: demo.get("/v1/vector_documents?collection_id=handbook&status=IN"))
        send(
            demo,
            "RegisterTool",
            tool_id="handbook",
            name="Our handbook",
            description="finds pages by what they mean",
            kind="vectors.search",
            parameters={"properties": {"text": {"type": "string"}}, "required": ["text"]},
            fixed={"collection": "handbook", "provider_key": "mine", "limit": 1},
        )
        send(demo, "SetPolicy", policy_id="reads", name="Reads", rules=[{"tools": ["handbook"], "decision": "allow"}])
        send(demo, "RegisterModel", model_id="small", name="Small", provider_key="mine", model="m-2")
        parts = {"model_id": "small", "tools": ["handbook"], "policy_id": "reads"}
        send(demo, "CreateAgent", agent_id="helper", name="Helper", prompt="Look it up.", **parts)
        send(demo, "ExecuteAgent", execution_id="r1", agent_id="helper", input="my pump hums")
        run = first(demo, "/v1/agent_executions?status=COMPLETED")
        told = json.loads([sent for sent in server.sent if sent.path == "/chat/completions"][1].body)["messages"][-1]
    assert (put["id"], put["last_change"], put["last_error"]) == ("handbook", "first", "")
    assert {row["document_id"] for row in rows} == {"page-7", "page-8"}
    assert run["output"] == "It needs oil."
    [found] = json.loads(told["content"])["documents"]
    assert {name: found[name] for name in ("id", "text", "data")} == PAGES[0]
    # another tenant has its own collection of the same name, with nothing in it
    send(acme, "CreateVectorCollection", collection_id="handbook", **about)
    acme.request("s1", {"collection": "handbook", "vector": [1, 0, 0]}, kind="vectors.search")
    assert acme.ended("s1")["error"] == "collection handbook has no documents: put some in with PutDocuments"
    assert acme.get("/v1/vector_documents") == []
    # what it took to make vectors is counted for the tenant that had them made
    use = {"model": "m-1", "tasks": 2, "input_tokens": 14, "output_tokens": 0}
    eventually(lambda: use in demo.get("/v1/analytics/models"), lambda: str(demo.get("/v1/analytics/models")))
    assert acme.get("/v1/analytics/models") == []
    # a page that is deleted is found no more
    send(demo, "DeleteDocuments", collection_id="handbook", change_id="second", ids=["page-7"])
    assert first(demo, "/v1/vector_documents?status=DELETED")["document_id"] == "page-7"
    demo.request("s2", {"collection": "handbook", "vector": [1, 0, 0]}, kind="vectors.search")
    [left] = json.loads(demo.ended("s2")["output"])["documents"]
    assert left["id"] == "page-8"


def test_model_that_is_not_there_fails_the_change_with_its_words(tenants: tuple[Tenant, Tenant]) -> None:
    _, acme = tenants
    send(
        acme,
        "CreateVectorCollection",
        collection_id="handbook",
        name="H",
        provider_key="nobody",
        model="m-1",
        dimensions=3,
    )
    send(acme, "PutDocuments", collection_id="handbook", change_id="first", documents=PAGES)
    failed = first(acme, "/v1/vector_collections?last_change_status=FAILED")
    assert failed["last_error"].startswith("there is no secret 'nobody' for tasks of the kind vectors.upsert")
    assert acme.get("/v1/vector_documents") == []
