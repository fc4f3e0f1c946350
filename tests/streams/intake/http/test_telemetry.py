import gzip
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalog import SENT as KINDS
from domain.catalog import payload_of
from schemas.envelope import Topic
from streams.intake.http.telemetry import parse_json, parse_ndjson
from tests.examples import FACTS
from tests.streams.intake.http.test_commands import JSON, plain
from tests.streams.intake.http.ways_in import WaysIn, refused, ways_in

NDJSON = "application/x-ndjson"
CLOUDEVENTS = "application/cloudevents-batch+json"
STRUCTURED = "application/cloudevents+json"
FACT = {
    "type": "device.metrics.reported",
    "device_id": "web-1",
    "happened_at": "2026-01-31T08:30:00Z",
    "data": {"metrics": {"cpu_percent": 12.5}, "unit": "percent"},
}
LINE = {**FACT, "type": "log.recorded", "data": {"severity": "error", "summary": "disk failed"}}
EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/agents/web-1",
    "type": FACT["type"],
    "subject": "device-web-1",
    "time": FACT["happened_at"],
    "data": FACT["data"],
}


def accepted(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def lines(*facts: Any) -> bytes:
    return b"\n".join(fact if isinstance(fact, bytes) else orjson.dumps(fact) for fact in facts)


def test_accepted_fact_is_in_the_log_when_it_is_answered(way: WaysIn) -> None:
    answer = accepted(way.telemetry([FACT]))
    assert answer == {"accepted": 1, "repeated": 0, "refused": [], "position": "telemetry/0/1"}
    [fact] = way.facts()
    assert (fact.stream, fact.data["metrics"], fact.actor.id) == ("device-web-1", {"cpu_percent": 12.5}, "demo")


def test_reading_of_one_instant_is_one_reading_whatever_id_it_has(way: WaysIn) -> None:
    answer = accepted(
        way.telemetry([FACT, {**FACT, "id": "mine"}, {**FACT, "happened_at": "2026-01-31T09:30:00+01:00"}])
    )
    assert (answer["accepted"], answer["repeated"]) == (1, 2)
    assert len(way.facts()) == 1


def test_two_equal_lines_of_one_second_are_two_lines_and_a_line_with_an_id_is_one(way: WaysIn) -> None:
    answer = accepted(way.telemetry([LINE, LINE, {**LINE, "id": "mine"}, {**LINE, "id": "mine"}]))
    assert (answer["accepted"], answer["repeated"]) == (3, 1)
    assert len({fact.event_id for fact in way.facts()}) == 3


def test_request_that_is_sent_again_adds_nothing(way: WaysIn) -> None:
    request = [FACT, LINE, LINE, {**LINE, "id": "mine"}, {**FACT, "device_id": "web-2"}]
    first = accepted(way.telemetry(request))
    assert (first["accepted"], first["repeated"]) == (5, 0)
    before = way.entries(Topic.TELEMETRY)
    again = accepted(way.telemetry(request))
    assert (again["accepted"], again["repeated"], again["position"]) == (0, 5, first["position"])
    assert way.entries(Topic.TELEMETRY) == before


def test_requests_with_keys_of_their_own_are_told_apart(way: WaysIn) -> None:
    for key, added in (("a", 1), ("b", 1), ("a", 0)):
        assert accepted(way.telemetry([LINE], headers={"Idempotency-Key": key}))["accepted"] == added
    assert len({fact.event_id for fact in way.facts()}) == 2
    # a key that comes again with something else hides nothing of it
    assert accepted(way.telemetry([LINE, LINE], headers={"Idempotency-Key": "a"}))["accepted"] == 2
    refused(way.telemetry([LINE], headers={"Idempotency-Key": "a b"}), 422)


def test_request_may_have_the_id_of_its_only_fact_as_its_key(way: WaysIn) -> None:
    for added in (1, 0):
        answer = accepted(way.telemetry([{**LINE, "id": "mine"}], headers={"Idempotency-Key": "mine"}))
        assert answer["accepted"] == added
    assert len(way.facts()) == 1


def test_same_id_with_something_else_is_taken(way: WaysIn) -> None:
    for summary, added in (("one", 1), ("two", 1), ("one", 0)):
        line = {**LINE, "id": "mine", "data": {"severity": "info", "summary": summary}}
        assert accepted(way.telemetry([line]))["accepted"] == added


def test_same_fact_of_two_tenants_is_two_facts(way: WaysIn) -> None:
    for key in ("demo", "acme"):
        assert accepted(way.telemetry([FACT, {**LINE, "id": "mine"}], key=key))["accepted"] == 2
    assert len(way.facts("demo")) == len(way.facts("acme")) == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "device.exploded"}, "Input tag 'device.exploded'"),
        ({"happened_at": 1700000000}, "must be an RFC 3339 instant"),
        ({"happened_at": "1700000000"}, "must be an RFC 3339 instant"),
        ({"happened_at": None}, "must be an RFC 3339 instant"),
        ({"happened_at": "2026-01-31T08:30:00"}, "must say its offset from UTC"),
        ({"happened_at": "0001-01-01T00:00:00+14:00"}, "years 1 to 9999"),
        ({"device_id": "web 1"}, "device_id"),
        ({"device_id": "x" * 129}, "device_id"),
        ({"id": "x" * 129}, "id"),
        ({"id": ""}, "id"),
        ({"colour": "red"}, "colour"),
        ({"data": {"metrics": {"cpu": "NaN"}}}, "metrics.cpu"),
        ({"data": {"metrics": {"cpu": None}}}, "metrics.cpu"),
        ({"data": {"metrics": {"cpu": True}}}, "metrics.cpu"),
        ({"data": {"metrics": {}}}, "metrics"),
        ({"data": {"metrics": {"cpu\0": 1}}}, "metrics"),
        ({"data": {}}, "metrics"),
    ],
)
def test_bad_fact_is_named_and_the_others_are_taken(way: WaysIn, changes: dict[str, Any], reason: str) -> None:
    for content_type, body in (
        ("application/json", orjson.dumps([FACT, {**FACT, **changes}, LINE])),
        (NDJSON, lines(FACT, {**FACT, **changes}, LINE)),
    ):
        answer = accepted(way.telemetry(body, content_type))
        [refusal] = answer["refused"]
        assert refusal["line"] == 2
        assert reason in refusal["reason"]
        assert answer["accepted"] + answer["repeated"] == 2
    assert len(way.facts()) == 2


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"[]",
        b"5",
        b'{"a": NaN}',
        b'{"type": "\\ud800"}',
        b'{"type": "\xff"}',
        b'{"a":' * 100_000,
        b"\xef\xbb\xbf{}",
    ],
    ids=["cut", "list", "number", "NaN", "lone surrogate", "not UTF-8", "deep", "byte order mark"],
)
def test_bad_line_is_named_and_the_others_are_taken(way: WaysIn, bad: bytes) -> None:
    answer = accepted(way.telemetry(lines(FACT, b"", bad, LINE), NDJSON))
    assert answer["accepted"] == 2
    assert [refusal["line"] for refusal in answer["refused"]] == [3]
    assert answer["refused"][0]["reason"]


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity", b"1e400"])
def test_reading_that_is_not_finite_is_refused(way: WaysIn, value: bytes) -> None:
    body = orjson.dumps(FACT).replace(b"12.5", value)
    assert len(refused(way.telemetry(body, NDJSON), 422)["refused"]) == 1
    assert "the body is not JSON" in refused(way.telemetry(b"[" + body + b"]"), 400)["detail"]
    assert way.facts() == []


