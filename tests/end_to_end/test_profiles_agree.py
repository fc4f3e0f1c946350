"""The same real data, told to both profiles, gives the same answers from every endpoint there is.

The distributed one runs as its users run it: Kafka, Cassandra, MongoDB, a registry, and each worker and gateway a
process; ClickHouse is infra/engines/clickhouse_front.py, the real engine behind a stand-in for a server's interface.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import chain, product
from typing import Any, NamedTuple

import pytest

from infra.cli.import_sinks import ServerSink
from infra.data_dir import operator_key
from infra.embedded import Embedded
from infra.serve.embedded import create_app
from projections.catalog import PROJECTIONS, of_role
from projections.rows import Role
from schemas.envelope import TenantId
from schemas.key_ids import key_tag
from tests.end_to_end.deployment import Deployment
from tests.end_to_end.profiles import DEVICES, TENANTS, Profile, Tenant, first_part, second_part
from tests.streams.intake.files.samples import real_data
from tests.streams.intake.http.ways_in import served
from tests.waiting import eventually

pytestmark = real_data

DIFFERS: Mapping[str, str] = {
    "as_of": "the moment of the answer, and positions",
    "position": "profiles have different numbers of partitions, and tenants share them",
    "reached": "the same",
    "partition": "the same",
    "partitions": "the same",
    "event_id": "made at random when an event is decided",
    "recorded_at": "when the log got it",
    "last_seen_at": "when the log last heard of a device",
    "began_at": "when the log got the first event of a process",
    "updated_at": "when the log got the last event of a process",
    "workers": "of other kinds in each profile",
    "window": "ends at the moment of the answer, where nobody says when",
    "next": "signed with a secret of the server's own; every page is followed",
}
"""Fields that are not compared, and why."""

OF_THE_OPERATOR = dict.fromkeys(
    ("happened_at", "actor", "correlation_id", "causation_id", "command_id", "issued_at"),
    "made when the operator registers a tenant, or by a process out of what was made then",
)

LEFT_OUT: Mapping[str, str] = {
    "/metrics": "counts this process's own requests",
    "/v1/ops/health": "the distributed profile has other parts; that all are well is asked below",
    "/docs": "a page about the API",
    "/v1/graphql": "a text that is made of the code of both; what it answers is compared below",
    "/v1/usage": "counts what was asked of each server",
    "/.well-known/oauth-authorization-server/oauth/{tenant_id}": "names the address of each server",
    "/oauth/userinfo": "takes the token of a client that a user allowed",
    "/oauth/{tenant_id}/.well-known/openid-configuration": "names the address of each server",
}
"""Paths that are not compared, and why."""

PAGE = 100


class Question(NamedTuple):
    path: str
    query: Mapping[str, Any] = {}
    key: str | None = "all"


class Facts(NamedTuple):
    """What is known of a tenant, to ask about. `marks` are moments between two of its parts, on the clock of both."""

    devices: Sequence[str]
    invoices: Sequence[str]
    marks: Sequence[str]


@pytest.fixture(scope="module")
def profiles(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[Profile]]:
    with pytest.MonkeyPatch.context() as patch, Embedded.open(tmp_path_factory.mktemp("embedded")) as embedded:
        # as the distributed one: a device goes OFFLINE at another moment in each
        patch.setenv("FACTLINE_SILENCE_S", "86400")
        embedded.first_start()
        with served(create_app(embedded, host_metrics=False)) as client:
            both = (
                Profile("embedded", str(client.base_url), operator_key(embedded.dir.path) or ""),
                Profile("distributed", deployment.url(), deployment.operator_key),
            )
            yield both
            for profile in both:
                profile.close()


@pytest.fixture(scope="module")
def marks(profiles: Sequence[Profile]) -> Sequence[str]:
    """Tell both the same, at the same time, each tenant's in one order; return moments in between."""
    moments: list[str] = []

    def mark() -> None:
        time.sleep(0.01)
        moments.append(datetime.now(UTC).isoformat())
        time.sleep(0.01)

    with pytest.MonkeyPatch.context() as patch:
        # an import sends two batches at once, and either may be first
        patch.setattr(ServerSink, "threads", 1)
        for profile in profiles:
            profile.onboard()
            for tenant in profile.tenants.values():
                first_part(tenant)
    mark()
    invoices = {name: _rows(tenant, "/v1/invoices", sort="issue_date") for name, tenant in profiles[0].tenants.items()}
    for profile in profiles:
        for name, tenant in profile.tenants.items():
            second_part(tenant, invoices[name][::10])
    mark()
    for profile in profiles:
        eventually(lambda: _has_read_everything(profile))  # noqa: B023
    return moments


