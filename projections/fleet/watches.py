"""What does a tenant want to be told of, and which rule says when?"""

from typing import Any, Literal, assert_never

from domain.fleet.rules import FIELDS, KINDS
from domain.fleet.values import Severity
from domain.fleet.watch import WATCH, WatchDefined, WatchEvent, WatchRemoved
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: WatchEvent) -> tuple[Patch]:
    return decided(envelope, _fields(envelope, event))


def _fields(envelope: Envelope, event: WatchEvent) -> dict[str, Any]:
    match event:
        case WatchDefined():
            rule = {name: getattr(event, name) for name in FIELDS[event.kind]}
            return {
                "status": "ACTIVE",
                "name": event.name,
                "severity": event.severity,
                "device_id": event.device_id or "",
                "quiet_s": event.quiet_s,
                "kind": event.kind,
                # whole, so that nothing of an earlier rule stays
                "rule": {name: value for name, value in rule.items() if value is not None},
                "defined_at": instant_text(envelope.happened_at),
                **(_settings(event) if envelope.schema_version > 1 else {}),
            }
        case WatchRemoved():
            at = instant_text(envelope.happened_at)
            return {"status": "REMOVED", "removed_at": at, "removed_reason": event.reason}
        case _:
            assert_never(event)


def _settings(event: WatchDefined) -> dict[str, Any]:
    """Return what a watch has since version 2 of its event: a document of before stays as it was."""
    return {
        "levels": dict(event.levels or {}),
        "again_s": event.quiet_s if event.again_s is None else event.again_s,
        "flap_count": event.flap_count,
        "flap_s": event.flap_s,
        "look_back_s": event.look_back_s,
    }


PROJECTION = Projection(
    name="watches",
    layout=Documents(
        filters=("status", "kind", "severity"),
        values={"status": Literal["ACTIVE", "REMOVED"], "kind": Literal[tuple(KINDS)], "severity": Severity},
        sorts=("name", "defined_at", "kind", "severity", "status"),
        instants=("defined_at",),
        default_sort="name",
        search=("name",),
        scope="watches",
        example={
            "id": "cpu",
            "version": 1,
            "name": "CPU high",
            "kind": "threshold",
            "severity": "warning",
            "status": "ACTIVE",
        },
    ),
    topics=(Topic.EVENTS,),
    events=WATCH.events,
    project=project,
)