@pytest.mark.parametrize("body", [b"[", b"[{]", b'["\xff"]', b"[" * 100_000], ids=["cut", "wrong", "not UTF-8", "deep"])
def test_array_that_is_not_json_is_refused_whole(way: WaysIn, body: bytes) -> None:
    assert "the body is not JSON" in refused(way.telemetry(body), 400)["detail"]


def test_text_with_nul_and_line_separators_comes_back_as_it_was(way: WaysIn) -> None:
    summary = "a\0b\u2028c\u0085d\re"
    fact = {**LINE, "data": {"severity": "error", "summary": summary}}
    assert accepted(way.telemetry(lines(fact), NDJSON))["accepted"] == 1
    assert way.facts()[0].data["summary"] == summary


def test_more_than_10_000_facts_are_refused_whole(way: WaysIn) -> None:
    for content_type, body in (
        ("application/json", orjson.dumps([FACT] * 10_001)),
        (NDJSON, lines(*[FACT] * 10_001)),
        (CLOUDEVENTS, orjson.dumps([EVENT] * 10_001)),
    ):
        problem = refused(way.telemetry(body, content_type), 413)
        assert problem["detail"] == "10001 facts are too many for one request; send at most 10000"
    assert way.facts() == []


def test_packed_lines_that_end_too_early_are_refused_whole(way: WaysIn) -> None:
    packed = gzip.compress(lines(FACT)) + gzip.compress(b"\n" + lines(LINE))
    headers = {"Content-Encoding": "gzip"}
    refused(way.telemetry(packed[:-3], NDJSON, headers=headers), 400)
    assert way.facts() == []
    assert accepted(way.telemetry(packed, NDJSON, headers=headers))["accepted"] == 2


