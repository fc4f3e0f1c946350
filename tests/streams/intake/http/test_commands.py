import asyncio
import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import StreamId, TenantId, Topic
from streams.ports import LogDamaged, Overloaded, Reply, Submission
from streams.write.gate import CommandGate
from tests.streams.intake.http.ways_in import WaysIn, refused, ways_in

REGISTER = "fleet.RegisterDevice"
DEVICE = {"device_id": "web-1", "hostname": "web-1.example"}
INVOICE = {
    "number": "536365",
    "party": "17850",
    "direction": "out",
    "issue_date": "2010-12-01T08:26:00Z",
    "currency": "GBP",
    "lines": [{"product": "85123A", "quantity": "6", "unit_price": "2.55"}],
}
MIB = 1024 * 1024


def test_accepted_command_is_in_the_log_when_it_is_answered(way: WaysIn) -> None:
    answer = way.command(
        REGISTER, DEVICE, headers={"Idempotency-Key": "first", "X-Happened-At": "2026-01-31T08:30:00Z"}
    )
    assert answer.status_code == 200
    reply = answer.json()
    [event] = way.log.read_stream(TenantId("demo"), StreamId("device-web-1"), after=0, limit=10)
    assert reply["events"] == [{"type": "device.registered", "version": 1, "event_id": event.event_id}]  # type: ignore[union-attr]
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["X-Position"] == reply["position"]["token"] == f"events/0/{event.position}"


def test_repeated_command_gets_its_first_answer(way: WaysIn) -> None:
    first = way.command(REGISTER, DEVICE, headers={"Idempotency-Key": "once"}).json()
    again = way.command(REGISTER, DEVICE, headers={"Idempotency-Key": "once"}).json()
    assert again == {**first, "repeated": True}


def test_key_of_another_command_body_or_version_is_refused(way: WaysIn) -> None:
    once = {"Idempotency-Key": "same-key-1"}
    first = way.command(REGISTER, {"device_id": "es-1", "hostname": "es-1.example"}, headers=once)
    assert first.status_code == 200
    for name, body, more in (
        (REGISTER, {"device_id": "es-2", "hostname": "es-2.example"}, {}),
        ("fleet.RetireDevice", {"device_id": "es-1"}, {}),
        (REGISTER, {"device_id": "es-1", "hostname": "es-1.example"}, {"If-Match": "0"}),
    ):
        problem = refused(way.command(name, body, headers=once | more), 422)
        assert (problem["kind"], problem["command_id"]) == ("reused", "same-key-1")
        assert "give this command an id of its own" in problem["detail"]
    again = way.command(REGISTER, b'{ "hostname":"es-1.example", "device_id":"es-1" }', headers=once)
    assert again.json() == {**first.json(), "repeated": True}
    tag = {"device_id": "es-1", "key": "a", "value": "b"}
    assert way.command("fleet.TagDevice", tag, headers=once, key="fleet").status_code == 200
    assert [event.type for event in way.entries(Topic.EVENTS)] == [
        "tenant.registered",
        "device.registered",
        "device.tagged",
    ]


def outcome(way: WaysIn, id_: str, key: str = "demo") -> httpx.Response:
    return way.client.get(f"/v1/commands/{quote(id_, safe='')}", headers={"X-API-Key": key})


@pytest.mark.parametrize("id_", ["out-1", "out/2", "50%", "a%2Fb"])
def test_outcome_of_a_command_is_asked_by_its_id(way: WaysIn, id_: str) -> None:
    device = {"device_id": f"out-{id_.encode().hex()}", "hostname": "x.example"}
    sent = way.command(REGISTER, device, headers={"Idempotency-Key": id_})
    found = outcome(way, id_)
    assert (found.status_code, found.json()) == (200, {**sent.json(), "repeated": True})
    assert found.headers["X-Position"] == sent.headers["X-Position"]
    for key in ("fleet", "acme"):
        assert (
            "none was decided, or it was answered more than 7 days ago"
            in refused(outcome(way, id_, key), 404)["detail"]
        )


