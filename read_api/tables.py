"""Every list and table is answered here: one page of JSON, or CSV or JSON lines page by page up to a bound."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from fastapi import Response
from fastapi.responses import StreamingResponse

from read_api.edge.forms import OTHER, Form, csv_header, csv_rows, lines
from read_api.edge.responses import Answer, documented, table
from read_api.reading import Read

MOST_ROWS = 100_000
_PAGE_ROWS = 500

Pages = Callable[[str | None, int], tuple[Sequence[Answer], str | None]]
"""Takes a cursor and a number of rows; gives rows and the cursor of those behind them."""


class TooManyRows(Exception):  # noqa: N818
    """There are more rows than one answer may have: it is broken off, so that nobody takes it for whole.

    The same again ends in the same way; ask for fewer rows, or page by page.
    """


def answer(
    read: Read, columns: Sequence[str], pages: Pages, *, limit: int, cursor: str | None, **more: Any
) -> Response:
    """Answer a list in the form that the caller accepts.

    Shape: JSON is one page of `limit` rows. The other forms are all rows from the cursor on, at most MOST_ROWS, or one
    page where the caller says a limit; then X-Next-Cursor says where the next begins. `more` is JSON's only.
    Raises: as `pages` does for the first page; what fails later breaks the answer off.
    """
    whole = read.form is not Form.JSON and not read.limited
    rows, next_ = pages(cursor, _PAGE_ROWS if whole else limit)
    if read.form is Form.JSON:
        return table(rows, read.as_of, next_=next_, **more)
    headers = {
        "X-As-Of": " ".join([read.as_of.at.isoformat().replace("+00:00", "Z"), *read.as_of.positions]),
        "Vary": "Accept",
        **({"X-Next-Cursor": next_} if next_ and not whole else {}),
    }
    following = _following(pages, rows, next_ if whole else None)
    return StreamingResponse(_written(read.form, columns, following), headers=headers, media_type=read.form.value)


def whole(read: Read, columns: Sequence[str], rows: Sequence[Answer], **more: Any) -> Response:
    """Answer a table that has no pages, in the form that the caller accepts."""
    return answer(read, columns, lambda *_: (rows, None), limit=len(rows), cursor=None, **more)


WINDOW_EXAMPLE = {"start": "2026-01-30T12:00:00Z", "end": "2026-01-31T12:00:00Z"}


def shown(start: datetime | None, end: datetime | None) -> Mapping[str, datetime | None]:
    """Return the time that an answer is about, open where it is None."""
    return {"start": start, "end": end}


def _following(pages: Pages, rows: Sequence[Answer], next_: str | None) -> Iterator[Sequence[Answer]]:
    yield rows
    given = len(rows)
    while next_ is not None:
        if given >= MOST_ROWS:
            raise TooManyRows(f"more than {MOST_ROWS} rows; ask for fewer, with filters or with limit and cursor")
        rows, next_ = pages(next_, min(_PAGE_ROWS, MOST_ROWS - given))
        given += len(rows)
        yield rows


def _written(form: Form, columns: Sequence[str], pages: Iterator[Sequence[Answer]]) -> Iterator[bytes]:
    if form is Form.CSV:
        yield csv_header(columns)
    for rows in pages:
        yield csv_rows(rows, columns) if form is Form.CSV else lines(rows)


def listed(example: Mapping[str, Any], columns: Sequence[str], **more: Any) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of a list or table with such a row and such columns."""
    responses = documented(example, **more)
    header = (csv_header(columns) + csv_rows([example], columns)).decode()
    responses[200]["description"] = (
        f"Rows. JSON is one page. With Accept: text/csv or application/x-ndjson it is all rows, at most {MOST_ROWS}"
        " (an answer that would have more is broken off), or one page where a limit is said, and X-Next-Cursor says"
        f" where the next begins. The column {OTHER} of CSV has the fields without a column of their own, as JSON."
    )
    responses[200]["content"] |= {
        Form.CSV.value: {"schema": {"type": "string"}, "example": header},
        Form.LINES.value: {"schema": {"type": "string"}, "example": lines([example]).decode()},
    }
    return responses
