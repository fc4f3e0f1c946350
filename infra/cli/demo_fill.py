"""This sends the steps of the demo to a server, at a pace, and counts what became of them."""

import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from time import monotonic, sleep
from typing import Any

from factline.client import Client, Conflict
from infra.cli.demo_story import Facts, Order, Post, Step, Until, Visit, Work, opening, records, steps
from infra.cli.import_sinks import replies_to
from infra.cli.progress import OnStep
from streams.project.step import Step as Done

_AT_ONCE = 50
_BATCH_S = 2.0
"""Commands of so many seconds are sent together: a key may send 60 requests a minute where nobody says more."""

_SEEN_WITHIN_S = 30.0
_LOOK_S = 0.5
_CLAIM_S = 2.0


class CannotBegin(Exception):  # noqa: N818 - it says what happened
    """The first command was refused, and nothing was recorded; the message says why. A retry gives the same answer."""


class Count:
    """What the demo told of one kind of thing. Shape: `things` are streams, where it has any."""

    def __init__(self) -> None:
        self.things: set[str] = set()
        self.recorded = 0
        self.before = 0


class Filling:
    """Fills the tenant of a client's key.

    Shape: `refused` says of each command that was refused why; `unseen` which lists did not show in time what they had
    to. Commands and facts are sent under the same ids in every run, so a second one records nothing.
    Raises: CannotBegin; as the client.
    """

    def __init__(self, client: Client, speed: float | None, on_step: OnStep) -> None:
        self.counts: dict[str, Count] = defaultdict(Count)
        self.refused: list[str] = []
        self.unseen: list[str] = []
        self._client = client
        self._speed = speed
        self._on_step = on_step
        self._sent = self._total = 0
        self._token: str | None = None
        self._next_at = monotonic()

    def fill(self) -> None:
        found = steps(self._began_at())
        self._total = records(found)
        orders: list[Order] = []
        for step in found[1:]:
            if isinstance(step, Order):
                orders.append(step)
                continue
            self._order(orders)
            orders = []
            self._do(step)
        self._order(orders)

    def _began_at(self) -> datetime:
        """Return when the first command was recorded, in this run or in an earlier one: all else is dated from it."""
        first = opening()
        [reply] = replies_to(self._client, [_command(first)])
        if reply["outcome"] != "accepted":
            raise CannotBegin(reply["reason"])
        self._count(first, reply)
        path = f"/v1/audit/streams/{reply['stream']}"
        [event] = self._client.get(path, consistent_with=self._token, as_of="1")["rows"]
        return datetime.fromisoformat(event["recorded_at"])

    def _do(self, step: Step) -> None:
        match step:
            case Facts():
                self._report(step)
            case Post():
                self._tally(self._client.post(step.path, step.body, idempotency_key=step.key))
                self._go_on(1)
            case Until():
                self._wait(step)
            case Work():
                self._work(step.answers)
            case Visit():
                self._visit(step)
            case Order():
                self._order([step])

    def _order(self, orders: Sequence[Order]) -> None:
        size = _AT_ONCE if self._speed is None else max(1, min(_AT_ONCE, round(self._speed * _BATCH_S)))
        for first in range(0, len(orders), size):
            batch = orders[first : first + size]
            for order, reply in zip(batch, replies_to(self._client, [_command(one) for one in batch]), strict=True):
                self._count(order, reply)
            self._go_on(len(batch))

    def _count(self, order: Order, reply: Mapping[str, Any]) -> None:
        if reply["outcome"] != "accepted":
            self.refused.append(f"{order.command}: {reply['reason']}")
        else:
            self._tally(reply)

    def _tally(self, reply: Mapping[str, Any]) -> None:
        kind = reply["stream"].partition("-")[0].replace("_", " ")
        count = self.counts[kind]
        count.things.add(reply["stream"])
        count.recorded += not reply["repeated"]
        count.before += reply["repeated"]
        if reply["position"]:
            self._token = reply["position"]["token"]

    def _report(self, step: Facts) -> None:
        taken = self._client.telemetry(step.facts, idempotency_key=step.key)
        self.counts[step.what].recorded += taken.accepted
        self.counts[step.what].before += taken.repeated
        self.refused += [f"{step.what}: {refusal['reason']}" for refusal in taken.refused]
        self._go_on(len(step.facts))

    def _go_on(self, sent: int) -> None:
        self._sent += sent
        self._on_step(Done(min(self._sent, self._total), self._total))
        if self._speed is not None:
            self._next_at = max(self._next_at, monotonic()) + sent / self._speed
            sleep(max(0.0, self._next_at - monotonic()))

    def _wait(self, step: Until) -> None:
        deadline = monotonic() + _SEEN_WITHIN_S
        query: Any = step.query
        while len(rows := self._client.get(step.path, **query)["rows"]) < step.rows:
            if monotonic() > deadline:
                self.unseen.append(step.path)
                return
            sleep(_LOOK_S)
        self._order([order.about(rows[0]["id"]) for order in step.then])

    def _work(self, answers: Mapping[str, Mapping[str, Any]]) -> None:
        """Do the tasks of the demo's own kinds, as a worker would, until there are no more."""
        claim = {"kinds": list(answers), "worker": "factline-demo", "max": 100, "wait_s": _CLAIM_S}
        # the tasks that the commands led to are in the view of tasks then
        self._client.get("/v1/tasks", consistent_with=self._token, limit=1)
        while tasks := self._client.post("/v1/tasks/claim", claim)["rows"]:
            for task in tasks:
                answer = answers[task["kind"]]
                end = "fail" if "error" in answer else "complete"
                path, key = f"/v1/tasks/{task['task_id']}/{end}", f"demo:{secrets.token_hex(8)}"
                self._client.post(path, {"attempt": task["attempt"], **answer}, idempotency_key=key)
                self.counts["task"].recorded += 1

    def _visit(self, visit: Visit) -> None:
        """Have somebody sign in whose password nobody keeps, and who may not come back."""
        if not self._client.get("/v1/sessions", user_id=visit.user_id, limit=1)["rows"]:
            try:
                token = self._client.post("/v1/invitations", visit._asdict())["token"]
            except Conflict:
                # an earlier run was stopped just here
                token = self._client.post(f"/v1/users/{visit.user_id}/password-token")["token"]
            who = {"tenant_id": self._client.get("/v1/me")["tenant_id"], "user_id": visit.user_id}
            password = secrets.token_urlsafe(32)
            self._client.post("/v1/passwords", {**who, "token": token, "password": password})
            self._client.post("/v1/sign-in", {**who, "password": password})
        leave = {"user_id": visit.user_id, "reason": "the visit is over"}
        self._order([Order(f"demo:{visit.user_id}", "identity.DisableUser", leave)])


def _command(order: Order) -> dict[str, Any]:
    return {"id": order.key, "command": order.command, "body": order.body, "happened_at": order.happened_at}