def test_outcome_of_a_refused_command_says_why(way: WaysIn) -> None:
    problem = refused(way.command("fleet.RetireDevice", {"device_id": "n"}, headers={"Idempotency-Key": "no"}), 404)
    found = outcome(way, "no").json()
    assert (found["outcome"], found["kind"], found["reason"]) == ("refused", "not_found", problem["detail"])
    stale = way.command(REGISTER, {**DEVICE, "device_id": "n"}, headers={"Idempotency-Key": "st", "If-Match": "4"})
    assert (stale.status_code, outcome(way, "st").json()["actual_version"]) == (409, 0)


def test_outcome_of_what_was_never_sent_or_is_no_id_is_refused(way: WaysIn) -> None:
    refused(outcome(way, "never"), 404)
    refused(outcome(way, "ünknown"), 422)
    refused(outcome(way, "x" * 129), 422)
    refused(way.client.get("/v1/commands/never"), 401)


def test_refusal_and_no_op_are_answered_again_as_they_were(way: WaysIn) -> None:
    retire = ("fleet.RetireDevice", {"device_id": "web-1"})
    first = refused(way.command(*retire, headers={"Idempotency-Key": "early"}), 404)
    assert way.command(REGISTER, DEVICE).status_code == 200
    assert refused(way.command(*retire, headers={"Idempotency-Key": "early"}), 404) == {**first, "repeated": True}
    tag = ("fleet.TagDevice", {"device_id": "web-1", "key": "room", "value": "a"})
    other = {**tag[1], "value": "b"}
    way.command(*tag)
    nothing = way.command(*tag, headers={"Idempotency-Key": "late"}).json()
    assert nothing["events"] == []
    way.command(tag[0], other)
    assert way.command(*tag, headers={"Idempotency-Key": "late"}).json() == {**nothing, "repeated": True}
    assert [event.data.get("value") for event in way.entries(Topic.EVENTS)][-2:] == ["a", "b"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"device_id": NaN}', b'{"a": "\\ud800"}', b'{"a": "\xff"}', b"[" * 100_000, b'{"a": 1} trailing'],
    ids=["empty", "cut", "NaN", "lone surrogate", "not UTF-8", "deep", "more after it"],
)
def test_body_that_is_not_json_is_refused(way: WaysIn, body: bytes) -> None:
    assert "the body is not JSON" in refused(way.command(REGISTER, body), 400)["detail"]


@pytest.mark.parametrize(
    "name", ["fleet.Nothing", "nothing.RegisterDevice", "identity.RegisterTenant", "identity.RemoveDevice", "a.b"]
)
def test_unknown_command_is_refused(way: WaysIn, name: str) -> None:
    assert f"there is no command '{name}'" in refused(way.command(name, DEVICE), 404)["detail"]


@pytest.mark.parametrize("path", ["/v1/commands/fleet/RegisterDevice", "/v1/commands"])
def test_parameter_that_commands_do_not_read_is_refused_and_nothing_is_done(way: WaysIn, path: str) -> None:
    one = {"command": REGISTER, "body": DEVICE}
    answer = way.post(f"{path}?dry_run=true", [one] if path == "/v1/commands" else DEVICE)
    assert "there is no parameter 'dry_run'" in refused(answer, 400)["detail"]
    assert [event.type for event in way.entries(Topic.EVENTS)] == ["tenant.registered"]


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"colour": "red"}, "colour"),
        ({"hostname": "a\0b"}, "hostname"),
        ({"hostname": 5}, "hostname"),
        ({"hostname": ""}, "hostname"),
        ({"device_id": "../etc/passwd"}, "device_id"),
        ({"device_id": "x" * 129}, "device_id"),
        ({"device_id": None}, "device_id"),
    ],
)
def test_field_that_does_not_fit_is_named(way: WaysIn, changes: dict[str, Any], where: str) -> None:
    problem = refused(way.command(REGISTER, {**DEVICE, **changes}), 422)
    assert [error["where"] for error in problem["errors"]] == [where]
    assert where in problem["detail"]


