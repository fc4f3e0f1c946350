"""Which language models may agents ask, and how are they asked?"""

from typing import Any, Literal, assert_never

from domain.automation.model import MODEL, ModelEvent, ModelRegistered, ModelRetired, ModelUpdated
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: ModelEvent) -> tuple[Patch]:
    return decided(envelope, {**_fields(envelope, event), "changed_at": instant_text(envelope.happened_at)})


def _fields(envelope: Envelope, event: ModelEvent) -> dict[str, Any]:
    match event:
        case ModelRegistered():
            return {"status": "ACTIVE", "registered_at": instant_text(envelope.happened_at), **_said(event)}
        case ModelUpdated():
            return _said(event)
        case ModelRetired():
            return {"status": "RETIRED", "status_reason": event.reason}
        case _:
            assert_never(event)


def _said(event: ModelRegistered | ModelUpdated) -> dict[str, Any]:
    return {
        "name": event.name,
        "provider_key": event.provider_key or "",
        "model": event.model,
        "max_tokens": event.max_tokens,
        # an update may take it away
        "temperature": "" if event.temperature is None else str(event.temperature),
    }


PROJECTION = Projection(
    name="models",
    layout=Documents(
        filters=("status", "provider_key", "model"),
        values={"status": Literal["ACTIVE", "RETIRED"]},
        sorts=("changed_at", "registered_at", "name"),
        default_sort="name",
        scope="models",
        example={
            "id": "small",
            "version": 1,
            "status": "ACTIVE",
            "name": "Small and quick",
            "provider_key": "openai",
            "model": "gpt-4o-mini",
            "max_tokens": 1_024,
            "temperature": "0.2",
        },
    ),
    topics=(Topic.EVENTS,),
    events=MODEL.events,
    project=project,
)
