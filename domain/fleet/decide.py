"""The rules for devices and alerts."""

from collections.abc import Mapping
from typing import Any, assert_never

from domain.fleet.commands import (
    AcknowledgeAlert,
    ChangeDeviceStatus,
    DefineWatch,
    RaiseAlert,
    RegisterDevice,
    RemoveWatch,
    ResolveAlert,
    RetireDevice,
    TagDevice,
    UpdateDevice,
)
from domain.fleet.events import (
    AlertAcknowledged,
    AlertEvent,
    AlertRaised,
    AlertResolved,
    DeviceEvent,
    DeviceRegistered,
    DeviceRetired,
    DeviceStatusChanged,
    DeviceTagged,
    DeviceUpdated,
    WatchDefined,
    WatchEvent,
    WatchRemoved,
)
from domain.fleet.rules import FIELDS, RateOfChange, Rule, Threshold
from domain.fleet.state import (
    DESCRIPTION,
    Alert,
    AlertStatus,
    Device,
    DeviceStatus,
    Watch,
    evolve_alert,
    evolve_device,
    evolve_watch,
    watch_of,
)
from domain.message import Decider
from domain.rejection import conflict, invalid, not_allowed, not_found

DeviceCommand = RegisterDevice | UpdateDevice | TagDevice | ChangeDeviceStatus | RetireDevice
AlertCommand = RaiseAlert | AcknowledgeAlert | ResolveAlert
WatchCommand = DefineWatch | RemoveWatch

_PENDING, _ONLINE, _OFFLINE = DeviceStatus.PENDING, DeviceStatus.ONLINE, DeviceStatus.OFFLINE
_MAINTENANCE, _ARCHIVED, _DELETED = DeviceStatus.MAINTENANCE, DeviceStatus.ARCHIVED, DeviceStatus.DELETED
_DECOMMISSIONED = DeviceStatus.DECOMMISSIONED

NEXT: Mapping[DeviceStatus, tuple[DeviceStatus, ...]] = {
    _PENDING: (_ONLINE, _OFFLINE, _MAINTENANCE),
    _ONLINE: (_OFFLINE, _MAINTENANCE),
    _OFFLINE: (_ONLINE, _MAINTENANCE),
    _MAINTENANCE: (_ONLINE, _OFFLINE),
    _DECOMMISSIONED: (_ARCHIVED, _DELETED),
    _ARCHIVED: (_DELETED,),
    _DELETED: (),
}
"""The statuses a device may be given next. DECOMMISSIONED has a command of its own, RetireDevice."""

RETIRED = (_DECOMMISSIONED, _ARCHIVED, _DELETED)


def decide_device(command: DeviceCommand, state: Device | None) -> tuple[DeviceEvent, ...]:
    if isinstance(command, RegisterDevice):
        return _register(command, state)
    if state is None:
        raise not_found(f"device {command.device_id} is not known; register it first")
    match command:
        case UpdateDevice():
            return _update(command, state)
        case TagDevice():
            _refuse_retired(command.device_id, state)
            if state.tags.get(command.key) == command.value:
                return ()
            return (DeviceTagged(key=command.key, value=command.value),)
        case ChangeDeviceStatus():
            return _change_status(command, state)
        case RetireDevice():
            return () if state.status in RETIRED else (DeviceRetired(reason=command.reason),)
        case _:
            assert_never(command)


def _register(command: RegisterDevice, state: Device | None) -> tuple[DeviceEvent, ...]:
    if state is not None:
        raise conflict(f"device {command.device_id} is registered already")
    return (DeviceRegistered(**_asked(command)),)


def _update(command: UpdateDevice, state: Device) -> tuple[DeviceEvent, ...]:
    _refuse_retired(command.device_id, state)
    changed = {name: None if text == state.description.get(name) else text for name, text in _asked(command).items()}
    return (DeviceUpdated(**changed),) if any(text is not None for text in changed.values()) else ()


def _asked(command: RegisterDevice | UpdateDevice) -> dict[str, Any]:
    return {name: getattr(command, name) for name in DESCRIPTION}