@pytest.mark.parametrize("id_", ["Büro-PC 1", "site A/switch 1", "{5A2F-11}", "_gw", "srv#1"])
def test_id_that_people_have_is_refused_with_a_sentence_that_says_what_it_may_be(way: WaysIn, id_: str) -> None:
    says = "must be an id: letters a to z, digits and . _ : @ ~ - without blanks, beginning with a letter or a digit"
    problem = refused(way.command(REGISTER, {**DEVICE, "device_id": id_}), 422)
    assert problem["detail"].startswith(f"device_id: {says}; what people call it belongs into a name, like hostname")
    fact = {"type": "device.heartbeat", "device_id": id_, "happened_at": "2026-01-31T08:30:00Z", "data": {}}
    assert says in refused(way.telemetry([fact]), 422)["detail"]


@pytest.mark.parametrize("id_", ["web-1.example.com", "10.0.0.1:161", "AA:BB:CC:00:11:22", "a_b~c@d", "filters"])
def test_id_with_dots_colons_and_the_like_is_taken(way: WaysIn, id_: str) -> None:
    assert way.command(REGISTER, {**DEVICE, "device_id": id_}).status_code == 200


@pytest.mark.parametrize("body", [None, [], 5, "text", [[[[]]]]])
def test_body_that_is_no_object_is_refused(way: WaysIn, body: Any) -> None:
    refused(way.command(REGISTER, orjson.dumps(body)), 422)


@pytest.mark.parametrize("date", [1700000000, 1.5, True, None, "1700000000", "2010-12-01", "1.12.2010", "today"])
def test_number_or_word_where_a_date_belongs_is_refused(way: WaysIn, date: Any) -> None:
    problem = refused(way.command("finance.ReceiveInvoice", {**INVOICE, "issue_date": date}), 422)
    assert problem["detail"] == "issue_date: must be an RFC 3339 instant like 2026-01-31T08:30:00Z"


@pytest.mark.parametrize(
    ("date", "what"),
    [
        ("2010-12-01T08:26:00", "must say its offset from UTC"),
        ("0001-01-01T00:00:00+14:00", "years 1 to 9999"),
        ("9999-12-31T23:59:59-12:00", "years 1 to 9999"),
        ("2010-13-01T08:26:00Z", "valid datetime"),
    ],
)
def test_instant_without_offset_or_out_of_range_is_refused(way: WaysIn, date: str, what: str) -> None:
    problem = refused(way.command("finance.ReceiveInvoice", {**INVOICE, "issue_date": date}), 422)
    assert what in problem["detail"]
    problem = refused(way.command(REGISTER, DEVICE, headers={"X-Happened-At": date}), 422)
    assert problem["detail"].startswith("happened_at (X-Happened-At)")


@pytest.mark.parametrize("amount", ["NaN", "-Infinity", "1e400", "1e999999999", "9" * 5000, 1e300, True, [], "", "1,5"])
def test_amount_that_is_no_finite_number_is_refused(way: WaysIn, amount: Any) -> None:
    lines = [{"product": "85123A", "quantity": amount, "unit_price": "1"}]
    problem = refused(way.command("finance.ReceiveInvoice", {**INVOICE, "lines": lines}), 422)
    assert problem["errors"][0]["where"] == "lines.0.quantity"


@pytest.mark.parametrize("key", [b"a" * 129, b"a b", b"", b"\xfc", b"a\tb"])
def test_idempotency_key_that_is_too_long_or_has_spaces_is_refused(way: WaysIn, key: bytes) -> None:
    problem = refused(way.command(REGISTER, DEVICE, headers={"Idempotency-Key": key}), 422)
    assert problem["detail"].startswith("a command's id (Idempotency-Key) must be 1 to 128 visible ASCII characters")


