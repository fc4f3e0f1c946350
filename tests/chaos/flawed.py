"""This is a worker of a faulty release: it cannot read events of one type, and a projection fails for one event."""

from dataclasses import replace
from typing import Any

import fastavro

from domain.fleet.device import DeviceStatusChanged, DeviceTagged
from infra.cli.main import cli
from projections import catalog
from projections.fleet import devices
from schemas import payload
from schemas.envelope import Envelope

FATAL = "a value that this release cannot take"


def project(envelope: Envelope, event: Any) -> Any:
    if isinstance(event, DeviceTagged) and event.value == FATAL:
        raise ZeroDivisionError("a fault of this release")
    return devices.PROJECTION.project(envelope, event)


def main() -> None:
    known: Any = payload._schemas()
    # not missing: an event of a schema that is not known is a newer release's, and no poison
    known[DeviceStatusChanged.TYPE, DeviceStatusChanged.VERSION] = fastavro.parse_schema(
        {"type": "fixed", "name": "factline.fleet.Flawed", "size": 100_000}
    )
    flawed = replace(devices.PROJECTION, project=project)
    catalog.PROJECTIONS = tuple(flawed if one is devices.PROJECTION else one for one in catalog.PROJECTIONS)
    cli()


if __name__ == "__main__":
    main()
