"""A secret goes to a worker with the task that needs it, and nowhere else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.envelope import Topic
from tests.live_files import files_with
from tests.streams.intake.http.ways_in import WaysIn, ways_in

SECRET = "sk-proj-0123456789abcdefghij"
ADD = {
    "key_id": "openai",
    "provider": "openai",
    "kinds": ["chat.complete"],
    "base_url": "https://api.openai.com/v1",
    "secret": SECRET,
}
GIVEN = {"key_id": "openai", "provider": "openai", "base_url": "https://api.openai.com/v1", "secret": SECRET}


@pytest.fixture
def way(tmp_path: Path) -> Iterator[WaysIn]:
    with ways_in(tmp_path) as way:
        yield way


def add(way: WaysIn, **more: Any) -> None:
    answer = way.post("/v1/secrets", {**ADD, **more})
    assert answer.status_code == 200, answer.text
    assert SECRET not in answer.text


def claimed(way: WaysIn, key: str = "trusted", *, kind: str = "chat.complete", named: Any = "openai") -> Any:
    """Request a task that names a provider key, claim it with an API key, and return what comes with it."""
    task_id = f"t{len(way.entries(Topic.EVENTS))}"
    body = {"task_id": task_id, "kind": kind, "input": {"provider_key": named}}
    assert way.command("operations.RequestTask", body).status_code == 200
    [row] = way.post("/v1/tasks/claim", {"kinds": [kind], "worker": "w1"}, key=key).json()["rows"]
    assert row["task_id"] == task_id
    return row.get("provider", "nothing")


def test_worker_is_given_the_secret_with_a_task_that_names_it(way: WaysIn) -> None:
    add(way)
    assert claimed(way) == GIVEN


def test_secret_is_in_no_event_and_in_no_file_as_it_is(way: WaysIn, tmp_path: Path) -> None:
    add(way)
    way.post("/v1/secrets/openai", {"secret": SECRET + "2"})
    events = [json.dumps(dict(event.data), default=str) for event in way.entries(Topic.EVENTS)]
    assert not [event for event in events if SECRET in event or "sealed" in event]
    assert [event.data["prefix"] for event in way.entries(Topic.EVENTS) if event.type == "provider_key.added"] == [
        "sk-pr"
    ]
    assert files_with(SECRET, tmp_path) == []


@pytest.mark.parametrize(
    ("key", "more"),
    [
        ("worker", {}),
        ("trusted", {"kind": "http.request"}),
        ("trusted", {"named": "other"}),
    ],
)
def test_nobody_is_given_it_who_may_not_have_it_or_for_other_tasks(way: WaysIn, key: str, more: Any) -> None:
    add(way)
    assert claimed(way, key, **more) is None


@pytest.mark.parametrize("named", [None, 7, ["openai"]])
def test_task_that_names_none_comes_without_one(way: WaysIn, named: Any) -> None:
    add(way)
    assert claimed(way, named=named) == "nothing"


def test_other_tenant_has_its_own(way: WaysIn) -> None:
    add(way)
    body = {"task_id": "t1", "kind": "chat.complete", "input": {"provider_key": "openai"}}
    assert way.command("operations.RequestTask", body, key="acme").status_code == 200
    claim = {"kinds": ["chat.complete"], "worker": "w1"}
    [row] = way.post("/v1/tasks/claim", claim, key="acme").json()["rows"]
    assert row["provider"] is None


def test_secret_that_is_put_in_its_place_is_the_one_that_is_given(way: WaysIn) -> None:
    add(way)
    answer = way.post("/v1/secrets/openai", {"secret": "short"})
    assert answer.json()["version"] == 2
    assert claimed(way) == {**GIVEN, "secret": "short"}
    # nothing is shown of a secret that is short
    assert [event.data["prefix"] for event in way.entries(Topic.EVENTS) if event.type == "provider_key.rotated"] == [""]


def test_revoked_key_is_given_to_nobody_and_its_secret_is_forgotten(way: WaysIn) -> None:
    add(way)
    assert way.command("automation.RevokeProviderKey", {"key_id": "openai"}).status_code == 200
    assert claimed(way) is None
    assert way.post("/v1/secrets", ADD).status_code == 409
    answer = way.post("/v1/secrets/openai", {"secret": SECRET})
    assert (answer.status_code, answer.json()["detail"]) == (403, "provider key openai is revoked; add another one")


def test_same_request_again_is_answered_as_before_and_another_under_its_key_is_refused(way: WaysIn) -> None:
    headers = {"Idempotency-Key": "add-1"}
    first, again = (way.post("/v1/secrets", ADD, headers=headers).json() for _ in range(2))
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert way.post("/v1/secrets", {**ADD, "secret": "another"}, headers=headers).status_code == 422


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**ADD, "base_url": "ftp://x"}, "base_url"),
        ({**ADD, "kinds": []}, "kinds"),
        ({**ADD, "secret": ""}, "secret"),
        ({**ADD, "secret": f"{SECRET}\n"}, "secret"),
        ({**ADD, "sealed": "AQID"}, "sealed"),
    ],
)
def test_what_is_no_provider_key_is_refused_without_its_secret(way: WaysIn, body: Any, field: str) -> None:
    answer = way.post("/v1/secrets", body)
    assert answer.status_code == 422
    assert field in answer.text
    assert SECRET not in answer.text


def test_sealed_secret_cannot_be_sent_as_a_command(way: WaysIn) -> None:
    body = {"key_id": "openai", "provider": "openai", "kinds": ["a"], "prefix": "", "sealed": "AQID"}
    assert way.command("automation.AddProviderKey", body).status_code == 404