def test_no_facts_are_no_error(way: WaysIn) -> None:
    for content_type, body in (("application/json", b"[]"), (NDJSON, b""), (NDJSON, b"\n\n"), (CLOUDEVENTS, b"[]")):
        assert accepted(way.telemetry(body, content_type))["accepted"] == 0


# --- CloudEvents -----------------------------------------------------------------------------------------------------


LINE_EVENT = {**EVENT, "type": LINE["type"], "data": LINE["data"]}


def test_cloudevents_are_facts_whose_identity_is_source_and_id(way: WaysIn) -> None:
    others = [{"id": "2"}, {"source": "/agents/web-1#"}, {"myextension": "x", "id": "3"}]
    events = [LINE_EVENT, *({**LINE_EVENT, **other} for other in others)]
    answer = accepted(way.telemetry(events, CLOUDEVENTS))
    assert (answer["accepted"], answer["refused"]) == (4, [])
    again = accepted(way.telemetry([LINE_EVENT, {**EVENT, "data": LINE["data"]}], CLOUDEVENTS))
    assert (again["accepted"], again["repeated"]) == (0, 1)
    assert {fact.stream for fact in way.facts()} == {"device-web-1"}


def test_two_cloudevents_are_never_taken_for_one(way: WaysIn) -> None:
    joined = [{**LINE_EVENT, "source": "a#b", "id": "c"}, {**LINE_EVENT, "source": "a", "id": "b#c"}]
    assert accepted(way.telemetry(joined, CLOUDEVENTS))["accepted"] == 2


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "subject", "data"])
def test_cloudevent_without_a_needed_attribute_is_refused(way: WaysIn, name: str) -> None:
    without = {key: value for key, value in EVENT.items() if key != name}
    for wrong in (without, {**EVENT, name: None}, {**EVENT, name: ""}):
        answer = accepted(way.telemetry([wrong, {**EVENT, "id": "other"}], CLOUDEVENTS))
        assert [refusal["line"] for refusal in answer["refused"]] == [1]
    assert len(way.facts()) == 1


def test_cloudevents_that_are_no_list_are_refused_whole(way: WaysIn) -> None:
    refused(way.telemetry(EVENT, CLOUDEVENTS), 400)


def test_cloudevent_without_a_time_happened_when_it_was_received(way: WaysIn) -> None:
    timeless = {key: value for key, value in EVENT.items() if key != "time"}
    before = datetime.now(UTC)
    assert accepted(way.telemetry([timeless], CLOUDEVENTS))["accepted"] == 1
    assert accepted(way.telemetry({**timeless, "id": "2", "time": None}, STRUCTURED))["accepted"] == 1
    headers = {f"ce-{key}": str(value) for key, value in timeless.items() if key != "data"} | {"ce-id": "3"}
    assert accepted(way.post("/v1/telemetry", orjson.dumps(EVENT["data"]), headers=headers))["accepted"] == 1
    assert all(before <= fact.happened_at <= datetime.now(UTC) for fact in way.facts())
    assert len(way.facts()) == 3
    assert "RFC 3339" in refused(way.telemetry({**EVENT, "id": "4", "time": ""}, STRUCTURED), 422)["detail"]


def test_cloudevent_comes_in_three_modes(way: WaysIn) -> None:
    """Source: the HTTP binding's feature of the CloudEvents conformance tests, whose header values these are like."""
    event = {**EVENT, "type": LINE["type"], "data": LINE["data"]}
    data = orjson.dumps(event["data"])
    for content_type in ("application/json", "application/json; charset=utf-8", ""):
        headers = {f"ce-{name}": str(value) for name, value in event.items() if name != "data"}
        headers |= {"ce-id": f"b46cf653{content_type}", "ce-source": "/agents/web%2D1", "ce-extension": "x"}
        headers |= {"Content-Type": content_type} if content_type else {}
        assert accepted(way.post("/v1/telemetry", data, headers=headers))["accepted"] == 1
    assert accepted(way.telemetry(event, f"{STRUCTURED}; charset=utf-8"))["accepted"] == 1
    assert accepted(way.telemetry([{**event, "id": "2"}], CLOUDEVENTS))["accepted"] == 1
    assert [(fact.stream, fact.data["summary"]) for fact in way.facts()] == [("device-web-1", "disk failed")] * 5


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "subject"])
def test_binary_cloudevent_without_a_needed_header_is_refused(way: WaysIn, name: str) -> None:
    headers = {f"ce-{key}": str(value) for key, value in EVENT.items() if key not in {"data", name}}
    response = way.post("/v1/telemetry", orjson.dumps(EVENT["data"]), headers=headers)
    assert response.status_code == 422
    assert way.facts() == []


