"""What a system outside has to show that sends changes follows from the events of its connector."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from domain.integration.connector import (
    ConnectorPersonalNamed,
    ConnectorRegistered,
    ConnectorRemoved,
    ConnectorSecretRotated,
)
from domain.integration.personal import NO_NAMING, Naming
from projections.sign_in import NOTHING, Parts
from schemas.envelope import Envelope
from schemas.payload import Encoded

USE, SECRET, PERSONAL = "use", "secret", "personal"

TYPES = frozenset(
    event.TYPE for event in (ConnectorRegistered, ConnectorSecretRotated, ConnectorPersonalNamed, ConnectorRemoved)
)


class KnownConnector(NamedTuple):
    """Shape: `sealed` is the secret; `naming` has none yet."""

    format: str
    sealed: str
    naming: Naming = NO_NAMING


def changes(event: Envelope) -> Mapping[str, Mapping[str, Any]]:
    """Return the parts of a connector that an event changes, by their names."""
    if event.type == ConnectorRemoved.TYPE:
        return {SECRET: NOTHING}
    if event.type == ConnectorPersonalNamed.TYPE:
        return {PERSONAL: {name: event.data[name] for name in ("personal_fields", "person_field", "number")}}
    apart = event.data.apart if isinstance(event.data, Encoded) else {}
    use = {USE: {"format": event.data["format"]}} if event.type == ConnectorRegistered.TYPE else {}
    return {**use, **({SECRET: {"sealed": sealed}} if (sealed := apart.get("sealed")) else {})}


def connector_of(parts: Parts) -> KnownConnector | None:
    """Return the connector of a stream, None where there is none, or not any more."""
    use, secret = parts.get(USE), parts.get(SECRET)
    if not use or not secret:
        return None
    return KnownConnector(use["format"], secret["sealed"], _naming(parts.get(PERSONAL)))


def _naming(said: Mapping[str, Any] | None) -> Naming:
    if not said:
        return NO_NAMING
    return Naming(frozenset(said["personal_fields"]), said["person_field"] or "", said["number"])
