"""This is a worker of a faulty release: a schema is missing, and a projection fails for one event."""

from dataclasses import replace
from typing import Any

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
    del known[DeviceStatusChanged.TYPE, DeviceStatusChanged.VERSION]
    flawed = replace(devices.PROJECTION, project=project)
    catalog.PROJECTIONS = tuple(flawed if one is devices.PROJECTION else one for one in catalog.PROJECTIONS)
    cli()


if __name__ == "__main__":
    main()
