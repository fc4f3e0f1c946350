"""Several routes share these parameters, and read their text in the same way."""

import re
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator, StringConstraints, TypeAdapter

from read_api.edge.moments import EXAMPLES, SECONDS, Moment
from read_api.edge.paths import as_shown
from read_api.edge.problems import Problem
from read_api.edge.tokens import check_log
from schemas.envelope import Position
from schemas.values import Id, Instant, time_zones

_LARGEST = 2**63 - 1
_MOST_POSITIONS = 256
_VERSION = re.compile(r"[0-9]{1,18}")
_STEP = re.compile(r"(\d{1,7})([smhd]?)")


def _step_s(text: str) -> str:
    if not _STEP.fullmatch(text):
        raise ValueError("must be seconds, or a number with s, m, h or d, like 5m")
    return text


def step_seconds(step: str) -> int:
    number, unit = _STEP.fullmatch(step).groups()  # type: ignore[union-attr]
    return int(number) * SECONDS[unit or "s"]


def _time_zone(name: str) -> str:
    zones = time_zones()
    if name not in zones:
        near = get_close_matches(name[:100], zones, n=1) or ["Europe/Berlin"]
        raise Problem(400, f"timezone {name[:100]} is not known; it is an IANA name, like {near[0]}")
    return name


def _example(value: Any) -> Any:
    return {"example": {"value": value}}


Limit = Annotated[int, Query(ge=1, le=100, description="rows of one page")]
Cursor = Annotated[str | None, Query(max_length=4096, description="`next` of the page before")]
_FORMS = "an instant, a day (its first moment in UTC), or a time before now"
Start = Annotated[Moment | None, Query(description=f"from this moment on: {_FORMS}", openapi_examples=EXAMPLES)]
End = Annotated[Moment | None, Query(description=f"before this moment: {_FORMS}", openapi_examples=EXAMPLES)]
StepText = Annotated[str, AfterValidator(_step_s)]
Step = Annotated[
    StepText,
    Query(
        description="0 for each reading, else the width of a point: 300, 5m, 1h, 1d", openapi_examples=_example("5m")
    ),
]
TimeZone = Annotated[
    str,
    AfterValidator(_time_zone),
    Query(
        description="IANA name of the zone whose days and months are meant", openapi_examples=_example("Europe/Berlin")
    ),
]
Filter = Annotated[Id | None, Query()]

LONGEST_NAME = 2_000
"""Characters of a stream's name: an invoice's quotes 164 characters, and each may take twelve."""

# wider than an Id: an invoice without a party begins with a colon, and what is quoted has per cent signs
DocumentId = Annotated[
    str, StringConstraints(max_length=LONGEST_NAME, pattern=r"^[A-Za-z0-9._:@~%-]+$"), BeforeValidator(as_shown)
]
StreamName = Annotated[
    str, StringConstraints(max_length=LONGEST_NAME, pattern=r"^[a-z_]+-[A-Za-z0-9._:@~%-]+$"), BeforeValidator(as_shown)
]


INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)


def parse_version(text: str) -> int | None:
    """Read a stream's version, like 3; None where it is something else."""
    return int(text) if _VERSION.fullmatch(text) else None


def parse_positions(text: str, named: str, log: str) -> list[Position]:
    """Read `events/0/12,telemetry/0/99`, each perhaps with its log.

    Raises: Problem, it is something else, or of another log than this one.
    """
    try:
        positions = [Position.parse(part) for part in text.split(",")]
    except ValueError:
        positions = []
    if not positions or len(positions) > _MOST_POSITIONS or any(max(place[1:]) > _LARGEST for place in positions):
        raise Problem(400, f"{named} must be positions like events/0/42,telemetry/0/7")
    check_log(text.split(","), log)
    return positions


def window(start: datetime | None, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """Return a range of time: the last day where nothing is said. Raises: Problem, it is empty."""
    last = end or now
    first = start or last - timedelta(days=1)
    in_order(first, last)
    return first, last


def in_order(start: datetime | None, end: datetime | None) -> None:
    if start and end and start >= end:
        raise Problem(400, "start must be before end")