@pytest.mark.parametrize("version", ["*", 'W/"3"', "-1", "1.0", "three", "9" * 5000, '"٣"'.encode()])
def test_if_match_that_is_no_version_is_refused(way: WaysIn, version: str | bytes) -> None:
    problem = refused(way.command(REGISTER, DEVICE, headers={"If-Match": version}), 400)
    assert "If-Match must be a version like 3" in problem["detail"]


def test_wrong_if_match_is_a_conflict_with_the_actual_version(way: WaysIn) -> None:
    way.command(REGISTER, DEVICE)
    tag = {"device_id": "web-1", "key": "room", "value": "a"}
    problem = refused(way.command("fleet.TagDevice", tag, headers={"If-Match": '"7"'}), 409)
    assert (problem["kind"], problem["actual_version"]) == ("conflict", 1)
    assert problem["detail"] == "stream device-web-1 is at version 1, not 7"
    assert way.command("fleet.TagDevice", tag, headers={"If-Match": '"1"'}).json()["version"] == 2


REGISTER_AT = {"command": REGISTER, "body": DEVICE, "id": "timely"}


@pytest.mark.parametrize("late", ["2026-01-31T08:30:00Z", "0.000001"])
def test_command_past_its_deadline_is_refused_and_may_be_sent_again(way: WaysIn, late: str) -> None:
    headers = {"Idempotency-Key": "timely", "X-Deadline": late}
    problem = refused(way.command(REGISTER, DEVICE, headers=headers), 504)
    assert problem["kind"] == "expired"
    assert way.batch({**REGISTER_AT, "deadline": late})[0]["kind"] == "expired"
    assert len(way.entries(Topic.EVENTS)) == 1
    first = way.command(REGISTER, DEVICE, headers={**headers, "X-Deadline": "60"}).json()
    assert not first["repeated"]
    assert way.command(REGISTER, DEVICE, headers=headers).json() == {**first, "repeated": True}


@pytest.mark.parametrize("deadline", [60, 0.5, "60", "9999-12-31T23:59:59Z", None])
def test_command_before_its_deadline_is_done(way: WaysIn, deadline: Any) -> None:
    assert way.batch({**REGISTER_AT, "deadline": deadline})[0]["outcome"] == "accepted"


def test_command_without_a_deadline_has_as_long_as_its_caller_waits(
    way: WaysIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert way.batch(REGISTER_AT)[0]["outcome"] == "accepted"
    # a caller that was told to come again before the writer got there
    monkeypatch.setattr("streams.intake.http.commands.CALLER_WAITS_S", -1.0)
    late = {**REGISTER_AT, "id": "late", "body": {**DEVICE, "device_id": "late"}}
    assert way.batch(late)[0]["kind"] == "expired"
    assert way.batch({**late, "deadline": 60})[0]["outcome"] == "accepted"


@pytest.mark.parametrize("deadline", [0, -1, True, "soon", "2026-01-31T08:30:00", 86_401, "1e3", [], 1e300, "9" * 5000])
def test_deadline_that_is_none_is_refused(way: WaysIn, deadline: Any) -> None:
    [reply] = way.batch({**REGISTER_AT, "deadline": deadline})
    assert reply["kind"] == "invalid"
    assert reply["reason"].startswith("deadline (X-Deadline) must be seconds")


# --- who asks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/commands/fleet/RegisterDevice", "/v1/commands", "/v1/telemetry", "/v1/tenants"])
def test_missing_or_wrong_key_is_refused_before_the_body_is_looked_at(way: WaysIn, path: str) -> None:
    for headers in ({}, {"X-API-Key": "wrong"}):
        refused(way.client.post(path, content=b"{", headers=headers), 401)


def test_key_without_the_scope_is_refused(way: WaysIn) -> None:
    assert "lacks the scope fleet:write" in refused(way.command(REGISTER, DEVICE, key="reader"), 403)["detail"]
    assert way.command(REGISTER, DEVICE, key="fleet").status_code == 200
    refused(way.command("finance.ReceiveInvoice", INVOICE, key="fleet"), 403)


def test_command_of_an_unknown_tenant_is_refused(way: WaysIn) -> None:
    problem = refused(way.command(REGISTER, DEVICE, key="nobody"), 404)
    assert "tenant is not known here" in problem["detail"]


# --- how a body is sent ----------------------------------------------------------------------------------------------


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data)


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


