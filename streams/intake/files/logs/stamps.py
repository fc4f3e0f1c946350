"""The times of log lines are written in these forms; each reader takes the parts that its expression found."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

from streams.intake.files.logs.line import BadLine, Stamp
from streams.intake.files.zones import ABBREVIATIONS

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTH_NUMBERS: Mapping[str, int] = {name: number for number, name in enumerate(MONTHS, 1)}

# in any case: some devices write MAR or mar
_MONTH = f"(?P<month>(?i:{'|'.join(MONTHS)}))"
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?"
_OFFSET = r"[+-][0-9]{2}(?::?[0-9]{2})?"

ISO = (
    r"(?P<stamp>(?P<year>[0-9]{4})(?P<dash>[-/])(?P<month>[0-9]{2})(?P=dash)(?P<day>[0-9]{2})[Tt _]"
    r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?|(?!:))"
    rf"(?: ?(?P<offset>{_OFFSET}|[Zz]|UTC|GMT)(?: UTC| GMT)?(?![^\s,:\]|]))?)"
)
"""2026-03-04T17:20:30.123456789+02:00, with a blank for T, slashes for dashes, a comma before fractions."""

ISO_BASIC = (
    r"(?P<stamp>(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})T(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})"
    rf"(?P<second>[0-9]{{2}})(?:[.,](?P<fraction>[0-9]{{1,9}}))?(?P<offset>{_OFFSET}|Z)?)"
)
"""20260304T172030Z."""

BSD = (
    rf"(?P<stamp>[*.]?(?:(?P<first_year>(?:19|20)[0-9]{{2}}) )?{_MONTH} {{1,2}}(?P<day>[0-9]{{1,2}})"
    rf"(?: (?P<year>(?:19|20)[0-9]{{2}}))? {_TIME}"
    rf"(?: ?(?P<offset>{_OFFSET}(?=[: ])|(?:{'|'.join(ABBREVIATIONS)})(?=:)|UTC(?= )|GMT(?= )))?)"
)
"""Mar  4 17:20:30.655028; Cisco's *Mar  4 2026 17:20:30.123 CET: and 2026 Mar  4 17:20:30."""

CTIME = (
    rf"(?P<stamp>(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) {_MONTH} {{1,2}}(?P<day>[0-9]{{1,2}}) {_TIME}"
    rf"(?: (?P<offset>{_OFFSET}|[A-Z]{{3,5}}))? (?P<year>[0-9]{{4}}))"
)
"""Wed Mar  4 17:20:30.655028 2026, as Apache's error log, ctime and date write it."""

FULL = (
    r"(?P<stamp>(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    rf" {_TIME} (?P<offset>{_OFFSET}|[A-Z]{{1,5}}))"
)
"""Wed 2026-03-04 17:20:30 CET, as journalctl -o short-full writes it."""

WEB = rf"(?P<stamp>(?P<day>[0-9]{{1,2}})/{_MONTH}/(?P<year>[0-9]{{4}}):{_TIME}(?: (?P<offset>{_OFFSET}|Z))?)"
"""04/Mar/2026:17:20:30 +0100, as access logs write it."""

KLOG = rf"(?P<stamp>(?P<month>0[1-9]|1[0-2])(?P<day>[0-9]{{2}}) {_TIME})"
"""0304 17:20:30.655028, as Kubernetes' own programs write it."""

UNIX = r"(?P<stamp>(?P<seconds>[0-9]{9,10})\.(?P<fraction>[0-9]{3,9}))"
"""1772637630.655028, as journalctl -o short-unix writes it."""

_UTC_NAMES = frozenset({"Z", "z", "UTC", "GMT"})


def stamp_of(found: re.Match[str]) -> Stamp | datetime:
    """Return the time that one of the expressions above has found. Raises: BadLine, there is no such time."""
    parts = found.groupdict()
    if parts.get("dash") == "-":
        # most stamps: this reads what it can at the speed of C, and leaves leap seconds and the like to the rest
        with suppress(ValueError, OverflowError):
            at = datetime.fromisoformat(parts["stamp"])
            return at.astimezone(UTC) if at.tzinfo else Stamp(*at.timetuple()[:6], at.microsecond)
    if seconds := parts.get("seconds"):
        return datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=micros(parts["fraction"]))
    month = parts["month"].title()
    year = parts.get("year") or parts.get("first_year")
    stamp = Stamp(
        int(year) if year else None,
        MONTH_NUMBERS[month] if month in MONTH_NUMBERS else int(month),
        int(parts["day"]),
        int(parts["hour"]),
        int(parts["minute"]),
        int(parts["second"] or 0),
        micros(parts["fraction"]),
    )
    offset = (parts.get("offset") or "").strip()
    if not offset:
        return stamp
    zone = offset_of(offset)
    if zone is None or stamp.year is None:
        return stamp._replace(zone=offset)
    return instant(stamp, zone, parts["stamp"])


def instant(stamp: Stamp, zone: timezone, text: str) -> datetime:
    """Return the time with this offset, in UTC. Raises: BadLine, there is no such time."""
    try:
        return local(stamp, stamp.year or 0).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise no_such_time(text) from None


def local(stamp: Stamp, year: int) -> datetime:
    """Return the time without an offset; a leap second is the one after it. Raises: ValueError, OverflowError."""
    leap = stamp.second == 60  # noqa: PLR2004 - the sixtieth second
    at = datetime(  # noqa: DTZ001 - the zone is told apart later
        year,
        stamp.month,
        stamp.day,
        stamp.hour,
        stamp.minute,
        59 if leap else stamp.second,
        stamp.microsecond,
    )
    return at + timedelta(seconds=1) if leap else at


def no_such_time(text: str) -> BadLine:
    return BadLine(f"the day or time does not exist: {text}")


def offset_of(text: str) -> timezone | None:
    """Return the offset that `Z`, `UTC`, `+0200`, `+02:00` or `+02` says; None for another name."""
    if text in _UTC_NAMES:
        return UTC
    if text[0] not in "+-":
        return None
    digits = text[1:].replace(":", "")
    minutes = int(digits[:2]) * 60 + int(digits[2:] or 0)
    try:
        return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))
    except ValueError:
        raise BadLine(f"the offset from UTC does not exist: {text}") from None


def micros(fraction: str | None) -> int:
    """Return the digits behind the point of a second, of which there may be nine, in microseconds."""
    return int(fraction[:6].ljust(6, "0")) if fraction else 0
