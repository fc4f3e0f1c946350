"""Which policies are there, and what do they say?"""

from typing import Any, Literal, assert_never

from domain.automation.policy import POLICY, Decision, PolicyEvent, PolicyRetired, PolicySet
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: PolicyEvent) -> tuple[Patch]:
    return decided(envelope, {**_fields(event), "changed_at": instant_text(envelope.happened_at)})


def _fields(event: PolicyEvent) -> dict[str, Any]:
    match event:
        case PolicySet():
            return {
                "status": "ACTIVE",
                "policy_version": event.version,
                "name": event.name,
                "rules": event.rules,
                "otherwise": event.otherwise,
            }
        case PolicyRetired():
            return {"status": "RETIRED", "status_reason": event.reason}
        case _:
            assert_never(event)


PROJECTION = Projection(
    name="policies",
    layout=Documents(
        filters=("status", "otherwise"),
        values={"status": Literal["ACTIVE", "RETIRED"], "otherwise": Decision},
        sorts=("name", "changed_at"),
        instants=("changed_at",),
        default_sort="name",
        search=("name",),
        scope="policies",
        example={
            "id": "careful",
            "version": 1,
            "status": "ACTIVE",
            "policy_version": 1,
            "name": "Careful",
            "rules": '[{"tools":["look"],"decision":"allow"}]',
            "otherwise": "ask",
        },
    ),
    topics=(Topic.EVENTS,),
    events=POLICY.events,
    project=project,
)