PACKERS = pytest.mark.parametrize(("encoding", "pack"), [("gzip", _gzip), ("zstd", _zstd)])


@PACKERS
def test_packed_body_is_read_whole_whatever_its_parts(way: WaysIn, encoding: str, pack: Any) -> None:
    body = orjson.dumps(DEVICE)
    packed = pack(body[:9]) + pack(body[9:20]) + pack(body[20:])
    assert way.command(REGISTER, packed, headers={"Content-Encoding": encoding}).status_code == 200


@PACKERS
def test_packed_body_that_is_cut_or_damaged_is_refused_whole(way: WaysIn, encoding: str, pack: Any) -> None:
    body = orjson.dumps(DEVICE)
    packed = pack(body)
    for wrong in (packed[:-5], packed[:5], b"", body, packed + b"more", packed + packed[:-1]):
        problem = refused(way.command(REGISTER, wrong, headers={"Content-Encoding": encoding}), 400)
        assert f"the body is not {encoding}" in problem["detail"]
    assert way.entries(Topic.EVENTS)[-1].type == "tenant.registered"


def test_decompression_bomb_is_refused_without_being_unpacked(way: WaysIn) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    nothing = b"\0" * MIB
    gzip_bomb = b"".join(packer.compress(nothing) for _ in range(256)) + packer.flush()
    for encoding, bomb in (("gzip", gzip_bomb), ("zstd", _zstd(nothing * 256))):
        problem = refused(way.command(REGISTER, bomb, headers={"Content-Encoding": encoding}), 413)
        assert problem["limit_bytes"] == 16 * MIB


def test_zstd_window_that_would_take_much_memory_is_refused(way: WaysIn) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = packer.compress(orjson.dumps(DEVICE)) + packer.flush()
    refused(way.command(REGISTER, packed, headers={"Content-Encoding": "zstd"}), 400)


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "deflate", "*"])
def test_unknown_content_encoding_is_refused(way: WaysIn, encoding: str) -> None:
    problem = refused(way.command(REGISTER, DEVICE, headers={"Content-Encoding": encoding}), 415)
    assert "send gzip, zstd or none" in problem["detail"]


def test_body_of_100_mb_is_answered_with_a_problem_that_its_sender_gets(way: WaysIn) -> None:
    problem = refused(way.command(REGISTER, b"x" * (100 * MIB)), 413)
    assert problem["detail"] == "the body is larger than 16 MiB; send it in parts"
    assert way.command(REGISTER, DEVICE).status_code == 200


# --- too much at once ------------------------------------------------------------------------------------------------


def test_full_queue_is_answered_503_with_the_time_to_come_again(tmp_path: Path) -> None:
    with ways_in(tmp_path, max_waiting=0) as way:
        for answer in (
            way.command(REGISTER, DEVICE),
            way.post("/v1/commands", [{"command": REGISTER, "body": DEVICE}]),
        ):
            assert refused(answer, 503)["detail"] == "the queue is full; send it again later"
            assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("path", ["/v1/commands/fleet/RegisterDevice", "/v1/commands", "/v1/telemetry"])