def _change_status(command: ChangeDeviceStatus, state: Device) -> tuple[DeviceEvent, ...]:
    if command.status is state.status:
        return ()
    if command.status is _DECOMMISSIONED and state.status not in RETIRED:
        raise not_allowed(f"device {command.device_id} becomes DECOMMISSIONED by RetireDevice")
    if command.status not in NEXT[state.status]:
        raise not_allowed(f"device {command.device_id} cannot go from {state.status} to {command.status}")
    return (DeviceStatusChanged(from_status=state.status.value, to_status=command.status.value, reason=command.reason),)


def _refuse_retired(device_id: str, state: Device) -> None:
    if state.status in RETIRED:
        raise not_allowed(f"device {device_id} is {state.status}")


def decide_alert(command: AlertCommand, state: Alert | None) -> tuple[AlertEvent, ...]:
    if isinstance(command, RaiseAlert):
        return _raise(command, state)
    if state is None:
        raise not_found(f"alert {command.alert_id} is not known")
    match command:
        case AcknowledgeAlert():
            if state.status is AlertStatus.RESOLVED:
                raise not_allowed(f"alert {command.alert_id} is RESOLVED")
            return () if state.status is AlertStatus.ACKNOWLEDGED else (AlertAcknowledged(note=command.note),)
        case ResolveAlert():
            return () if state.status is AlertStatus.RESOLVED else (AlertResolved(note=command.note),)
        case _:
            assert_never(command)


def _raise(command: RaiseAlert, state: Alert | None) -> tuple[AlertEvent, ...]:
    if state is not None:
        raise conflict(f"alert {command.alert_id} is raised already; a new occurrence needs a new alert_id")
    return (
        AlertRaised(
            severity=command.severity,
            rule=command.rule,
            device_id=command.device_id,
            value=command.value,
            threshold=command.threshold,
            window=command.window,
        ),
    )


def decide_watch(command: WatchCommand, state: Watch | None) -> tuple[WatchEvent, ...]:
    match command:
        case DefineWatch():
            _check_rule(command.rule)
            defined = _defined(command)
            return () if watch_of(defined) == state else (defined,)
        case RemoveWatch():
            if state is None:
                raise not_found(f"watch {command.watch_id} is not known")
            return () if state.removed else (WatchRemoved(reason=command.reason),)
        case _:
            assert_never(command)


def _check_rule(rule: Rule) -> None:
    if isinstance(rule, RateOfChange) and rule.by == 0:
        raise invalid("a rate of change needs a `by` other than 0; a fall has a negative one")
    if not isinstance(rule, Threshold):
        return
    if (rule.above is None) == (rule.below is None):
        raise invalid("a threshold needs either `above` or `below`")
    if rule.clear is not None and (
        (rule.above is not None and rule.clear > rule.above) or (rule.below is not None and rule.clear < rule.below)
    ):
        raise invalid("`clear` must be on the good side of the limit")


def _defined(command: DefineWatch) -> WatchDefined:
    rule = command.rule
    of_kinds = {name: getattr(rule, name, None) for names in FIELDS.values() for name in names}
    return WatchDefined(
        name=command.name,
        severity=command.severity,
        device_id=command.device_id,
        quiet_s=command.quiet_s,
        kind=rule.kind,
        **of_kinds,
    )


DEVICE = Decider(
    category="device",
    commands=(RegisterDevice, UpdateDevice, TagDevice, ChangeDeviceStatus, RetireDevice),
    events=(DeviceRegistered, DeviceUpdated, DeviceTagged, DeviceStatusChanged, DeviceRetired),
    decide=decide_device,
    evolve=evolve_device,
)
ALERT = Decider(
    category="alert",
    commands=(RaiseAlert, AcknowledgeAlert, ResolveAlert),
    events=(AlertRaised, AlertAcknowledged, AlertResolved),
    decide=decide_alert,
    evolve=evolve_alert,
)
WATCH = Decider(
    category="watch",
    commands=(DefineWatch, RemoveWatch),
    events=(WatchDefined, WatchRemoved),
    decide=decide_watch,
    evolve=evolve_watch,
)
