"""This reads the access and error logs of Apache and nginx."""

import re
from http import HTTPStatus

from streams.intake.files.logs.line import Line
from streams.intake.files.logs.people import address
from streams.intake.files.logs.severities import severity_named
from streams.intake.files.logs.stamps import CTIME, ISO, WEB, stamp_of

_QUOTED = r"(?:[^\"\\]|\\.)*"
_ACCESS = re.compile(
    rf"(?:(?P<host>[^\s:]{{1,200}}(?::[0-9]{{1,5}})?) )?(?P<client>(?!- )\S{{1,255}})"
    rf" \S{{1,255}} (?P<user>.{{1,200}}?) \[{WEB}\]"
    rf" (?P<request>\"{_QUOTED}\") (?P<status>[0-9]{{3}}|-) (?P<size>[0-9]+|-)"
    rf"(?: \"(?P<referrer>{_QUOTED})\" \"(?P<agent>{_QUOTED})\")?.*",
    re.DOTALL | re.ASCII,
)
_APACHE = re.compile(
    rf"\[{CTIME}\] (?:\[(?:(?P<module>[a-z0-9_-]*):)?(?P<level>[a-z0-9]+)\] )?"
    r"(?:\[pid (?P<pid>[0-9]+)(?::tid [0-9]+)?\] )?(?:(?P<source>[^\[\]\s]+\([0-9]+\): )?)"
    r"(?:\[client (?P<client>[^\]\s]+)\] )?(?P<message>.*)",
    re.DOTALL | re.ASCII,
)
_NGINX = re.compile(
    rf"{ISO} \[(?P<level>[a-z]+)\] (?P<pid>[0-9]+)#[0-9]+: (?P<message>.*)",
    re.DOTALL | re.ASCII,
)
_NGINX_CLIENT = re.compile(r", client: (?P<ip>[^,\s]+)")


def access(text: str) -> Line | None:
    found = _ACCESS.fullmatch(text)
    if found is None:
        return None
    status = found["status"]
    number = int(status) if status != "-" else 0
    severity = "info"
    if number >= HTTPStatus.BAD_REQUEST:
        severity = "error" if number >= HTTPStatus.INTERNAL_SERVER_ERROR else "warning"
    said = [f"status={status}", f"bytes={found['size']}"]
    said += [f'{name}="{found[name]}"' for name in ("referrer", "agent") if found[name] not in {None, "-", ""}]
    return Line(
        stamp_of(found),
        f"{found['request'][1:-1]} {status}",
        found["stamp"],
        host=(found["host"] or "").partition(":")[0],
        program="access",
        severity=severity,
        user="" if found["user"] == "-" else found["user"].strip('"'),
        ip=address(found["client"]),
        said=tuple(said),
    )


def apache_error(text: str) -> Line | None:
    found = _APACHE.fullmatch(text)
    if found is None:
        return None
    client = found["client"] or ""
    return Line(
        stamp_of(found),
        (found["source"] or "") + found["message"],
        found["stamp"],
        program="apache",
        pid=found["pid"] or "",
        severity=severity_named(found["level"] or ""),
        # the port stands behind the last colon
        ip=address(client) or address(client.rpartition(":")[0].strip("[]")),
        said=(f"module={found['module']}",) if found["module"] else (),
    )


def nginx_error(text: str) -> Line | None:
    found = _NGINX.fullmatch(text)
    if found is None:
        return None
    client = _NGINX_CLIENT.search(found["message"])
    return Line(
        stamp_of(found),
        found["message"],
        found["stamp"],
        program="nginx",
        pid=found["pid"],
        severity=severity_named(found["level"]),
        ip=address(client["ip"]) if client else "",
    )
