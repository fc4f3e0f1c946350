"""How the body of a request for facts is read follows from its headers."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from io import BytesIO
from typing import Any, TypeVar

import orjson

from read_api.edge.problems import Problem
from streams.intake.http.bodies import has_more_lines
from streams.intake.http.cloud_events import (
    BATCH,
    STRUCTURED,
    binary_as_batch,
    completed_batch,
    is_binary,
    structured_as_batch,
)
from streams.intake.http.media_types import JSON, NDJSON, media_type

P = TypeVar("P")
Reader = Callable[[bytes], P]


def reader_of(headers: Mapping[str, str], readers: Mapping[str, Reader[P]], max_facts: int) -> Reader[P]:
    """Return what reads a body; `readers` has those of JSON, NDJSON and BATCH. Raises: Problem (415)."""
    found = media_type(headers.get("Content-Type", ""), JSON, NDJSON, STRUCTURED, BATCH)
    if is_binary(headers) and found == JSON:
        return lambda body: readers[BATCH](binary_as_batch(headers, body))
    if found == STRUCTURED:
        return lambda body: readers[BATCH](structured_as_batch(body))
    if found == BATCH:
        return lambda body: readers[BATCH](completed_batch(body, max_facts))
    lines = _bounded(readers[NDJSON], max_facts)
    if found == JSON:
        return lambda body: _read_json(body, readers[JSON], lines)
    return lines


def _read_json(body: bytes, array: Reader[P], lines: Reader[P]) -> P:
    """Read an array, one fact over several lines, or a line for each fact."""
    if body[:64].lstrip()[:1] == b"[":
        return array(body)
    if _is_object(body):
        return array(b"[" + body + b"]")
    if not any(_is_object(line) for line in BytesIO(body)):
        raise Problem(400, "the body must be a JSON array of facts, one fact, or one fact a line (NDJSON)")
    return lines(body)


def _is_object(text: bytes) -> bool:
    """Return whether a text is one JSON object; where more follows it, that is found at once."""
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _bounded(read: Reader[P], max_facts: int) -> Reader[P]:
    """Return a reader of lines that makes no list of far too many."""

    def bounded(body: bytes) -> P:
        if has_more_lines(body, max_facts):
            raise Problem(413, f"more than {max_facts} lines are too many for one request; send at most {max_facts}")
        return read(body)

    return bounded


def nothing_taken(refused: Sequence[Mapping[str, Any]]) -> Problem:
    """Return the problem (422) of a body of which every fact is refused."""
    first = refused[0]
    detail = f"nothing was taken: all {len(refused)} facts are refused; line {first['line']}: {first['reason']}"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, accepted=0, repeated=0, refused=refused, position=None)
