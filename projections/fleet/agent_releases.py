"""Which versions of the device agent are rolled out, how far is each, and on which devices did it fail?"""

from typing import Any, assert_never

from domain.operations.agent_release import (
    AGENT_RELEASE,
    AgentReleaseHalted,
    AgentReleasePublished,
    AgentReleaseResumed,
    AgentReleaseRolledOut,
    AgentWaveEnded,
    AgentWaveStarted,
    ReleaseEvent,
    ReleaseStatus,
)
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: ReleaseEvent) -> tuple[Patch]:
    return decided(envelope, {**_fields(event), "changed_at": instant_text(envelope.happened_at)})


def _fields(event: ReleaseEvent) -> dict[str, Any]:
    match event:
        case AgentReleasePublished():
            return {
                "status": ReleaseStatus.ROLLING_OUT.value,
                "version_offered": event.version,
                "digest": event.digest,
                "devices": len(event.device_ids),
                "wait_s": event.wait_s,
                "max_failed_percent": event.max_failed_percent,
                "updated": 0,
                "failed": 0,
            }
        case AgentWaveStarted():
            ends_at = instant_text(event.ends_at)
            return {"wave": event.wave, "waves": event.of, "offered": event.offered, "wave_ends_at": ends_at}
        case AgentWaveEnded():
            return {
                "updated": event.updated,
                "failed": len(event.failed_device_ids),
                "failed_device_ids": list(event.failed_device_ids),
                "wave_ends_at": "",
            }
        case AgentReleaseHalted():
            return {"status": ReleaseStatus.HALTED.value, "status_reason": event.reason, "wave_ends_at": ""}
        case AgentReleaseResumed():
            return {"status": ReleaseStatus.ROLLING_OUT.value, "status_reason": event.reason}
        case AgentReleaseRolledOut():
            return {"status": ReleaseStatus.ROLLED_OUT.value, "updated": event.updated, "failed": event.failed}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="agent_releases",
    layout=Documents(
        filters=("status", "version_offered"),
        values={"status": ReleaseStatus},
        sorts=("changed_at", "wave_ends_at", "version_offered", "devices", "updated", "failed"),
        numbers=("devices", "updated", "failed"),
        instants=("changed_at", "wave_ends_at"),
        default_sort="-changed_at",
        search=("version_offered", "status_reason"),
        scope="agent_releases",
        example={
            "id": "agent-1.5",
            "version": 4,
            "status": "HALTED",
            "status_reason": "1 of 2 devices of wave 1 do not run 1.5.0; more than 10 %",
            "version_offered": "1.5.0",
            "digest": "5f" * 32,
            "devices": 20,
            "waves": 3,
            "wave": 1,
            "offered": 2,
            "updated": 1,
            "failed": 1,
            "failed_device_ids": ["web-7"],
        },
    ),
    topics=(Topic.EVENTS,),
    events=AGENT_RELEASE.events,
    project=project,
)