def _has_read_everything(profile: Profile) -> bool:
    rows = profile.operator.get("/v1/ops/lag").json()["rows"]
    assert {row["projection"] for row in rows} == {projection.name for projection in PROJECTIONS}
    return {(row["state"], row["lag_events"], row["lag_s"]) for row in rows} == {("live", 0, 0.0)}


def _rows(tenant: Tenant, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = tenant.get(path, {"limit": PAGE, **query})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["rows"])


# --- what is asked --------------------------------------------------------------------------------------------------


def _lists(path: str) -> Callable[[Facts], Iterator[Question]]:
    view = next(projection for projection in PROJECTIONS if path == f"/v1/{projection.name}")
    values = {
        "status": ("ONLINE", "PENDING", "OPEN", "PAID", "PART_PAID", "ACTIVE", "REMOVED"),
        "severity": ("warning", "Warning"),
        "kind": ("invoice", "credit_note", "threshold"),
        "country": ("United Kingdom", "France", "Österreich"),
        "direction": ("in", "out"),
        "os_type": ("linux", "bsd", ""),
    }

    def questions(_facts: Facts) -> Iterator[Question]:
        for sort, sign in product(view.documents.sorts, ("", "-")):
            yield Question(path, {"sort": sign + sort, "limit": 100})
        yield Question(path, {"limit": 7})
        for field in view.documents.filters:
            for value in values.get(field, ("17850", "web-1", "server", "")):
                yield Question(path, {field: value, "limit": 13})
        yield Question(
            path,
            {
                **dict(zip(view.documents.filters, ("OPEN", "warning"), strict=False)),
                "sort": f"-{view.documents.sorts[0]}",
            },
        )
        yield Question(path, {"nonsense": "1"})
        yield Question(path, {"sort": "nonsense"})
        yield Question(path, {"limit": 0})
        yield Question(path, {"cursor": "nonsense"})
        yield Question(path, key=None)
        yield Question(path, key="narrow")

    return questions


def _each(path: str, *ids: str) -> Callable[[Facts], Iterator[Question]]:
    return lambda _facts: (Question(path.format(id=id_)) for id_ in (*ids, "nobody", "not an id"))


def _one_invoice(facts: Facts) -> Iterator[Question]:
    for id_ in (*facts.invoices, "nobody"):
        yield Question(f"/v1/invoices/{id_}")


WINDOW = {"start": "2013-01-01T00:00:00Z", "end": "2014-12-31T00:00:00Z"}
SHORT = {"start": "2014-02-14T14:00:00Z", "end": "2014-03-01T00:00:00Z"}
OWN = {"start": "2011-03-02T00:00:00Z", "end": "2011-03-03T00:00:00Z"}
AGGREGATES = ("avg", "min", "max", "sum", "count", "last")
SERIES = (("web-1", "cpu"), ("web-1", "latency"), ("db-1", "writes"), ("db-1", "load"), ("db-1", "free"))


def _metrics(facts: Facts) -> Iterator[Question]:
    for device in facts.devices:
        yield Question(f"/v1/devices/{device}/metrics")
    for device, metric in SERIES:
        path = f"/v1/devices/{device}/metrics"
        yield Question(path, {"metric": metric})
        yield Question(path, {"metric": metric, **SHORT})
        yield Question(path, {"metric": metric, **OWN})
        for step, aggregate in product(("1h", "1d"), AGGREGATES):
            yield Question(path, {"metric": metric, "step": step, "aggregate": aggregate, **WINDOW})
        yield Question(path, {"metric": metric, **WINDOW})
        yield Question(path, {"metric": metric, "step": "1s", **WINDOW})
        yield Question(path, {"metric": metric, "start": WINDOW["end"], "end": WINDOW["start"]})


def _series(_facts: Facts) -> Iterator[Question]:
    path = "/v1/analytics/timeseries"
    for (device, metric), aggregate in product(SERIES, AGGREGATES):
        for window in (SHORT, OWN):
            yield Question(path, {"device_id": device, "metric": metric, "aggregate": aggregate, **window})
    yield Question(path, {"device_id": "nobody", "metric": "cpu", **SHORT})
    yield Question(path, {"device_id": "web-1", "metric": "cpu", **WINDOW})
    yield Question(path)
    yield Question(path, {"device_id": "web-1", "metric": "cpu"}, key="narrow")


