"""This keeps which devices of a partition are under maintenance, from the events that say so."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import cast

from domain.catalog import event_from
from domain.fleet.device import DeviceTagged
from domain.fleet.maintenance import MaintenanceCancelled, MaintenancePlanned
from domain.fleet.planned import Window, ends_at
from schemas.envelope import Envelope, TenantId
from streams.correlate.kept import Tags, tags_state, window_state
from streams.ports import WatchState

TYPES = frozenset({DeviceTagged.TYPE, MaintenancePlanned.TYPE, MaintenanceCancelled.TYPE})

_NO_TAGS: Mapping[str, str] = {}


class Calendar:
    """The maintenance windows and the tags of devices. Shape: `changed` is what is to be kept, by its key."""

    def __init__(self, windows: Iterable[tuple[TenantId, Window]], tags: Iterable[Tags]) -> None:
        self.changed: dict[str, WatchState] = {}
        self._windows: dict[TenantId, dict[tuple[str, int], Window]] = defaultdict(dict)
        self._tags: dict[tuple[TenantId, str], Mapping[str, str]] = {
            (found.tenant_id, found.device_id): found.tags for found in tags
        }
        for tenant_id, window in windows:
            self._windows[tenant_id][window.id, window.version] = window

    def read(self, entry: Envelope) -> None:
        """Learn of a tag or of a maintenance."""
        tenant_id, id_ = entry.tenant_id, entry.stream.partition("-")[2]
        if entry.type == DeviceTagged.TYPE:
            tags = {**self._tags.get((tenant_id, id_), _NO_TAGS), entry.data["key"]: entry.data["value"]}
            self._tags[tenant_id, id_] = tags
            self._keep(tags_state(Tags(tenant_id, id_, tags), entry.position))
            return
        for window in [
            one for one in self._windows[tenant_id].values() if one.id == id_ and one.version < entry.version
        ]:
            self._put(tenant_id, window.until(entry.recorded_at), entry.position)
        if entry.type == MaintenancePlanned.TYPE:
            planned = cast("MaintenancePlanned", event_from(entry))
            self._put(tenant_id, Window.of(id_, entry.version, planned), entry.position)

    def ends_at(self, tenant_id: TenantId, device_id: str, at: datetime) -> datetime | None:
        """Return when the maintenance ends that a device is under at an instant, None where it is under none."""
        windows = self._windows.get(tenant_id)
        if not windows:
            return None
        return ends_at(windows.values(), device_id, self._tags.get((tenant_id, device_id), _NO_TAGS), at)

    def _put(self, tenant_id: TenantId, window: Window, position: int) -> None:
        self._windows[tenant_id][window.id, window.version] = window
        self._keep(window_state(tenant_id, window, position))

    def _keep(self, state: WatchState) -> None:
        self.changed[state.key] = state
