"""Alerts that somebody resolved before their watch has read what they were raised for."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from schemas.envelope import ActorType, Envelope, TenantId
from streams.correlate.kept import Ended, ended_state
from streams.ports import WatchState

_BY_NAME = 5  # the version of the UUIDs that follow.py makes


class EndedAlerts:
    """Shape: `changed` is what is to be kept, by its key."""

    def __init__(self, ended: Iterable[Ended]) -> None:
        self.changed: dict[str, WatchState] = {}
        self._at = {(one.tenant_id, one.alert_id): one.at for one in ended}

    def add(self, ended: Ended, position: int) -> None:
        self._at[ended.tenant_id, ended.alert_id] = ended.at
        self._keep(ended_state(ended, position))

    def pop(self, tenant_id: TenantId, alert_id: str, position: int) -> datetime | None:
        """Return when an alert was resolved, None where it was not, and forget it."""
        at = self._at.pop((tenant_id, alert_id), None)
        if at is not None:
            self._keep(ended_state(Ended(tenant_id, alert_id, at), position, forgotten=True))
        return at

    def _keep(self, state: WatchState) -> None:
        self.changed[state.key] = state


def ended_by_hand(entry: Envelope) -> Ended | None:
    """Return the alert of an event that resolves one, None where a watch did that itself or can have raised none."""
    if entry.actor.type is ActorType.SYSTEM and entry.actor.id.startswith("watch-"):
        return None
    alert_id = entry.stream.partition("-")[2]
    try:
        by_a_watch = UUID(alert_id).version == _BY_NAME
    except ValueError:
        return None
    return Ended(entry.tenant_id, alert_id, entry.recorded_at) if by_a_watch else None
