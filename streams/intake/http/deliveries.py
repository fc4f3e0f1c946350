"""A worker that delivers webhooks gets the events with its task, as far as the maker of the endpoint may see them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.integration.webhook_endpoint import LogPosition, endpoint_stream
from domain.operations.delivery import DELIVER, delivery_of
from domain.operations.task import task_stream
from projections.credentials import Credentials, maker_of, provider_secret_of, values_of
from projections.keys import KeyFinder
from projections.operations import Feed
from projections.personal import Opening
from projections.sign_in import member_of
from read_api.edge.auth import Caller
from read_api.edge.roles import roles_allow
from read_api.edge.scopes import covers, may
from schemas.envelope import Actor, ActorType, Envelope, Position, StreamId, TenantId
from schemas.shown import shown_record
from streams.identifiers import named_uuid
from streams.intake.http.provider_keys import SECRETS, SecretBox, opened
from streams.intake.http.webhooks import LISTENING

_PERSONAL = "personal:read"
_READ_ROWS = 500
_MOST_ROWS = 20_000
_MOST_EVENTS = 100
_MOST_BYTES = 512 * 1024
_WAIT_S, _WAITS = 0.5, 4
"""How long, and how often, it is waited for a log whose reader has not seen the task itself yet."""


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")
    after: LogPosition | None
    redo: Annotated[tuple[LogPosition, ...], Field(max_length=1_000)]
    types: Annotated[tuple[str, ...], Field(max_length=1_000)]


class _Found(NamedTuple):
    """The events to send. Shape: all up to the position `looked_to` was looked at; `more` says there may be others."""

    rows: Sequence[Mapping[str, Any]]
    looked_to: int | None
    more: bool


class Deliveries:
    """Gives a worker what a delivery sends, where to, and the secret to sign it with."""

    def __init__(self, credentials: Credentials, box: SecretBox, feed: Feed, personal: KeyFinder) -> None:
        self._credentials = credentials
        self._box = box
        self._feed = feed
        self._personal = personal

    async def with_task(self, caller: Caller, kind: str, task_id: str, input_: Any) -> Mapping[str, Any]:
        """Return what goes with a delivery that is claimed: `provider` with address and secret, and `events`.

        Shape: both are null where the caller may have no secrets, or the endpoint is removed. `refused` in `events`
        says why nothing may be sent. `redo` are events to send first, null for one that cannot be read.
        Raises: StoreUnavailable, safe to retry.
        """
        if kind != DELIVER:
            return {}
        named = delivery_of(task_id)
        if named is None or not may(caller, SECRETS):
            return {"provider": None, "events": None}
        try:
            wanted = _Input.model_validate(input_)
        except ValidationError:
            # no delivery of ours, which only has such a name
            return {"provider": None, "events": None}
        return await asyncio.to_thread(self._given, caller.tenant_id, task_id, named[0], wanted)

    def _given(self, tenant_id: TenantId, task_id: str, endpoint_id: str, wanted: _Input) -> Mapping[str, Any]:
        stream = endpoint_stream(endpoint_id)
        parts = self._credentials.of_stream(tenant_id, stream)
        found, maker = provider_secret_of(parts), maker_of(parts)
        if found is None or maker is None:
            return {"provider": None, "events": None}
        secret = opened(self._box, tenant_id, stream, found.sealed)
        if secret is None:
            return {"provider": None, "events": None}
        provider = {"key_id": endpoint_id, "provider": found.provider, "base_url": found.base_url, "secret": secret}
        if not self._may(tenant_id, maker, LISTENING):
            refused = f"{maker.type.value} {maker.id}, who made or changed the endpoint last, may not listen any more"
            return {"provider": provider, "events": {"refused": refused}}
        opening = Opening(self._personal, allowed=self._may(tenant_id, maker, _PERSONAL))
        reading = _Reading(self._feed, tenant_id, stream, opening)
        redo = [reading.at(position) for position in wanted.redo[:_MOST_EVENTS]]
        behind = _Found((), None, more=False)
        if wanted.after is not None:
            behind = reading.behind(wanted.after, frozenset(wanted.types), task_stream(task_id))
        return {"provider": provider, "events": {"redo": redo, **behind._asdict()}}

    def _may(self, tenant_id: TenantId, maker: Actor, scope: str) -> bool:
        """Return whether somebody may do by now what asks for a scope: their key or account may be gone."""
        if maker.type is ActorType.USER:
            member = member_of(values_of(self._credentials.of_stream(tenant_id, StreamId(f"user-{maker.id}"))))
            return member is not None and roles_allow(member.roles, scope)
        keys = (key for key in self._credentials.find(maker.id) if key.tenant_id == tenant_id and not key.revoked)
        return any(covers(key.scopes, scope) for key in keys)


class _Reading:
    """Reads the events of a tenant for one endpoint."""

    def __init__(self, feed: Feed, tenant_id: TenantId, endpoint: StreamId, opening: Opening) -> None:
        self._feed = feed
        self._tenant_id = tenant_id
        self._endpoint = endpoint
        self._opening = opening
        self._home = feed.ends(tenant_id)[0]

    def at(self, position: int) -> Mapping[str, Any] | None:
        """Return the event at a position, None where it cannot be read."""
        envelopes, _ = self._feed.since(self._tenant_id, self._place(position - 1), limit=1)
        return next((self._row(one) for one in envelopes if one.position == position), None)

    def behind(self, after: int, types: frozenset[str], until: StreamId) -> _Found:
        """Return the events of these types that follow a position, up to the first of the stream `until`.

        Shape: that stream is the task's own, which was asked for after all that it has to send.
        """
        place, rows, size, waits, looked = self._place(after), list[Mapping[str, Any]](), 0, 0, 0
        while looked < _MOST_ROWS:
            envelopes, looked_to = self._feed.since(self._tenant_id, place, limit=_READ_ROWS)
            if looked_to == place:
                waits += 1
                if waits > _WAITS:
                    break
                self._feed.wait([place], _WAIT_S)
                continue
            for envelope in envelopes:
                if envelope.stream == until:
                    return _Found(rows, envelope.position, more=False)
                if envelope.type not in types:
                    continue
                row = self._row(envelope)
                size += len(orjson.dumps(row))
                if rows and (size > _MOST_BYTES or len(rows) == _MOST_EVENTS):
                    return _Found(rows, envelope.position - 1, more=True)
                rows.append(row)
            looked += looked_to.position - place.position
            place = looked_to
        return _Found(rows, place.position, more=True)

    def _place(self, position: int) -> Position:
        return self._home._replace(position=position)

    def _row(self, envelope: Envelope) -> Mapping[str, Any]:
        # the same for each attempt, and another for another endpoint
        id_ = f"msg_{named_uuid(self._endpoint, envelope.event_id)}"
        return {"position": envelope.position, "id": id_, "record": shown_record(self._opening.event(envelope))}