def _logs(facts: Facts) -> Iterator[Question]:
    for query in (
        {},
        {"limit": 7, "severity": "error"},
        {"severity": "warning", "contains": "ROOT"},
        {"contains": "ä"},
        {"start": "2005-07-01T00:00:00Z", "end": "2005-07-10T00:00:00Z"},
        {"start": "2015-12-10T07:00:00Z", "end": "2015-12-10T09:00:00Z", "limit": 33},
    ):
        yield Question("/v1/logs", {"limit": PAGE, **query})
        for device in facts.devices:
            yield Question(f"/v1/devices/{device}/logs", {"limit": PAGE, **query})
            if query:
                yield Question("/v1/logs", {"device_id": device, "limit": PAGE, **query})


def _device_logs(facts: Facts) -> Iterator[Question]:
    return (question for question in _logs(facts) if question.path != "/v1/logs")


def _all_logs(facts: Facts) -> Iterator[Question]:
    return (question for question in _logs(facts) if question.path == "/v1/logs")


def _history(facts: Facts) -> Iterator[Question]:
    for device, limit in product((*facts.devices, "nobody"), (100, 3)):
        yield Question(f"/v1/devices/{device}/history", {"limit": limit})


def _revenue(_facts: Facts) -> Iterator[Question]:
    path = "/v1/analytics/revenue"
    for by in ("day", "month", "country", "product", "customer"):
        yield Question(path, {"by": by})
        yield Question(path, {"by": by, "timezone": "America/New_York", "currency": "GBP"})
        yield Question(path, {"by": by, "limit": 3, "start": "2010-12-01T10:00:00Z", "end": "2010-12-02T12:00:00Z"})
    yield Question(path, {"by": "party"})


def _receivables(_facts: Facts) -> Iterator[Question]:
    for by, as_of in product(("customer", "age", "invoice"), ("2010-12-02T12:00:00Z", "2012-01-01T00:00:00Z")):
        yield Question("/v1/analytics/receivables", {"by": by, "as_of": as_of, "timezone": "Europe/Berlin"})


def _sales(name: str) -> Callable[[Facts], Iterator[Question]]:
    path = f"/v1/analytics/{name}"
    return lambda _facts: (
        Question(path, {"by": by, **more})
        for by in ("source", "month", "none")
        for more in ({}, {"timezone": "Europe/Berlin", "limit": 1}, {"end": "2011-01-01T00:00:00Z"})
    )


def _workflows(_facts: Facts) -> Iterator[Question]:
    return (Question("/v1/analytics/workflows", {"by": by}) for by in ("workflow", "day", "status"))


def _models(_facts: Facts) -> Iterator[Question]:
    return (Question("/v1/analytics/models", {"by": by}) for by in ("model", "provider", "day"))


def _event_counts(facts: Facts) -> Iterator[Question]:
    return (Question("/v1/analytics/events", query) for query in _bounds(facts))


def _bounds(facts: Facts) -> Iterator[Mapping[str, str]]:
    first, last = facts.marks
    yield from ({}, {"start": first}, {"end": first}, {"start": first, "end": last}, {"start": last})


def _audit(facts: Facts) -> Iterator[Question]:
    for query in _bounds(facts):
        yield Question("/v1/audit/events", {"limit": PAGE, **query})
    for types in ("device.tagged", "invoice.approved,payment.recorded", "tenant.registered, api_key.issued", "none"):
        yield Question("/v1/audit/events", {"types": types, "limit": 9})


def _streams(facts: Facts) -> Iterator[Question]:
    names = ["tenant-acme", "tenant-bolt", "alert-a1", "watch-rate_of_change", "device-nobody"]
    names += [f"api_key-{key_tag(TenantId(tenant))}narrow" for tenant in TENANTS]
    names += [f"device-{device}" for device in facts.devices] + [f"invoice-{id_}" for id_ in facts.invoices]
    moments = (*facts.marks, "2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z")
    for name in names:
        for as_of in (None, "0", "1", "2", "7", "99999", *moments):
            query = {"limit": PAGE} if as_of is None else {"limit": PAGE, "as_of": as_of}
            yield Question(f"/v1/audit/streams/{name}", query)
    yield Question("/v1/audit/streams/device-steps", {"limit": 4, "as_of": "17"})
    yield Question("/v1/audit/streams/device-steps", {"as_of": "yesterday"})


def _once(*paths: str) -> Callable[[Facts], Iterator[Question]]:
    return lambda _facts: chain((Question(path) for path in paths), (Question(path, key="narrow") for path in paths))


def _outcomes(_facts: Facts) -> Iterator[Question]:
    # with events, without, and refused; under no id, and under one of another caller
    for id_ in ("fleet.RegisterDevice-3", "fleet.RetireDevice-15", "sales.UpdateCustomer-35", "nobody"):
        yield Question(f"/v1/commands/{id_}")
        yield Question(f"/v1/commands/{id_}", key="narrow")


