"""This view answers which processes run, how far each is, what it waits for, and what went wrong last."""

from typing import Any, Literal

from domain.catalog import PROCESS_BY_NAME, PROCESSES
from domain.message import Event
from domain.process import PROCESS_EVENTS, ProcessAnswered, ProcessAsked, ProcessFailed, ProcessGaveUp, Standing
from projections.fields import instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic, category_of, id_of

_NOTES: tuple[type[Event], ...] = tuple(event for process in PROCESSES for event in process.events)


def project(envelope: Envelope, event: Event) -> tuple[Patch]:
    at = instant_text(envelope.recorded_at)
    fields: dict[str, Any] = {"last_event": event.TYPE, "updated_at": at, **_fields(event)}
    if envelope.version == 1:
        fields |= {"name": category_of(envelope.stream), "instance": id_of(envelope.stream), "began_at": at}
    # the whole stream: instances of two processes may be of the same thing
    return (Patch(envelope.tenant_id, envelope.stream, "events", envelope.version, fields),)


def _fields(event: Any) -> dict[str, Any]:
    if isinstance(event, _NOTES):
        said = {"step": getattr(event, "step", ""), "last_error": getattr(event, "failure", "")}
        return {name: text for name, text in said.items() if text}
    due_at = "" if event.next_due_at is None else instant_text(event.next_due_at)
    fields = {"state": event.standing, "next_timer": event.next_timer or "", "next_due_at": due_at}
    match event:
        case ProcessAsked():
            return {**fields, "step": event.step}
        case ProcessAnswered():
            return {**fields, "step": event.step, "last_error": event.reason or ""}
        case ProcessFailed():
            return {**fields, "last_error": f"{event.reason} on {event.on}"}
        case ProcessGaveUp():
            return {**fields, "last_error": f"{event.reason} on {event.on}, given up"}
        case _:
            return fields


PROJECTION = Projection(
    name="processes",
    layout=Documents(
        filters=("name", "state", "step", "instance"),
        values={"name": Literal[tuple(PROCESS_BY_NAME)], "state": Standing},
        sorts=("updated_at", "next_due_at", "began_at", "name", "instance", "state", "next_timer"),
        instants=("updated_at", "next_due_at", "began_at"),
        default_sort="-updated_at",
        search=("name", "instance", "step", "last_error"),
        scope="processes",
        example={
            "id": "invitation_expiry-ann",
            "version": 1,
            "name": "invitation_expiry",
            "instance": "ann",
            "state": "WAITING",
            "next_timer": "expiry",
            "next_due_at": "2026-02-07T08:30:00.000000Z",
        },
    ),
    topics=(Topic.EVENTS,),
    events=(*PROCESS_EVENTS, *_NOTES),
    project=project,
)
