"""Personal fields are sealed in every copy, opened for who may see them, and gone once the key is destroyed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.message import Event
from domain.process import Action, Around, Process, same_id
from domain.sales.lead import CaptureLead, LeadCaptured, ScoreLead
from infra.cli.replay import json_line
from infra.data_dir import KEYS_FILE, MASTER_KEY_FILE, DataDirError
from infra.embedded import DEMO_TENANT, Embedded
from infra.serve.embedded import create_app
from infra.sqlite.backup import back_up, restore
from infra.sqlite.event_log import SqliteEventLog
from projections.personal import MASKED, opened
from schemas.envelope import Envelope, StreamId
from schemas.personal import ERASED
from streams.ports import LogReader
from streams.project.replay import Selection, replay
from streams.write.personal import PersonalLog
from streams.write.states import fold
from streams.write.writer import Writer
from tests.live_files import files_with
from tests.streams.intake.http.ways_in import served
from tests.streams.kit import register_tenant, submission
from tests.streams.write.saga import Hands

PERSONAL = ("contact_name", "email", "phone", "job_title")
NUMBERS = count(1)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20).map(
    lambda text: f"<{text}>"
)
CONTACTS = st.fixed_dictionaries(dict.fromkeys(PERSONAL, TEXTS))


class Server:
    """An embedded server in this process, with a client of the tenant `demo`."""

    def __init__(self, embedded: Embedded, client: httpx.Client) -> None:
        self.embedded = embedded
        self.client = client

    def capture(self, contact: Mapping[str, Any]) -> str:
        lead = f"l{next(NUMBERS)}"
        body = {"lead_id": lead, "source": "referral", "company": "Acme", **contact}
        self._send("sales/CaptureLead", body)
        self._send("sales/AssignLead", {"lead_id": lead, "to": "bob"})
        return lead

    def _send(self, command: str, body: Mapping[str, Any]) -> None:
        reply = self.client.post(f"/v1/commands/{command}", json=body)
        assert reply.status_code == 200, reply.text
        self.client.headers["X-Consistent-With"] = reply.json()["position"]["token"]

    def key(self, *scopes: str) -> str:
        made = self.client.post("/v1/keys", json={"name": "another", "scopes": scopes}).raise_for_status().json()
        key: str = made["api_key"]
        # at once: no view says who may ask
        assert self.client.get("/v1/leads", headers={"X-API-Key": key}).status_code == 200
        return key

    def shown(self, lead: str, **headers: str) -> tuple[Any, ...]:
        """Return what every answer that shows a lead says of it."""
        paths = (f"/v1/leads/{lead}", f"/v1/audit/streams/lead-{lead}", "/v1/leads?limit=100")
        document, history, listed = (self.client.get(path, headers=headers).raise_for_status().json() for path in paths)
        [in_list] = [row for row in listed["rows"] if row["id"] == lead]
        recorded = self.client.get("/v1/audit/events?types=lead.captured&limit=100", headers=headers).json()["rows"]
        [in_trail] = [row["data"] for row in recorded if row["stream"] == f"lead-{lead}"]
        return (
            document["rows"][0],
            in_list,
            history["rows"][0]["data"],
            history["state"]["captured"],
            in_trail,
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Embedded.open(tmp_path_factory.mktemp("personal") / "data") as embedded:
        key = embedded.first_start()
        embedded.views.catch_up()
        with served(create_app(embedded, host_metrics=False)) as client:
            client.headers["X-API-Key"] = key or ""
            yield Server(embedded, client)


def events_of(log: LogReader, lead: str) -> list[Envelope]:
    found = log.read_stream(DEMO_TENANT, StreamId(f"lead-{lead}"), after=0, limit=10)
    return [event for event in found if isinstance(event, Envelope)]


def personal(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: fields[name] for name in PERSONAL}


def rest(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in fields.items() if name not in PERSONAL}


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(erased=CONTACTS, other=CONTACTS)
def test_destroyed_key_makes_every_copy_unreadable_and_leaves_all_else(
    server: Server, tmp_path: Path, erased: Mapping[str, Any], other: Mapping[str, Any]
) -> None:
    gone, kept = server.capture(erased), server.capture(other)
    before = {lead: server.shown(lead) for lead in (gone, kept)}
    assert [personal(shown) for shown in (*before[gone], *before[kept])] == [erased] * 5 + [other] * 5
    copy = tmp_path / f"backup-{gone}"
    back_up(server.embedded.dir.path, copy)
    raw = events_of(server.embedded.log, gone)
    exported = [json_line(entry) for entry in replay(server.embedded.log, Selection(DEMO_TENANT))]

    server.embedded.keys.destroy((DEMO_TENANT, f"lead-{gone}"))

    assert server.shown(kept) == before[kept]
    after = server.shown(gone)
    assert [personal(shown) for shown in after] == [dict.fromkeys(PERSONAL, ERASED)] * 5
    assert list(map(rest, after)) == list(map(rest, before[gone]))
    # not a byte of the log has changed, and neither it nor the copy of it opens
    assert events_of(server.embedded.log, gone) == raw
    with closing(SqliteEventLog(copy)) as backed_up:
        for log in (server.embedded.log, backed_up):
            captured = opened(events_of(log, gone)[0], server.embedded.keys)
            assert personal(captured.data) == dict.fromkeys(PERSONAL, ERASED)
            assert personal(opened(events_of(log, kept)[0], server.embedded.keys).data) == other
    lines = [json.loads(line) for line in exported]
    [line] = [one for one in lines if (one["stream"], one["type"]) == (f"lead-{gone}", "lead.captured")]
    assert not set(erased.values()) & set(line["data"].values())
    for runner in server.embedded.views.runners:
        if runner.role.value in ("documents", "timeline"):
            runner.catch_up()
    assert server.embedded.views.operations.verify("leads", lambda _: None).differences == 0


def test_personal_fields_that_a_system_outside_sends_are_sealed_and_erased_for_all_of_their_person(
    server: Server,
) -> None:
    connector = {"connector_id": "crm", "tool_type": "postgresql", "format": "debezium"}
    named = {"personal_fields": ["email"], "person_field": "customer_id"}
    made = server.client.post("/v1/connectors", json={**connector, **named}).raise_for_status().json()
    rows: list[dict[str, Any]] = [
        {
            "op": "c",
            "after": {"id": id_, "customer_id": customer, "email": f"{name}@outside.test"},
            "source": {"lsn": id_},
        }
        for id_, customer, name in ((1, 42, "slartibartfast"), (2, 42, "slartibartfast"), (3, 43, "marvin"))
    ]
    sent = server.client.post(made["address"], json=rows, headers={"Authorization": f"Bearer {made['secret']}"})
    assert sent.json() == {"received": 3, "repeated": 0}

    def shown(**headers: str) -> list[Any]:
        server.embedded.views.catch_up()
        answer = server.client.get("/v1/audit/events?types=integration.received&limit=100", headers=headers)
        found = sorted(answer.json()["rows"], key=lambda row: row["data"]["source_position"])
        assert all(json.loads(row["data"]["payload"])["after"]["email"] == "[personal]" for row in found)
        return [row["data"]["personal"] for row in found]

    assert [json.loads(one) for one in shown()] == [{"/after/email": row["after"]["email"]} for row in rows]
    assert shown(**{"X-API-Key": server.key("leads:read", "audit:read")}) == [MASKED] * 3
    assert files_with("slartibartfast", server.embedded.dir.path) == []
    server.embedded.keys.destroy((DEMO_TENANT, "person-crm~42"))
    assert shown() == [ERASED, ERASED, '{"/after/email":"marvin@outside.test"}']
    # the same change sent again adds nothing, and what comes later is of a person that is erased
    again = server.client.post(made["address"], json=rows, headers={"Authorization": f"Bearer {made['secret']}"})
    assert again.json() == {"received": 0, "repeated": 3}
    later = {**rows[0], "source": {"lsn": 4}}
    server.client.post(made["address"], json=later, headers={"Authorization": f"Bearer {made['secret']}"})
    assert shown()[3] == ERASED
    assert files_with("slartibartfast", server.embedded.dir.path) == []


def test_no_file_of_the_folder_has_a_personal_text_in_the_open(server: Server) -> None:
    contact = dict.fromkeys(PERSONAL, "zaphod-4711@example.test")
    lead = server.capture(contact)
    server.shown(lead)
    assert files_with("zaphod-4711", server.embedded.dir.path) == []
    assert files_with(lead, server.embedded.dir.path)


def test_key_without_the_scope_sees_that_there_is_something_and_not_what(server: Server) -> None:
    contact = dict.fromkeys(PERSONAL, "ford@example.test")
    lead = server.capture({**contact, "phone": None})
    narrow = server.key("leads:read", "audit:read")
    masked = {**dict.fromkeys(PERSONAL, MASKED), "phone": None}
    document, in_list, *events = server.shown(lead, **{"X-API-Key": narrow})
    assert [personal({"phone": None, **shown}) for shown in (document, in_list, *events)] == [masked] * 5
    wide = server.key("leads:read", "audit:read", "personal:read")
    assert server.shown(lead, **{"X-API-Key": wide})[0]["email"] == "ford@example.test"


def test_what_was_recorded_in_the_open_stays_readable(server: Server) -> None:
    lead = server.capture(dict.fromkeys(PERSONAL, "x"))
    sealed = events_of(server.embedded.log, lead)[0]
    open_ = sealed._replace(schema_version=1, data={**sealed.data, **dict.fromkeys(PERSONAL, "arthur")})
    assert personal(opened(open_, server.embedded.keys).data) == dict.fromkeys(PERSONAL, "arthur")


def test_restored_log_opens_and_rules_decide_on_what_was_meant(tmp_path: Path) -> None:
    with Embedded.open(tmp_path / "data") as embedded:
        capture = CaptureLead(lead_id="l1", source="referral", email="trillian@example.test")
        embedded.writer.write([register_tenant("demo"), submission(capture)])
    back_up(tmp_path / "data", tmp_path / "copy")
    restore(tmp_path / "copy", tmp_path / "restored")
    with Embedded.open(tmp_path / "restored") as embedded:
        lead = (DEMO_TENANT, StreamId("lead-l1"))
        state = fold(PersonalLog(embedded.log, embedded.keys).read_streams([lead])[lead]).state
        assert state.captured.email == "trillian@example.test"
        embedded.keys.destroy((DEMO_TENANT, "lead-l1"))
        [scored] = embedded.writer.write([submission(ScoreLead(lead_id="l1"))])
        assert scored.outcome == "accepted"


def test_event_that_a_process_failed_on_comes_again_with_its_personal_fields_open(tmp_path: Path) -> None:
    shown: list[str | None] = []

    def react(_state: Any, event: Event, _around: Around) -> Sequence[Action]:
        if isinstance(event, LeadCaptured):
            shown.append(event.email)
            if len(shown) == 1:
                raise ZeroDivisionError
        return []

    hands = Hands(datetime.now(UTC))
    with Embedded.open(tmp_path) as embedded:
        process = Process("frail", (LeadCaptured,), same_id, react)
        writer = Writer(PersonalLog(embedded.log, embedded.keys), hands, processes=(process,))
        capture = CaptureLead(lead_id="l1", source="referral", email="trillian@example.test")
        writer.write([register_tenant("demo"), submission(capture)])
        hands.at += timedelta(seconds=10)
        writer.tick()
    assert shown == ["trillian@example.test"] * 2


@pytest.mark.parametrize("name", [KEYS_FILE, MASTER_KEY_FILE])
def test_missing_part_stops_the_start_in_plain_words(tmp_path: Path, name: str) -> None:
    Embedded.open(tmp_path).close()
    assert (tmp_path / MASTER_KEY_FILE).stat().st_mode & 0o777 == 0o600
    (tmp_path / name).rename(tmp_path / "away")
    with pytest.raises(DataDirError, match=f"{name}.*put it back"):
        Embedded.open(tmp_path)
    (tmp_path / "away").rename(tmp_path / name)
    Embedded.open(tmp_path).close()
