"""What rows look like to a caller: one page of JSON, or CSV or JSON lines for as many rows as there are."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any

import orjson

from read_api.edge.responses import Answer, to_json

OTHER = "other"
"""The last column: a JSON object of the fields that have no column of their own, or nothing."""

# a spreadsheet takes such a cell for a formula. Source: OWASP, CSV Injection.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)


class Form(StrEnum):
    JSON = "application/json"
    CSV = "text/csv"
    LINES = "application/x-ndjson"


def form_of(accept: str) -> Form:
    """Return the form that an Accept header prefers; JSON where it names none of them.

    Source: RFC 9110, section 12.5.1.
    """
    best, most = Form.JSON, 0.0
    for part in accept.split(","):
        name, *parameters = (text.strip().lower() for text in part.split(";"))
        wanted = next((form for form in Form if form == name), None)
        quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        weight = float(quality) if _NUMBER.fullmatch(quality) else 0.0
        if wanted is not None and weight > most:
            best, most = wanted, weight
    return best


def lines(rows: Sequence[Answer]) -> bytes:
    return b"".join(to_json(row) + b"\n" for row in rows)


def csv_header(columns: Sequence[str]) -> bytes:
    return _csv([[*columns, OTHER]])


def csv_rows(rows: Sequence[Answer], columns: Sequence[str]) -> bytes:
    """Return rows as CSV; a text that a spreadsheet would take for a formula gets an apostrophe before it.

    Source: RFC 4180.
    """
    return _csv(_cells(orjson.loads(to_json(row)), columns) for row in rows)


def _cells(row: dict[str, Any], columns: Sequence[str]) -> Iterator[str]:
    for column in columns:
        yield _cell(row.pop(column, None))
    yield _cell(row or None)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def _csv(rows: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
