"""The media type of a body is known or refused here."""

from collections.abc import Mapping

from read_api.edge.problems import Problem

JSON = "application/json"
NDJSON = "application/x-ndjson"

_WRITTEN: Mapping[str, str] = {
    # who says nothing means JSON, and curl says of all data that it is a form
    "": JSON,
    "application/x-www-form-urlencoded": JSON,
    "text/json": JSON,
    "application/ndjson": NDJSON,
    "application/jsonl": NDJSON,
    "application/x-jsonlines": NDJSON,
    "application/jsonlines": NDJSON,
}


def media_type(content_type: str, *known: str) -> str:
    """Return which of the known types a Content-Type header says. Raises: Problem (415), none of them, or no UTF-8."""
    said, _, parameters = content_type.partition(";")
    found = said.strip().lower()
    found = _WRITTEN.get(found, found)
    if found not in known:
        raise Problem(415, f"the media type {found[:100]!r} is not taken here; send {', '.join(known)}")
    charset = next(
        (one for one in parameters.lower().split(";") if one.strip().startswith("charset=")), "charset=utf-8"
    )
    if charset.partition("=")[2].strip(' "') not in {"utf-8", "utf8", "us-ascii"}:
        raise Problem(415, f"the {charset.strip()[:100]} is not taken here; send UTF-8")
    return found
