"""A log line becomes the fact that the log keeps."""

from datetime import datetime

import orjson
from pydantic import ValidationError

from domain.fleet.facts import LogRecorded
from domain.message import adapter
from streams.intake.files.logs.line import BadLine, Line
from streams.intake.files.logs.people import people_of
from streams.intake.files.logs.severities import severity_of
from streams.intake.files.text import FactRow, SourceRow
from streams.ports import FactSubmission

_FACT_BYTES = 400


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode() if '"' in text or any(map(str.isspace, text)) else text


def log_recorded(line: Line) -> LogRecorded:
    """Return the fact that a line is. Raises: BadLine, it holds what cannot be recorded."""
    people = people_of(line.program, line.message)
    user, ip = line.user or people.user, line.ip or people.ip
    named = (("pid", line.pid), ("user", _quoted(user)), ("ip", ip))
    said = {
        "severity": line.severity or severity_of(line.message),
        "summary": line.message,
        "tool_type": "syslog",
        "source_event_type": line.program or None,
        "event_type": line.program or None,
        "user_id": user or None,
        "hostname": line.host or None,
        "details": " ".join((*(f"{name}={text}" for name, text in named if text), *line.said)),
    }
    try:
        fact: LogRecorded = adapter(LogRecorded).validate_python(said)
    except ValidationError as error:
        found = error.errors()[0]
        raise BadLine(f"the line cannot be recorded: {found['loc'][0]} {found['msg']}") from error
    return fact


def fact_row(row: SourceRow, device_id: str, at: datetime, fact: LogRecorded, id_: str) -> FactRow:
    """Return a fact under its own id, with the row that says it."""
    return FactRow(FactSubmission(device_id, at, fact, id_), row, _FACT_BYTES + 2 * len(fact.summary))
