"""With which key does this server sign the tenant's tokens, and since when?"""

from domain.identity.signing_key import SIGNING_KEY, SigningKeyRotated
from projections.fields import decided, instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Patch
from schemas.envelope import Envelope, Topic


def project(envelope: Envelope, event: SigningKeyRotated) -> tuple[Patch]:
    rotated_at = instant_text(envelope.happened_at)
    return decided(envelope, {"kid": event.kid, "number": event.number, "rotated_at": rotated_at})


PROJECTION = Projection(
    name="signing_keys",
    layout=Documents(sorts=("rotated_at",)),
    topics=(Topic.EVENTS,),
    events=SIGNING_KEY.events,
    project=project,
)
