"""This knows when which devices of one tenant are under maintenance."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from domain.fleet.maintenance import MaintenancePlanned


class Window(NamedTuple):
    """Shape: of a maintenance that was planned again or cancelled, the part until then stays."""

    id: str
    version: int
    begins_at: datetime
    ends_at: datetime
    device_id: str | None
    tag_key: str | None
    tag_value: str | None

    @classmethod
    def of(cls, id_: str, version: int, event: MaintenancePlanned) -> "Window":
        return cls(id_, version, event.begins_at, event.ends_at, event.device_id, event.tag_key, event.tag_value)

    def until(self, at: datetime) -> "Window":
        return self._replace(ends_at=min(self.ends_at, at))

    def covers(self, device_id: str, tags: Mapping[str, str], at: datetime) -> bool:
        if not self.begins_at <= at < self.ends_at:
            return False
        if self.tag_key is None:
            return device_id == self.device_id
        return self.tag_key in tags and self.tag_value in (None, tags[self.tag_key])


def ends_at(windows: Iterable[Window], device_id: str, tags: Mapping[str, str], at: datetime) -> datetime | None:
    """Return when the maintenance ends that a device is under at an instant, None where it is under none."""
    return max((window.ends_at for window in windows if window.covers(device_id, tags, at)), default=None)
