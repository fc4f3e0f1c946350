"""This view answers up to which amount incoming invoices approve themselves, in each currency."""

from domain.finance.approval_limits import APPROVAL_LIMITS, ApprovalLimitSet
from domain.finance.values import amount_text
from projections.fields import instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: ApprovalLimitSet) -> tuple[Patch]:
    fields = {
        "currency": event.currency,
        # one that was taken away is empty: a field without a value would stay as it was
        "limit": "" if event.limit is None else amount_text(event.limit),
        "set_at": instant_text(envelope.happened_at),
    }
    # all of them are one stream, whose versions are in order for each currency too
    return (Patch(envelope.tenant_id, event.currency, "events", envelope.version, fields),)


PROJECTION = Projection(
    name="approval_limits",
    layout=Documents(
        filters=("currency",),
        sorts=("currency", "set_at"),
        default_sort="currency",
        scope="invoices",
        example={"id": "EUR", "version": 1, "currency": "EUR", "limit": "250.0000"},
    ),
    topics=(Topic.EVENTS,),
    events=APPROVAL_LIMITS.events,
    project=project,
)
