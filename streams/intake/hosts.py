"""A machine is known as a device by its name."""

import re

from streams.intake.remembered import remembered

_NEVER = re.compile(r"[^A-Za-z0-9._:@~-]")


@remembered(4096)
def host_device_id(node: str) -> str:
    """Return a machine's name as a device id: what an id may not hold becomes a dash."""
    return _NEVER.sub("-", node).lstrip("._:@~-")[:128] or "localhost"
