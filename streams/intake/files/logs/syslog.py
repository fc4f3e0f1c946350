"""This reads lines of syslog, journald and Cisco: a priority, a time, a host, a program and what it says."""

import re
from collections.abc import Callable
from typing import cast

from streams.intake.files.logs.line import BadLine, Line, Stamp
from streams.intake.files.logs.severities import FACILITIES, SEVERITIES, of_priority, severity_named
from streams.intake.files.logs.stamps import BSD, CTIME, FULL, ISO, ISO_BASIC, KLOG, UNIX, stamp_of

_PRIORITY = r"(?:<(?P<priority>[0-9]{1,3})>)?"
_HOST = re.compile(r"(?P<host>[^\s\x00-\x1f\x7f]{1,200}) +(?P<rest>.*)", re.DOTALL | re.ASCII)
# a word, for `login` after two dashes, for `syslogd` before its version; then the process id and a colon
_TAG = re.compile(
    r"(?P<program>(?:-- )?[^\s:\[\]\x00-\x1f\x7f]{1,150}(?: [0-9][0-9A-Za-z.]{0,30})?)(?:\[(?P<pid>[0-9]{1,20})\])?:"
    r" ?(?P<message>.*)",
    re.DOTALL | re.ASCII,
)
# a line without a host begins with its program at once
_TAG_FIRST = re.compile(r"[^\s:\[\]\x00-\x1f\x7f]{1,150}(?:\[[0-9]{1,20}\])?:(?: |$)", re.ASCII)
# logread writes facility and level where others have the host
_OPENWRT = re.compile(rf"(?P<facility>{'|'.join(FACILITIES)})\.(?P<level>[a-z]{{3,7}})")
_CISCO = re.compile(
    # between host and text there may be the router's own number and time, where a server wrote its own before them
    r"(?:(?P<host>[^\s%:]{1,200}) ?:? )?(?:(?:[0-9]{1,10}: )?[*.]?[A-Za-z]{3} [ 0-9:.]{10,30}(?: [A-Z]{1,5})?: )?"
    r"(?P<message>%(?P<program>[A-Z0-9_]{1,60}(?:-[A-Z0-9_]{1,60})*?)"
    r"-(?P<level>[0-7])-[A-Z0-9_]{1,60}:.*)",
    re.DOTALL | re.ASCII,
)
# Cisco's number of the message, and the name of the router, before the time
_ORIGINS = r"(?P<origins>(?:[^\s:<]{1,200}: ){0,3})"
_REST = r"(?P<colon> ?: | ?:$)?(?P<rest>.*)"

_RFC5424 = re.compile(
    rf"<(?P<priority>[0-9]{{1,3}})>[1-9][0-9]? (?:{ISO}|-) (?P<host>[!-~]{{1,255}}) (?P<program>[!-~]{{1,48}})"
    r" (?P<pid>[!-~]{1,128}) (?P<id>[!-~]{1,32}) (?P<data>-|(?:\[[^\s\]=\"]{1,32}"
    r"(?: [^\s\]=\"]{1,32}=\"(?:[^\"\\]|\\.)*\")*\])+)(?: (?P<message>.*))?",
    re.DOTALL | re.ASCII,
)


def _form(stamp: str) -> Callable[[str], Line | None]:
    expression = re.compile(rf"{_PRIORITY}{_ORIGINS}{stamp}(?=[ :]){_REST}", re.DOTALL | re.ASCII)

    def read(text: str) -> Line | None:
        found = expression.fullmatch(text)
        return found and _read(found)

    return read


def _read(found: re.Match[str]) -> Line | None:
    rest = found["rest"].lstrip(" ")
    if not rest:
        return None
    severity, facility = _priority(found["priority"])
    line = Line(
        stamp_of(found), "", found["stamp"], severity=severity, said=(f"facility={facility}",) if facility else ()
    )
    if "%" in rest and (cisco := _CISCO.fullmatch(rest)):
        return line._replace(
            message=cisco["message"],
            host=cisco["host"] or _origin(found["origins"]),
            program=cisco["program"],
            severity=SEVERITIES[int(cisco["level"])],
        )
    if found["colon"] is not None or _TAG_FIRST.match(rest):
        return _tagged(line, rest)
    parts = _HOST.fullmatch(rest)
    if parts is None:
        return None
    if "." in parts["host"] and (said := _OPENWRT.fullmatch(parts["host"])):
        line = line._replace(severity=severity_named(said["level"]), said=(f"facility={said['facility']}",))
        return _tagged(line, parts["rest"])
    return _tagged(line._replace(host=parts["host"]), parts["rest"])


def _origin(origins: str) -> str:
    return next((name for name in origins.split(": ") if name and not name.isdigit()), "")


def _tagged(line: Line, rest: str) -> Line:
    tag = _TAG.fullmatch(rest)
    if tag is None:
        return line._replace(message=rest)
    return line._replace(message=tag["message"], program=tag["program"], pid=tag["pid"] or "")


def _priority(text: str | None) -> tuple[str | None, str | None]:
    if text is None:
        return None, None
    found = of_priority(int(text))
    if found is None:
        raise BadLine(f"the priority does not exist: <{text}>; it is at most 191")
    return found


_BEGINS = re.compile(rf"{_PRIORITY}{_ORIGINS}{BSD}(?=[ :]) ?:? *[^ ]", re.ASCII)
_KLOG_BEGINS = re.compile(rf"[IWEF]{KLOG} ", re.ASCII)
# most lines of today begin so, and say their year
_DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]", re.ASCII)


def stamp_without_year(text: str) -> Stamp | None:
    """Return the stamp that a line begins with, if it does not say its year; nothing more of the line is read."""
    if _DATED.match(text):
        return None
    if text[1:2].isdigit() and (klog := _KLOG_BEGINS.match(text)):
        return cast("Stamp", stamp_of(klog))
    if text[:1] > "9" or text[:1] in "<*.0123456789":
        found = _BEGINS.match(text)
        if found and not (found["year"] or found["first_year"]):
            when = stamp_of(found)
            return when if isinstance(when, Stamp) else None
    return None


rfc3164 = _form(BSD)


def cisco(text: str) -> Line | None:
    """Read a line that a router or switch writes; its mark and its colon tell it from others."""
    line = rfc3164(text)
    return line if line and (line.message.startswith("%") or line.stamp[0] in "*." or not line.host) else None


ctime = _form(CTIME)
iso = _form(f"(?:{ISO})")
iso_basic = _form(ISO_BASIC)
short_full = _form(FULL)
short_unix = _form(UNIX)


def rfc5424(text: str) -> Line | None:
    found = _RFC5424.fullmatch(text)
    if found is None:
        return None
    severity, facility = _priority(found["priority"])
    host, program, pid, id_ = ("" if found[name] == "-" else found[name] for name in ("host", "program", "pid", "id"))
    said = [f"facility={facility}"]
    said += [f"msgid={id_}"] if id_ else []
    said += [found["data"]] if found["data"] != "-" else []
    return Line(
        stamp_of(found) if found["stamp"] else None,
        (found["message"] or "").removeprefix("\ufeff"),
        found["stamp"] or "-",
        host,
        program,
        pid,
        severity,
        said=tuple(said),
    )
