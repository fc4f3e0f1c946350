"""This view answers which scripts there are, and what each says now."""

from dataclasses import asdict

from domain.execution.script import SCRIPT, ScriptEvent
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: ScriptEvent) -> tuple[Patch]:
    return decided(envelope, {**asdict(event), "changed_at": instant_text(envelope.happened_at)})


PROJECTION = Projection(
    name="scripts",
    layout=Documents(
        filters=("shell", "digest"),
        sorts=("name", "changed_at"),
        instants=("changed_at",),
        default_sort="name",
        search=("name",),
        scope="scripts",
        example={
            "id": "disk",
            "version": 2,
            "name": "Free space",
            "shell": "bash",
            "body": "df -h",
            "digest": "9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab",
            "timeout_s": 60,
        },
    ),
    topics=(Topic.EVENTS,),
    events=SCRIPT.events,
    project=project,
)