def _log_counts(_facts: Facts) -> Iterator[Question]:
    path = "/v1/analytics/logs"
    for by in ("program", "device", "severity", "user", "ip", "hostname", "day", "hour"):
        yield Question(path, {"by": by, "timezone": "Europe/Berlin"})
    yield Question(path, {"by": "ip", "contains": "failed password", "limit": 5})
    yield Question(path, {"by": "user", "program": "sshd", "start": "2015-12-10", "end": "2015-12-11"})


def _top(_facts: Facts) -> Iterator[Question]:
    for metric, aggregate in product(("cpu", "latency", "nothing"), AGGREGATES):
        yield Question("/v1/metrics/top", {"metric": metric, "aggregate": aggregate, **SHORT})
    yield Question("/v1/metrics/top", {"metric": "cpu", "above": 50, **SHORT})


def _statement(_facts: Facts) -> Iterator[Question]:
    for party in ("17850", "13047", "nobody"):
        yield Question("/v1/analytics/statement", {"party": party})
        yield Question("/v1/analytics/statement", {"party": party, "start": "2010-12-01T12:00:00Z"})


def _states(facts: Facts) -> Iterator[Question]:
    for device, as_of in product((*facts.devices, "nobody"), (*facts.marks, "2014-02-20T12:00:00Z")):
        yield Question(f"/v1/devices/{device}/state", {"as_of": as_of})


def _search(facts: Facts) -> Iterator[Question]:
    path = "/v1/audit/search"
    for query in _bounds(facts):
        yield Question(path, {"limit": PAGE, "types": "device.tagged,device.registered", **query})
    yield Question(path, {"stream": "invoice-1", "happened_before": "2010-12-02", "limit": PAGE})
    yield Question(path, {"actor": "nobody"})


def _documents(facts: Facts) -> Iterator[Question]:
    return (Question(f"/v1/invoices/{id_}/document") for id_ in (*facts.invoices, "nobody"))


LISTS = [f"/v1/{view.name}" for view in of_role(Role.DOCUMENTS) if view.layout.example]

QUESTIONS: Mapping[str, Callable[[Facts], Iterator[Question]]] = {
    **{path: _lists(path) for path in LISTS},
    **{f"{path}/{name}": _once(f"{path}/{name}") for path in LISTS for name in ("filters", "_filters")},
    **{f"{path}/{{id}}": _each(f"{path}/{{id}}") for path in LISTS},
    "/v1/devices/{id}": _each("/v1/devices/{id}", *DEVICES, "steps"),
    "/v1/alerts/{id}": _each("/v1/alerts/{id}", "a0", "a1", "a2", "a3"),
    "/v1/watches/{id}": _each("/v1/watches/{id}", "threshold", "rate_of_change"),
    "/v1/invoices/{id}": _one_invoice,
    "/v1/devices/{id}/metrics": _metrics,
    "/v1/devices/{id}/logs": _device_logs,
    "/v1/devices/{id}/history": _history,
    "/v1/executions/{id}/logs": _once("/v1/executions/e1/logs"),
    "/v1/logs": _all_logs,
    "/v1/analytics/revenue": _revenue,
    "/v1/analytics/receivables": _receivables,
    "/v1/analytics/funnel": _sales("funnel"),
    "/v1/analytics/quoted": _sales("quoted"),
    "/v1/analytics/workflows": _workflows,
    "/v1/analytics/models": _models,
    "/v1/analytics/events": _event_counts,
    "/v1/analytics/timeseries": _series,
    "/v1/analytics/content": _once("/v1/analytics/content"),
    "/v1/analytics/logs": _log_counts,
    "/v1/analytics/statement": _statement,
    "/v1/metrics/top": _top,
    "/v1/devices/{id}/state": _states,
    "/v1/invoices/{id}/document": _documents,
    "/v1/audit/search": _search,
    "/v1/audit/events": _audit,
    "/v1/audit/events/{event_id}": _each("/v1/audit/events/{id}"),
    "/v1/audit/streams/{stream}": _streams,
    "/v1/me": _once("/v1/me"),
    "/v1/commands/{command_id}": _outcomes,
    "/v1/ops/alive": _once("/v1/ops/alive"),
    "/v1/ops/lag": _once("/v1/ops/lag"),
    "/v1/ops/projections": _once("/v1/ops/projections"),
    "/v1/ops/dead-letters": _once("/v1/ops/dead-letters"),
    "/v1/operator/dead-letters": _once("/v1/operator/dead-letters"),
    "/v1/tenants": _once("/v1/tenants"),
    "/oauth/authorize": _once("/oauth/authorize", "/oauth/authorize?client_id=acme.unknown"),
    "/v1/sign-in/{tenant_id}": _once("/v1/sign-in/acme", "/v1/sign-in/Acme"),
    "/oauth/{tenant_id}/jwks.json": _once("/oauth/acme/jwks.json", "/oauth/Acme/jwks.json"),
}