def test_body_for_which_other_requests_leave_no_room_is_answered_503(way: WaysIn, path: str) -> None:
    all_of_it = way.bodies.left
    way.bodies.left = 10
    for body, headers in ((b"[" + b" " * 20 + b"]", {}), (_gzip(b"[]" + b" " * 99), {"Content-Encoding": "gzip"})):
        answer = way.post(path, body, headers=headers)
        refused(answer, 503)
        assert answer.headers["Retry-After"] == "1"
    assert way.bodies.left == 10
    way.bodies.left = all_of_it


def test_every_request_gives_back_what_its_body_took(way: WaysIn) -> None:
    all_of_it = way.bodies.left
    packed = {"Content-Encoding": "gzip"}
    for body, headers in (
        (orjson.dumps(DEVICE), {}),
        (b"{", {}),
        (b"x" * (17 * MIB), {}),
        (_gzip(orjson.dumps(DEVICE)), packed),
        (_gzip(b"x" * (17 * MIB)), packed),
        (b"not packed", packed),
    ):
        way.command(REGISTER, body, headers=headers)
        way.telemetry(body, headers=headers)
        assert way.bodies.left == all_of_it


def test_caller_that_leaves_before_its_body_has_come_raises_nothing(way: WaysIn) -> None:
    came = iter([{"type": "http.request", "body": b"[", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(came)

    async def send(_message: Any) -> None:
        pass

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/commands",
        "headers": [(b"x-api-key", b"demo")],
        "query_string": b"",
    }
    asyncio.run(way.app(scope, receive, send))


# --- batches ---------------------------------------------------------------------------------------------------------


def test_batch_has_a_reply_for_each_command_in_order(way: WaysIn) -> None:
    replies = way.batch(
        {"id": "1", "command": REGISTER, "body": DEVICE, "expected_version": 0},
        {"id": "2", "command": REGISTER, "body": DEVICE},
        {"id": "1", "command": REGISTER, "body": DEVICE, "expected_version": 0},
        {"id": "3", "command": "fleet.Nothing", "body": {}},
        {"id": "4", "command": REGISTER, "body": {"device_id": "web-2"}},
        {"id": "5", "command": "fleet.RetireDevice", "body": {"device_id": "web-9"}},
        {"id": "6", "command": "fleet.RetireDevice", "body": {"device_id": "web-1"}, "expected_version": 9},
        {"id": "7", "command": "fleet.RetireDevice", "body": {"device_id": "web-1"}, "expected_version": "1"},
        {"id": "8 ", "command": "fleet.RetireDevice", "body": {"device_id": "web-1"}},
        {"id": "9", "command": "fleet.RetireDevice", "body": {"device_id": "web-1"}, "happened_at": 5},
        "no command at all",
        {"id": "11", "command": "fleet.RetireDevice", "body": {"device_id": "web-1"}, "expected_version": 1},
    )
    assert [reply.get("kind") for reply in replies] == [
        None,
        "conflict",
        None,
        "not_found",
        "invalid",
        "not_found",
        "conflict",
        "invalid",
        "invalid",
        "invalid",
        "not_found",
        None,
    ]
    assert replies[2] == {**replies[0], "repeated": True}
    assert replies[6]["actual_version"] == 1
    assert all(reply["reason"] for reply in replies if reply["outcome"] == "refused")
    assert [event.type for event in way.entries(Topic.EVENTS)][1:] == ["device.registered", "device.retired"]


def test_item_that_was_not_taken_is_answered_with_its_id_and_the_others_as_ever(
    way: WaysIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [{"command": REGISTER, "body": {**DEVICE, "device_id": f"web-{n}"}} for n in range(5)]
    whole = CommandGate.execute_many

    async def two_of_five(self: CommandGate, submissions: Sequence[Submission]) -> Sequence[Reply | BaseException]:
        # as the queue of the distributed profile does, whose items are on their way one by one
        return [*await whole(self, submissions[:2]), *[Overloaded()] * 3]

    with monkeypatch.context() as full:
        full.setattr(CommandGate, "execute_many", two_of_five)
        replies = way.batch(*items)
    assert [reply["outcome"] for reply in replies] == ["accepted"] * 2 + ["refused"] * 3
    assert {reply["kind"] for reply in replies[2:]} == {"not_now"}
    ids = [reply["command_id"] for reply in replies]
    assert len(set(ids)) == 5
    for item, id_, reply in zip(items, ids, replies, strict=True):
        [again] = way.batch({**item, "id": id_})
        assert (again["outcome"], again["repeated"]) == ("accepted", reply["outcome"] == "accepted")
    assert len(way.entries(Topic.EVENTS)) == 1 + 5


def test_item_that_is_refused_and_has_no_id_is_answered_with_none(way: WaysIn) -> None:
    unknown = {"command": "fleet.Nothing", "body": {}}
    assert [reply["command_id"] for reply in way.batch(unknown, {**unknown, "id": None})] == ["", ""]


def test_batch_that_meets_a_full_queue_is_refused_whole_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    items = [{"command": REGISTER, "body": {**DEVICE, "device_id": f"web-{n}"}} for n in range(5)]
    with ways_in(tmp_path, max_waiting=4) as way:
        response = way.post("/v1/commands", items)
        assert refused(response, 503)["detail"] == "the queue is full; send it again later"
        assert response.headers["retry-after"]
        assert len(way.entries(Topic.EVENTS)) == 1
        assert [reply["outcome"] for reply in way.batch(*items[:4])] == ["accepted"] * 4


def test_batch_that_is_no_list_or_too_long_is_refused_whole(way: WaysIn) -> None:
    bodies: list[Any] = [{}, None, "text", [{"command": REGISTER, "body": DEVICE}] * 1001]
    for body in bodies:
        problem = refused(way.post("/v1/commands", orjson.dumps(body)), 400)
        assert problem["detail"] == "the body must be a JSON array of at most 1000 commands"
    assert len(way.entries(Topic.EVENTS)) == 1


def test_batch_of_a_key_without_the_scope_changes_nothing(way: WaysIn) -> None:
    [reply] = way.batch({"command": REGISTER, "body": DEVICE}, key="reader")
    assert (reply["kind"], reply["reason"]) == ("not_allowed", "this api key lacks the scope fleet:write")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from(["id", "command", "body", "expected_version", "happened_at", "deadline"])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with ways_in(tmp_path_factory.mktemp("fuzz")) as way:
        yield way


@given(
    items=st.lists(
        JSON
        | st.dictionaries(FIELDS, JSON).map(lambda item: {"command": REGISTER, "body": DEVICE, **item})
        | st.fixed_dictionaries({"command": st.just("finance.ReceiveInvoice")}, optional={"body": JSON})
        | st.dictionaries(st.sampled_from([*INVOICE, "tax", "due_date"]), JSON).map(
            lambda body: {"command": "finance.ReceiveInvoice", "body": {**INVOICE, **body}}
        ),
        max_size=5,
    )
)
def test_no_json_makes_the_server_fail(shared: WaysIn, items: list[Any]) -> None:
    body = orjson.dumps(plain(items))
    answer = shared.post("/v1/commands", body)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["replies"]) == len(items)
    assert not any("failed inside" in str(reply.get("reason")) for reply in answer.json()["replies"])


def plain(value: Any) -> Any:
    """Leave out what JSON cannot hold."""
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return value.encode(errors="ignore").decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-(2**63), min(value, 2**64 - 1))
    return value


def test_damaged_log_is_no_outage_that_is_worth_another_try(way: WaysIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(_batch: object) -> None:
        raise LogDamaged("events.sqlite is damaged; restore a backup")

    monkeypatch.setattr(way.log, "append", damaged)
    answer = way.command(REGISTER, DEVICE)
    assert answer.status_code == 500
    assert "Retry-After" not in answer.headers
    assert "damaged" in answer.json()["detail"]
