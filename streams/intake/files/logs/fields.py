"""Records with named fields, JSON lines and rows of CSV, say in these fields when, who and what."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from streams.intake.files.epochs import epoch_of
from streams.intake.files.logs.line import BadLine, Line, Stamp
from streams.intake.files.logs.people import address
from streams.intake.files.logs.severities import SEVERITIES, severity_named
from streams.intake.files.logs.stamps import (
    BSD,
    CTIME,
    FULL,
    ISO,
    ISO_BASIC,
    MONTH_NUMBERS,
    UNIX,
    WEB,
    micros,
    stamp_of,
)

TIME_FIELDS = (
    *("__REALTIME_TIMESTAMP", "@timestamp", "timestamp", "time", "ts", "datetime", "date", "_time", "eventTime"),
    *("TimeCreated", "Date and Time", "TimeGenerated", "TimeWritten", "asctime", "created", "created_at", "t"),
)
MESSAGE_FIELDS = (
    *("MESSAGE", "message", "msg", "log", "short_message", "text", "event", "body", "Message", "MapDescription"),
    *("Description", "Content", "Task Category", "EventData"),
)
_HOST_FIELDS = ("_HOSTNAME", "host", "hostname", "Computer", "ComputerName", "MachineName", "host.name", "source_host")
_PROGRAM_FIELDS = (
    *(
        "SYSLOG_IDENTIFIER",
        "_COMM",
        "program",
        "appname",
        "app",
        "service",
        "service.name",
        "logger",
        "name",
        "process",
    ),
    *("Source", "ProviderName", "Provider", "SourceName", "Component"),
)
_PID_FIELDS = ("SYSLOG_PID", "_PID", "pid", "process.pid", "ProcessId", "PID", "Pid")
_LEVEL_FIELDS = (
    "PRIORITY",
    "level",
    "severity",
    "log.level",
    "lvl",
    "levelname",
    "LevelDisplayName",
    "Level",
    "EntryType",
)
_USER_FIELDS = ("user", "user.name", "username", "UserName", "TargetUserName")
_IP_FIELDS = ("ip", "client_ip", "remote_addr", "source.ip", "src_ip", "clientip", "IpAddress", "RemoteHost")
_SAID_FIELDS = {
    "_SYSTEMD_UNIT": "unit",
    "EventId": "event_id",
    "Event ID": "event_id",
    "Id": "event_id",
    "EventID": "event_id",
    "Channel": "channel",
    "LogName": "channel",
    "EventRecordId": "record",
}

_STAMPS = tuple(re.compile(form, re.ASCII) for form in (ISO, BSD, CTIME, FULL, WEB, ISO_BASIC, UNIX))
_NUMBER = re.compile(r"-?[0-9]{1,19}(?:\.[0-9]{1,9})?", re.ASCII)
_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", re.ASCII)
_DOT_NET = re.compile(r"/Date\((-?[0-9]{1,15})(?:[+-][0-9]{4})?\)/", re.ASCII)
_NUMERIC_DATE = re.compile(
    r"(?P<a>[0-9]{1,2})(?P<sep>[/.-])(?P<b>[0-9]{1,2})(?P=sep)(?P<year>[0-9]{4}),? (?P<hour>[0-9]{1,2}):"
    r"(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
    r"(?: (?P<half>[AaPp])\.?[Mm]\.?)?",
    re.ASCII,
)
_PINO = {10: "debug", 20: "debug", 30: "info", 40: "warning", 50: "error", 60: "critical"}


class Names(NamedTuple):
    """The fields that the caller names, "" to find them."""

    time: str = ""
    message: str = ""


def line_of(record: Mapping[str, Any], names: Names) -> Line:
    """Return what a record says. Raises: BadLine, it says no time or no message."""
    record = _of_mongo(record)
    time_field = names.time or next((name for name in TIME_FIELDS if not _is_empty(_get(record, name))), "")
    shown, when = "", None
    if time_field and not _is_empty(found := _get(record, time_field)):
        shown = str(found)
        when = moment_of(found, "us" if time_field == "__REALTIME_TIMESTAMP" else "auto")
    elif parted := _parted(record):
        shown, when = parted
    if when is None:
        raise BadLine(f"the record has no time: its fields are {_fields(record)}; name one with --time-field")
    message_field = names.message or next((name for name in MESSAGE_FIELDS if _get(record, name) is not None), "")
    message = _get(record, message_field) if message_field else None
    if message is None:
        if "MESSAGE" in record:
            raise BadLine("the record's MESSAGE is null: journald left it out as too long; add --all to journalctl")
        raise BadLine(f"the record has no message: its fields are {_fields(record)}; name one with --message-field")
    host = _first(record, _HOST_FIELDS)
    said = [f"{word}={text}" for name, word in _SAID_FIELDS.items() if (text := _text(_get(record, name)))]
    return Line(
        when,
        _text(message).rstrip("\r\n"),
        shown,
        host=_text(host.get("name") if isinstance(host, Mapping) else host),
        program=_text(_first(record, _PROGRAM_FIELDS)),
        pid=_text(_first(record, _PID_FIELDS)),
        severity=_severity(record),
        user=_text(_first(record, _USER_FIELDS)),
        ip=address(_text(_first(record, _IP_FIELDS))),
        said=tuple(said),
    )


def _of_mongo(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a record of MongoDB's own log, whose names have one letter, with the names that others use."""
    time = record.get("t")
    if not isinstance(time, Mapping) or "$date" not in time:
        return record
    return {**record, "t": time["$date"], "level": record.get("s"), "program": record.get("c")}