LIVE = "/v1/live"


def test_every_endpoint_is_compared_or_left_out_for_a_reason(profiles: Sequence[Profile]) -> None:
    paths = [
        {path for path, methods in profile.operator.get("/openapi.json").json()["paths"].items() if "get" in methods}
        for profile in profiles
    ]
    assert paths[0] == paths[1]
    assert paths[0] - LEFT_OUT.keys() == {*QUESTIONS, LIVE}


@pytest.mark.parametrize("path", QUESTIONS)
def test_both_profiles_give_the_same_answers(profiles: Sequence[Profile], marks: Sequence[str], path: str) -> None:
    asked = 0
    with ThreadPoolExecutor(2) as at_once:
        for tenant_id in TENANTS:
            both = [profile.tenants[tenant_id] for profile in profiles]
            invoices = [row["id"] for row in _rows(both[0], "/v1/invoices", sort="issue_date")[::9]]
            for question in QUESTIONS[path](Facts((*DEVICES, "steps"), invoices, marks)):
                embedded, distributed = at_once.map(lambda tenant: _answer(tenant, question), both)  # noqa: B023
                assert distributed == embedded, f"{tenant_id}: {question}"
                asked += len(embedded)
    assert asked


def _answer(tenant: Tenant, question: Question) -> list[Any]:
    """Return every page of an answer, without what differs."""
    pages, query = [], dict(question.query)
    while True:
        answer = tenant.get(question.path, query, key=question.key)
        pages.append((answer.status_code, answer.headers.get("etag"), _comparable(tenant, answer.text)))
        next_ = answer.json().get("next") if answer.is_success else None
        if not next_:
            return pages
        query["cursor"] = next_


def _comparable(tenant: Tenant, text: str) -> Any:
    for name, instead in tenant.names().items():
        text = text.replace(name, instead)
    return _without(json.loads(text))


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        differs = DIFFERS
        if value.get("name") == "first key" or value.get("actor", {}).get("id") not in {None, "all"}:
            differs = {**DIFFERS, **OF_THE_OPERATOR}
        return {name: None if name in differs else _without(inner) for name, inner in value.items()}
    return [_without(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.usefixtures("marks")
def test_both_profiles_answer_graphql_alike(profiles: Sequence[Profile]) -> None:
    query = """{
        devices(sort: "-hostname") { nodes { document alerts { nodes { rule severity } } } pageInfo { hasNextPage } }
        alerts(first: 50) { nodes { id device { hostname status } } }
        invoices(first: 50, sort: "issue_date") { nodes { document } }
    }"""
    for tenant_id in TENANTS:
        both = [profile.tenants[tenant_id] for profile in profiles]
        for tenant in both:
            # they wait for all that was told
            for path in ("/v1/devices", "/v1/alerts", "/v1/invoices"):
                tenant.get(path, {})
        answers = [json.dumps(tenant.post("/v1/graphql", {"query": query})) for tenant in both]
        embedded, distributed = map(_comparable, both, answers)
        assert "errors" not in embedded
        assert distributed["data"] == embedded["data"]


@pytest.mark.parametrize("types", ["", "device.tagged,invoice.approved"])
@pytest.mark.usefixtures("marks")
def test_both_profiles_stream_the_same_history(profiles: Sequence[Profile], types: str) -> None:
    for tenant_id in TENANTS:
        embedded, distributed = (_history_of(profile.tenants[tenant_id], types) for profile in profiles)
        assert distributed == embedded


def _history_of(tenant: Tenant, types: str) -> list[Any]:
    """Return what a live stream shows up to the last command, of telemetry one device's."""
    events = []
    for line in tenant.live(types=types, telemetry="spare"):
        if line.startswith("data: "):
            event = _comparable(tenant, line.removeprefix("data: "))
            events.append(event)
            if event["stream"] == "device-steps" and event["data"].get("value") == "24":
                return events
    raise AssertionError("the stream ended")


@pytest.mark.usefixtures("marks")
def test_both_profiles_are_well(profiles: Sequence[Profile]) -> None:
    for profile in profiles:
        assert profile.operator.get("/v1/ops/health").json()["ready"] is True, profile.name
