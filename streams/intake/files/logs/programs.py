"""This reads the logs that programs write themselves: a time, a level and a message, without a host."""

import re
from typing import Any

from streams.intake.files.logs.line import Line
from streams.intake.files.logs.severities import LEVEL_WORD, severity_named
from streams.intake.files.logs.stamps import ISO, KLOG, stamp_of

_CBS = re.compile(
    rf"{ISO}, (?P<level>[A-Z][a-z]{{1,15}}) +(?P<program>[A-Z][A-Za-z0-9_]{{1,15}}) +(?P<message>.*)",
    re.DOTALL | re.ASCII,
)
_HAS_LEVEL, _LEVEL_WITHIN = re.compile(LEVEL_WORD), 400
_LEVELS = (
    # 2026-03-04 17:20:30,655 - shop.orders - ERROR - text
    re.compile(
        rf"{ISO} - (?P<program>[^\s\[\]]{{1,150}}) - (?P<level>{LEVEL_WORD}) - (?P<message>.*)", re.DOTALL | re.ASCII
    ),
    # [2026-03-04 17:20:30] production.ERROR: text, as PHP's Monolog writes it
    re.compile(
        rf"\[{ISO}\] (?P<program>[A-Za-z0-9_-]{{1,100}})\.(?P<level>{LEVEL_WORD}): (?P<message>.*)",
        re.DOTALL | re.ASCII,
    ),
    # [2026-03-04T17:20:30.655+0000] {taskinstance.py:1157} ERROR - text, as Airflow writes it
    re.compile(
        rf"\[{ISO}\] \{{(?P<program>[^\s{{}}:]{{1,150}}):[0-9]{{1,9}}\}} (?P<level>{LEVEL_WORD}) - (?P<message>.*)",
        re.DOTALL | re.ASCII,
    ),
    # 2026-03-04 17:20:30.655 ERROR text, [ERROR] text, | ERROR | text
    re.compile(
        rf"\[?{ISO}\]?:? {{1,4}}(?:[-|] )?[\[(]? ?(?P<level>{LEVEL_WORD}) ?[\])]?:?(?: +[-|])?(?: +(?P<message>.*)|$)",
        re.DOTALL | re.ASCII,
    ),
    # 2026-03-04 17:20:30,655 [main] ERROR text
    re.compile(
        rf"\[?{ISO}\]?:? (?P<thread>\[[^\]]{{1,150}}\]) +(?P<level>{LEVEL_WORD}):? +(?P<message>.*)",
        re.DOTALL | re.ASCII,
    ),
)

_MYSQL = re.compile(
    rf"{ISO} +(?P<thread>[0-9]{{1,20}}) \[(?P<level>[A-Z][A-Za-z]{{2,11}})\] (?P<message>.*)", re.DOTALL | re.ASCII
)
_MYSQL_LEVELS = {"System": "info", "Note": "info", "Warning": "warning", "Error": "error", "ERROR": "error"}
_CONTAINER = re.compile(rf"{ISO} (?P<stream>stdout|stderr) [FP](?: (?P<message>.*)|$)", re.DOTALL | re.ASCII)
_KLOG = re.compile(
    rf"(?P<letter>[IWEF]){KLOG} +(?P<thread>[0-9]{{1,20}}) (?P<program>[^\s:\]]{{1,150}}):[0-9]{{1,9}}\]"
    r" ?(?P<message>.*)",
    re.DOTALL | re.ASCII,
)
_KLOG_LEVELS = {"I": "info", "W": "warning", "E": "error", "F": "critical"}
_BRACKETED = re.compile(rf"\[{ISO}\]:? +(?P<message>.*)", re.DOTALL | re.ASCII)


def _line(found: re.Match[str], **more: Any) -> Line:
    return Line(stamp_of(found), found["message"] or "", found["stamp"], **more)


def cbs(text: str) -> Line | None:
    found = _CBS.fullmatch(text)
    return found and _line(found, program=found["program"], severity=severity_named(found["level"]))


def application(text: str) -> Line | None:
    if not _HAS_LEVEL.search(text, 0, _LEVEL_WITHIN):
        return None
    for expression in _LEVELS:
        if found := expression.fullmatch(text):
            parts = found.groupdict()
            return _line(
                found,
                program=parts.get("program") or "",
                severity=severity_named(found["level"]),
                said=(f"thread={parts['thread'][1:-1]}",) if parts.get("thread") else (),
            )
    return None


def mysql(text: str) -> Line | None:
    found = _MYSQL.fullmatch(text)
    severity = found and _MYSQL_LEVELS.get(found["level"])
    if found is None or severity is None:
        return None
    # others write a number and a level in brackets as well
    program = "mysqld" if found["message"].startswith("[MY-") else ""
    return _line(found, program=program, severity=severity, said=(f"thread={found['thread']}",))


def container(text: str) -> Line | None:
    """Return what a line of containerd or CRI-O says; a long line is written there in parts, each of which is one."""
    found = _CONTAINER.fullmatch(text)
    return found and _line(found, said=(f"stream={found['stream']}",))


def klog(text: str) -> Line | None:
    found = _KLOG.fullmatch(text)
    if found is None:
        return None
    severity, said = _KLOG_LEVELS[found["letter"]], (f"thread={found['thread']}",)
    return _line(found, program=found["program"], severity=severity, said=said)


def bracketed(text: str) -> Line | None:
    found = _BRACKETED.fullmatch(text)
    return found and _line(found)
