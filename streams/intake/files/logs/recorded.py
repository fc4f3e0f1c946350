"""A log line becomes the fact that the log keeps."""

from dataclasses import fields
from datetime import datetime

import orjson
from pydantic import TypeAdapter, ValidationError

from domain.fleet.facts import LogRecorded
from domain.message import adapter
from schemas.values import Name
from streams.intake.files.logs.line import BadLine, Line
from streams.intake.files.logs.people import people_of
from streams.intake.files.logs.severities import SEVERITIES, severity_of
from streams.intake.files.text import FactRow, SourceRow
from streams.intake.remembered import remembered
from streams.ports import FactSubmission

_FACT_BYTES = 400


_SEVERITIES = frozenset(SEVERITIES)
_LONGEST = 65_536
"""Characters of a text. Source: schemas.values.Text."""

_NAME = TypeAdapter[str](Name)


@remembered(16_384)
def _is_name(text: str | None) -> bool:
    """Return whether the validator takes a name as it is."""
    try:
        return text is None or _NAME.validate_python(text) == text
    except ValidationError:
        return False


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode() if '"' in text or any(map(str.isspace, text)) else text


def log_recorded(line: Line) -> LogRecorded:
    """Return the fact that a line is. Raises: BadLine, it holds what cannot be recorded."""
    people = people_of(line.program, line.message)
    user, ip = line.user or people.user, line.ip or people.ip
    fact = LogRecorded(
        severity=line.severity or severity_of(line.message),
        summary=line.message,
        tool_type="syslog",
        source_event_type=line.program or None,
        event_type=line.program or None,
        user_id=user or None,
        hostname=line.host or None,
        details=_details(line, user, ip),
    )
    return fact if _is_usual(fact) else _validated(fact)


def _details(line: Line, user: str, ip: str) -> str:
    said = [f"pid={line.pid}"] if line.pid else []
    if user:
        said.append(f"user={_quoted(user)}")
    if ip:
        said.append(f"ip={ip}")
    said.extend(line.said)
    return " ".join(said)


def _is_usual(fact: LogRecorded) -> bool:
    """Return whether the validator would take the fact as it is, without asking it: that costs a third of a line."""
    summary, details = fact.summary, fact.details
    return (
        fact.severity in _SEVERITIES
        and len(summary) <= _LONGEST
        and len(details) <= _LONGEST
        and summary.isascii()
        and details.isascii()
        and _is_name(fact.event_type)
        and _is_name(fact.hostname)
        and _is_name(fact.user_id)
    )


def _validated(fact: LogRecorded) -> LogRecorded:
    said = {field.name: getattr(fact, field.name) for field in fields(fact)}
    try:
        found: LogRecorded = adapter(LogRecorded).validate_python(said)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadLine(f"the line cannot be recorded: {first['loc'][0]} {first['msg']}") from error
    return found


def fact_row(row: SourceRow, device_id: str, at: datetime, fact: LogRecorded, id_: str) -> FactRow:
    """Return a fact under its own id, with the row that says it."""
    return FactRow(FactSubmission(device_id, at, fact, id_), row, _FACT_BYTES + 2 * len(fact.summary))
