"""What became of a record outside last?"""

from domain.integration.change import CHANGE, ChangeReceived, Op
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: ChangeReceived) -> tuple[Patch]:
    # what the record says is in the log alone: it may be anything, also about people
    return decided(
        envelope,
        {
            "connector_id": event.connector_id,
            "tool_type": event.tool_type,
            "source_event_type": event.source_event_type,
            "op": event.op,
            "database": event.database,
            "schema_name": event.schema_name,
            "table": event.table,
            "key": event.key,
            "source_position": event.source_position,
            "received_at": instant_text(envelope.happened_at),
        },
    )


PROJECTION = Projection(
    name="received_changes",
    layout=Documents(
        filters=("connector_id", "table", "op"),
        values={"op": Op},
        sorts=("received_at",),
        instants=("received_at",),
        default_sort="-received_at",
        search=("table",),
        scope="received_changes",
        example={
            "id": "crm~orders~0123456789abcdef01234567",
            "version": 2,
            "connector_id": "crm",
            "tool_type": "postgresql",
            "source_event_type": "u",
            "op": "u",
            "database": "shop",
            "schema_name": "public",
            "table": "orders",
            "key": '{"id":7}',
            "source_position": '{"lsn":24023128}',
            "received_at": "2026-01-31T08:30:00.250000Z",
        },
    ),
    topics=(Topic.EVENTS,),
    events=CHANGE.events,
    project=project,
)
