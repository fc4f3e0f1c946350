"""Invitations on the server as users run it: they end by themselves, also over kills, and a person sees them."""

from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import Envelope, Topic
from tests.end_to_end.conftest import Server
from tests.infra.server_process import ServerProcess
from tests.waiting import eventually


def invitation(user: str, seconds: float) -> dict[str, Any]:
    ends = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    return {"user_id": user, "email": f"{user}@acme.example", "roles": ["USER"], "expires_at": ends}


def test_invitation_that_nobody_accepts_ends_by_itself_and_one_that_is_accepted_does_not(server: Server) -> None:
    server.post("/v1/commands/identity/InviteUser", invitation("late", 1))
    server.post("/v1/commands/identity/InviteUser", invitation("early", 3_600))
    server.post("/v1/commands/identity/AcceptInvitation", {"user_id": "early"})
    (late,) = eventually(lambda: server.get("/v1/users", status="EXPIRED")["rows"])
    assert (late["id"], late["email"], late["roles"]) == ("late", "late@acme.example", ["USER"])
    (early,) = server.get("/v1/users", status="ACTIVE")["rows"]
    assert early["id"] == "early"
    found = eventually(lambda: server.get("/v1/processes", name="invitation_expiry", state="IDLE")["rows"])
    assert {one["instance"]: (one.get("step"), one["next_timer"]) for one in found} == {
        "late": ("expire", ""),
        "early": (None, ""),
    }
    (one,) = server.get("/v1/processes/invitation_expiry-late")["rows"]
    assert (one["name"], one["last_event"], one["last_error"]) == ("invitation_expiry", "process.answered", "")
    history = server.get("/v1/audit/streams/invitation_expiry-late")
    assert "timer.fired" in str(history)


@pytest.mark.full
def test_invitations_end_once_each_over_kills_of_the_server(tmp_path: Path) -> None:
    users = [f"user-{n:02}" for n in range(60)]
    server = ServerProcess(tmp_path / "data")
    with server:
        with server.client() as client:
            for n, user in enumerate(users):
                answer = client.post("/v1/commands/identity/InviteUser", json=invitation(user, 1 + n / 20))
                assert answer.status_code == 200, answer.text
        for _ in range(3):
            server.kill()
            server.start()
        with server.client() as client:
            eventually(lambda: counted(client)["EXPIRED"] == len(users))
        assert server.stop() == 0
    with closing(SqliteEventLog(server.data_dir)) as log:
        events = [entry for entry in log.read(Topic.EVENTS, 0, after=0, limit=9_999) if isinstance(entry, Envelope)]
    fired = Counter(event.stream for event in events if event.type == "timer.fired")
    assert fired == dict.fromkeys((f"invitation_expiry-{user}" for user in users), 1)
    assert all(event.recorded_at >= event.data["due_at"] for event in events if event.type == "timer.fired")
    expired = Counter(event.stream for event in events if event.type == "user.invitation.expired")
    assert expired == dict.fromkeys((f"user-{user}" for user in users), 1)


def counted(client: httpx.Client) -> Counter[str]:
    answer = client.get("/v1/users/filters")
    rows = answer.json()["rows"] if answer.status_code == 200 else []
    return Counter({row["value"]: row["count"] for row in rows if row["field"] == "status"})
