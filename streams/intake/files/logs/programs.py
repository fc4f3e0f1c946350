"""This reads the logs that programs write themselves: a time, a level and a message, without a host."""

import re

from streams.intake.files.logs.line import Line
from streams.intake.files.logs.severities import LEVEL_WORD, severity_named
from streams.intake.files.logs.stamps import ISO, stamp_of

_CBS = re.compile(
    rf"{ISO}, (?P<level>[A-Z][a-z]{{1,15}}) +(?P<program>[A-Z][A-Za-z0-9_]{{1,15}}) +(?P<message>.*)",
    re.DOTALL | re.ASCII,
)
_LEVELS = (
    # 2026-03-04 17:20:30,655 - shop.orders - ERROR - text
    re.compile(
        rf"{ISO} - (?P<program>[^\s\[\]]{{1,150}}) - (?P<level>{LEVEL_WORD}) - (?P<message>.*)", re.DOTALL | re.ASCII
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


def cbs(text: str) -> Line | None:
    found = _CBS.fullmatch(text)
    if found is None:
        return None
    return Line(
        stamp_of(found),
        found["message"],
        found["stamp"],
        program=found["program"],
        severity=severity_named(found["level"]),
    )


def application(text: str) -> Line | None:
    for expression in _LEVELS:
        if found := expression.fullmatch(text):
            parts = found.groupdict()
            return Line(
                stamp_of(found),
                found["message"] or "",
                found["stamp"],
                program=parts.get("program") or "",
                severity=severity_named(found["level"]),
                said=(f"thread={parts['thread'][1:-1]}",) if parts.get("thread") else (),
            )
    return None
