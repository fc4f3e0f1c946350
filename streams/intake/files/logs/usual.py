"""Most lines have one of two forms of syslog and nothing unusual in them: this reads them in one step.

What it reads, it reads as the table of forms does, which is asked for all others; a test compares the two.
"""

import re
from datetime import UTC, datetime

from streams.intake.files.logs.line import Line, Stamp
from streams.intake.files.logs.severities import FACILITIES, LEVEL_WORD
from streams.intake.files.logs.stamps import MONTH_NUMBERS

_HOST = (
    # a name of a zone belongs to the time, a level to another form, and a facility with its level is no host
    rf"(?!(?:UTC|GMT|[Zz]|{LEVEL_WORD}|(?:{'|'.join(FACILITIES)})\.[a-z]+) )(?P<host>[A-Za-z][A-Za-z0-9_.-]{{0,199}})"
)
_REST = rf" {_HOST} (?P<program>[A-Za-z][A-Za-z0-9_./-]{{0,99}})(?:\[(?P<pid>[0-9]{{1,20}})\])?: ?(?P<message>[^%]*)"
_DATED = re.compile(
    r"(?P<stamp>[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})?)"
    rf"{_REST}",
    re.DOTALL | re.ASCII,
)
_UNDATED = re.compile(
    rf"(?P<stamp>(?P<month>{'|'.join(MONTH_NUMBERS)}) (?P<day>[ 0-9][0-9])"
    rf" (?P<hour>[0-9]{{2}}):(?P<minute>[0-9]{{2}}):(?P<second>[0-9]{{2}})){_REST}",
    re.DOTALL | re.ASCII,
)


def usual_line(text: str) -> Line | None:
    """Return what a line says, None where the table of forms is to be asked."""
    if found := _DATED.fullmatch(text):
        stamp, host, program, pid, message = found.groups()
        try:
            at = datetime.fromisoformat(stamp)
            when: Stamp | datetime = (
                at.astimezone(UTC) if at.tzinfo is not None else Stamp(*at.timetuple()[:6], at.microsecond)
            )
        except (ValueError, OverflowError):
            return None
        return Line(when, message, stamp, host, program, pid or "")
    if found := _UNDATED.fullmatch(text):
        stamp, month, day, hour, minute, second, host, program, pid, message = found.groups()
        when = Stamp(None, MONTH_NUMBERS[month], int(day), int(hour), int(minute), int(second))
        return Line(when, message, stamp, host, program, pid or "")
    return None