def test_structured_cloudevent_that_is_none_is_refused(way: WaysIn) -> None:
    assert "must be a JSON object" in refused(way.telemetry([EVENT], STRUCTURED), 400)["detail"]
    assert "is not JSON" in refused(way.telemetry(b"{", STRUCTURED), 400)["detail"]
    assert "is not JSON" in refused(way.post("/v1/telemetry", b"{", headers={"ce-specversion": "1.0"}), 400)["detail"]


# --- what is said of a body ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type", ["text/xml", "text/plain", "application/octet-stream", "application/cloudevents+avro", "x", "\xe9"]
)
def test_unknown_media_type_is_415(way: WaysIn, content_type: str) -> None:
    for path in ("/v1/telemetry", "/v1/commands", "/v1/commands/fleet/RegisterDevice"):
        response = way.post(path, b"<x/>", headers={"Content-Type": content_type.encode("latin-1")})
        assert "is not taken here; send application/json" in refused(response, 415)["detail"]
    assert way.facts() == []


def test_another_charset_is_415(way: WaysIn) -> None:
    response = way.telemetry(orjson.dumps([FACT]), "application/json; charset=utf-16")
    assert "charset=utf-16 is not taken here; send UTF-8" in refused(response, 415)["detail"]


@pytest.mark.parametrize("content_type", ["", "application/x-www-form-urlencoded", "Application/JSON;Charset=UTF-8"])
def test_what_clients_say_of_json_is_taken(way: WaysIn, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    assert accepted(way.post("/v1/telemetry", orjson.dumps([FACT]), headers=headers))["accepted"] == 1


def test_one_fact_over_several_lines_is_taken(way: WaysIn) -> None:
    body = orjson.dumps(FACT, option=orjson.OPT_INDENT_2)
    assert accepted(way.telemetry(body))["accepted"] == 1
    problem = refused(way.telemetry(body + b"\n" + body), 400)
    assert problem["detail"] == "the body must be a JSON array of facts, one fact, or one fact a line (NDJSON)"
    assert len(way.facts()) == 1


@pytest.mark.parametrize("content_type", ["application/json", NDJSON])
def test_body_of_which_every_fact_is_refused_is_422_with_the_reasons(way: WaysIn, content_type: str) -> None:
    bad = {**FACT, "device_id": "web 1"}
    problem = refused(way.telemetry(lines(bad, {**FACT, "id": ""}), content_type), 422)
    assert (problem["accepted"], problem["repeated"], problem["position"]) == (0, 0, None)
    assert [refusal["line"] for refusal in problem["refused"]] == [1, 2]
    assert problem["detail"].startswith("nothing was taken: all 2 facts are refused; line 1: ")
    assert way.facts() == []


# --- who asks --------------------------------------------------------------------------------------------------------


def test_key_without_the_scope_is_refused(way: WaysIn) -> None:
    assert "lacks the scope telemetry:write" in refused(way.telemetry([FACT], key="fleet"), 403)["detail"]


def test_fact_of_our_own_is_taken_from_nobody(way: WaysIn) -> None:
    sent = {**FACT, "type": "api.request.served", "data": {"key_id": "k", "route": "GET /", "status": 200}}
    assert "api.request.served" in refused(way.telemetry([sent]), 422)["detail"]
    assert way.facts() == []


# --- all facts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.TYPE))
def test_fact_is_read_alike_in_a_list_on_a_line_and_beside_a_bad_one(kind: Any) -> None:
    example = FACTS[kind]
    message = {**FACT, "type": kind.TYPE, "data": {k: v for k, v in payload_of(example).items() if v is not None}}
    [expected] = parse_ndjson(lines(message)).facts
    assert expected.fact == example
    assert parse_json(orjson.dumps([message])).facts == [expected]
    assert parse_json(orjson.dumps([message, "bad"])).facts == [expected]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with ways_in(tmp_path_factory.mktemp("fuzz")) as way:
        yield way


FIELDS = st.sampled_from([*FACT, "id"])


@given(
    items=st.lists(
        JSON
        | st.dictionaries(FIELDS, JSON).map(lambda fact: {**FACT, **fact})
        | st.dictionaries(st.sampled_from(["severity", "summary", "details"]), JSON).map(
            lambda data: {**LINE, "data": {**LINE["data"], **data}}  # type: ignore[dict-item]
        ),
        max_size=5,
    ),
    content_type=st.sampled_from(["application/json", NDJSON, CLOUDEVENTS]),
)
def test_no_json_makes_the_server_fail(shared: WaysIn, items: list[Any], content_type: str) -> None:
    body = orjson.dumps(plain(items)) if content_type != NDJSON else lines(*map(plain, items))
    response = shared.telemetry(body, content_type)
    answer = response.json()
    assert answer["accepted"] + answer["repeated"] + len(answer["refused"]) == len(items)
    nothing = bool(items) and len(answer["refused"]) == len(items)
    assert response.status_code == (422 if nothing else 200)