def moment_of(value: Any, unit: str = "auto") -> Stamp | datetime:
    """Return the time that a field says: in any form of a stamp, or as a number since 1970.

    Shape: `unit` is that of a number, as `epoch_of` takes it.
    Raises: BadLine.
    """
    text = value.strip() if isinstance(value, str) else value
    if isinstance(text, str) and (found := _DOT_NET.fullmatch(text)):
        text, unit = found[1], "ms"
    if not isinstance(text, bool) and (isinstance(text, (int, float)) or _NUMBER.fullmatch(str(text))):
        try:
            return epoch_of(str(text), unit)
        except ValueError as error:
            raise BadLine(f"the time is no number since 1970: {text}; {error}") from error
    for expression in _STAMPS:
        if found := expression.fullmatch(str(text)):
            return stamp_of(found)
    if found := _DAY.fullmatch(str(text)):
        return Stamp(int(found[1]), int(found[2]), int(found[3]), 0, 0, 0)
    if found := _NUMERIC_DATE.fullmatch(str(text)):
        return _numeric(found)
    raise BadLine(f"the time is in no form that is known: {str(text)[:60]!r}; write it like 2026-01-31T08:30:00Z")


def _numeric(found: re.Match[str]) -> Stamp:
    """Read the dates of Windows: with AM and PM the month comes first, with points the day."""
    a, b, hour = int(found["a"]), int(found["b"]), int(found["hour"])
    months = 12
    if found["half"]:
        hour = hour % 12 + (12 if found["half"] in "pP" else 0)
        month, day = (b, a) if a > months else (a, b)
    elif found["sep"] == "." or a > months:
        month, day = b, a
    elif b > months or a == b:
        month, day = a, b
    else:
        raise BadLine(f"the time may have its day or its month first: {found[0]!r}; export it like 2026-01-31 08:30:00")
    second, fraction = int(found["second"] or 0), micros(found["fraction"])
    return Stamp(int(found["year"]), month, day, hour, int(found["minute"]), second, fraction)


def _parted(record: Mapping[str, Any]) -> tuple[str, Stamp | datetime] | None:
    """Return a time whose parts stand in several fields: Month, Day or Date, and Time."""
    time, date, day, month = (_text(record.get(name)) for name in ("Time", "Date", "Day", "Month"))
    if not time:
        return None
    if month not in MONTH_NUMBERS and date in MONTH_NUMBERS:
        month, date = date, day
    shown = f"{month} {(date or day):>2} {time}" if month in MONTH_NUMBERS else f"{date} {time}"
    return shown, moment_of(shown)


def _severity(record: Mapping[str, Any]) -> str | None:
    found = _first(record, _LEVEL_FIELDS)
    text = _text(found)
    if text.isascii() and text.isdigit():
        number = int(text)
        if "PRIORITY" not in record and number in _PINO:
            return _PINO[number]
        return SEVERITIES[number] if number < len(SEVERITIES) else None
    return severity_named(text)


def _first(record: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((found for name in names if not _is_empty(found := _get(record, name))), None)


def _get(record: Mapping[str, Any], name: str) -> Any:
    """Return a field, or one within others by a name with points; None where there is none."""
    if name in record or "." not in name:
        return record.get(name)
    found: Any = record
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _is_empty(value: Any) -> bool:
    return value is None or value == ""


def _text(value: Any) -> str:
    """Return a field as text: journald gives bytes that are no UTF-8 as a list of numbers."""
    if value is None or isinstance(value, (dict, bool)):
        return ""
    if isinstance(value, list):
        if value and all(isinstance(one, int) and 0 <= one < 256 for one in value):  # noqa: PLR2004 - a byte
            return bytes(value).decode("utf-8", "replace")
        return _text(value[0]) if value else ""
    return str(value)


def _fields(record: Mapping[str, Any]) -> str:
    return ", ".join(map(str, record))[:200]
