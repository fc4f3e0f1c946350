"""What a system outside has to show that sends changes follows from the events of its connector."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from domain.integration.connector import ConnectorRegistered, ConnectorRemoved, ConnectorSecretRotated
from projections.sign_in import NOTHING, Parts
from schemas.envelope import Envelope
from schemas.payload import Encoded

USE, SECRET = "use", "secret"

TYPES = frozenset(event.TYPE for event in (ConnectorRegistered, ConnectorSecretRotated, ConnectorRemoved))


class KnownConnector(NamedTuple):
    """Shape: `sealed` is the secret."""

    format: str
    sealed: str


def changes(event: Envelope) -> Mapping[str, Mapping[str, Any]]:
    """Return the parts of a connector that an event changes, by their names."""
    if event.type == ConnectorRemoved.TYPE:
        return {SECRET: NOTHING}
    apart = event.data.apart if isinstance(event.data, Encoded) else {}
    use = {USE: {"format": event.data["format"]}} if event.type == ConnectorRegistered.TYPE else {}
    return {**use, **({SECRET: {"sealed": sealed}} if (sealed := apart.get("sealed")) else {})}


def connector_of(parts: Parts) -> KnownConnector | None:
    """Return the connector of a stream, None where there is none, or not any more."""
    use, secret = parts.get(USE), parts.get(SECRET)
    return KnownConnector(use["format"], secret["sealed"]) if use and secret else None
