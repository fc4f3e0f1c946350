"""A machine is known as a device by its name."""

import re


def host_device_id(node: str) -> str:
    """Return a machine's name as a device id: what an id may not hold becomes a dash."""
    return re.sub(r"[^A-Za-z0-9._:@~-]", "-", node).lstrip("._:@~-")[:128] or "localhost"
