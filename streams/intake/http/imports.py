"""Files come in over HTTP here: invoices, readings and log lines, checked first or imported at once."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, StringConstraints

from domain.finance.invoice import Direction
from read_api.edge.asking import Admitted
from read_api.edge.auth import Caller
from read_api.edge.parameters import TimeZone
from read_api.edge.problems import Problem
from read_api.edge.responses import answered
from read_api.edge.scopes import require
from schemas.envelope import TenantId
from schemas.values import Currency, Id, Instant, Name
from streams.intake.files.dates import Dates, is_format
from streams.intake.files.invoice_kind import is_rule
from streams.intake.files.invoice_rows import Terms
from streams.intake.files.invoices import InvoicesFiles, Writing
from streams.intake.files.last_places import LastPlaces
from streams.intake.files.logs.log_file import How as HowOfLogs
from streams.intake.files.logs.log_file import LogFile, Seen
from streams.intake.files.metrics.metrics_file import MetricsFile
from streams.intake.files.metrics.sample import How as HowOfMetrics
from streams.intake.files.text import FactRow
from streams.intake.files.text import check as look
from streams.intake.files.zones import zone_of
from streams.intake.http.importing import Asked, Imports, Opened
from streams.intake.http.media_types import NDJSON
from streams.intake.importing.documents import Documents, told_of
from streams.intake.importing.run import COMMANDS, FACTS, Send, fact_sender, register_device
from streams.intake.importing.sink import Sink


class _Importing(Admitted):
    """A dependency: who asks, with all the rights that an import needs. Raises: Forbidden; as Admitted."""

    def __init__(self, *scopes: str) -> None:
        super().__init__()
        self._scopes = scopes

    def check(self, request: Request, caller: Caller) -> None:  # noqa: ARG002 - others look at it
        for scope in self._scopes:
            require(caller, scope)


MAX_WAITING_ROWS = 200_000
"""Rows of a file that may be held because their invoices go on further down; each takes some 600 bytes."""

Handler = TypeVar("Handler", bound=Callable[..., Any])

_FACTS, _INVOICES = ("telemetry:write", "fleet:write"), ("finance:write",)


def _is_format(text: str) -> str:
    if not is_format(text):
        raise ValueError("must say day, month and year, like %d.%m.%Y %H:%M")
    return text


def _is_rule(text: str) -> str:
    if not is_rule(text):
        raise ValueError("must be invoice, credit_note, online-retail or credit_note= with a pattern of numbers")
    return text


_FileName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f/]+$"),
    Query(description="of the file, for what is said of it"),
]
Encoding = Literal["utf-8", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"]
_Modified = Annotated[
    Instant | None, Query(description="when the file was last written: what says no year or no time is of about then")
]
_Device = Annotated[Id | None, Query(description="where all of it comes from; without it each line says its own")]
_Unit = Annotated[str, StringConstraints(max_length=32)]


@dataclass(frozen=True)
class _Said:
    """What a request says of any file."""

    check: Annotated[
        bool, Query(description="say what the file holds and write nothing; what is recorded is not looked at")
    ] = False
    name: _FileName = "the file"
    encoding: Annotated[Encoding, Query(description="how the file is coded")] = "utf-8"
    timezone: TimeZone = "UTC"


def imports_router(imports: Imports, new_places: Callable[[], LastPlaces]) -> APIRouter:
    """Shape: `new_places` keeps the numbers of a file's invoices, of which there may be many."""
    router = APIRouter(prefix="/v1/import", tags=["import"])

    def route(kind: str, example: str) -> Callable[[Handler], Handler]:
        return router.post(
            f"/{kind}",
            summary=f"A file of {kind}, checked or imported as `factline import {kind}` does it; progress as NDJSON",
            description="At most 64 MiB, one file of a tenant at a time. What is counted as accepted is durable. The"
            " same file again adds nothing: it goes on where an import ended early. The import goes on if the caller"
            " leaves.",
            response_class=StreamingResponse,
            responses=_ANSWERED,
            openapi_extra={"requestBody": _body(example)},
        )

    @route("invoices", "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n")
    async def invoices(
        request: Request,
        caller: Annotated[Caller, Depends(_Importing(*_INVOICES))],
        said: Annotated[_Said, Depends()],
        *,
        currency: Annotated[Currency | None, Query(description="of amounts where the file says none")] = None,
        direction: Annotated[
            Direction, Query(description="out: the tenant wrote them; in: they were sent to it")
        ] = "out",
        kind: Annotated[
            str | None,
            AfterValidator(_is_rule),
            Query(max_length=200, description="what documents are, as --kind says it"),
        ] = None,
        decimal: Annotated[Literal[".", ","] | None, Query(description="what stands before decimals")] = None,
        thousands: Annotated[
            Literal[".", ",", "'", " "] | None, Query(description="what stands between thousands")
        ] = None,
        date_format: Annotated[
            str | None, AfterValidator(_is_format), Query(max_length=60, description="like %d.%m.%Y; else ISO 8601")
        ] = None,
        correct: Annotated[bool, Query(description="correct what is recorded with other content")] = False,
    ) -> Response:
        if decimal is not None and decimal == thousands:
            raise Problem(422, "decimal and thousands must not be the same")
        terms = Terms(caller.tenant_id, currency, direction, kind)
        writing = Writing({}, None, decimal, thousands, Dates(date_format, zone_of(said.timezone)))

        def opened(path: Path) -> Opened:
            file = look(path, said.encoding)
            source = InvoicesFiles([file], terms, writing, new_places, MAX_WAITING_ROWS)
            documents = Documents(caller.tenant_id, [Path(said.name)], correct=correct)
            return Opened(
                source=source,
                send=lambda sink: lambda batch: documents.send(sink, batch),
                batch_items=COMMANDS,
                rows=file.lines - 1,
                # of a check nobody knows what is recorded already
                notes=lambda: [*told_of(source, all_=said.check), *([] if said.check else documents.told())],
            )

        return StreamingResponse(
            await imports.take(Asked(request, caller, _INVOICES, said.name, said.check), opened), media_type=NDJSON
        )

    @route("metrics", "timestamp,cpu_percent\n2026-01-31T08:30:00Z,12.5\n")
    async def metrics(
        request: Request,
        caller: Annotated[Caller, Depends(_Importing(*_FACTS))],
        said: Annotated[_Said, Depends()],
        *,
        modified: _Modified = None,
        device: _Device = None,
        metric: Annotated[Name | None, Query(description="what was measured, in a file of timestamp and value")] = None,
        unit: Annotated[_Unit, Query(description="of all readings that say none")] = "",
    ) -> Response:
        how = HowOfMetrics(
            device or "", (metric,) if metric else (), {"": unit} if unit else {}, zone_of(said.timezone)
        )

        def opened(path: Path) -> Opened:
            _written(path, modified)
            file = look(path, said.encoding)
            source = MetricsFile(file, how)
            return _facts(source, caller.tenant_id, device or "", file.lines - 1, source.notes)

        return StreamingResponse(
            await imports.take(Asked(request, caller, _FACTS, said.name, said.check), opened), media_type=NDJSON
        )

    @route("logs", "Jan 31 08:30:00 web-1 sshd[42]: Failed password for root from 203.0.113.7 port 22 ssh2\n")
    async def logs(
        request: Request,
        caller: Annotated[Caller, Depends(_Importing(*_FACTS))],
        said: Annotated[_Said, Depends()],
        *,
        modified: _Modified = None,
        device: _Device = None,
        year: Annotated[int | None, Query(ge=1970, le=9000, description="of the first line that says none")] = None,
    ) -> Response:
        # what was sent here has ended, its last line too
        how = HowOfLogs(device or "", zone_of(said.timezone), year=year, encoding=said.encoding, take_last=True)

        def opened(path: Path) -> Opened:
            _written(path, modified)
            source = LogFile(path, how, datetime.now(UTC), Seen())
            notes = [f"lines that do not say their year begin in {source.first_year}"] if source.says_no_year else []
            return _facts(source, caller.tenant_id, device or "", source.rows, lambda: [*notes, *source.notes()])

        return StreamingResponse(
            await imports.take(Asked(request, caller, _FACTS, said.name, said.check), opened), media_type=NDJSON
        )

    return router


def _facts(
    source: LogFile | MetricsFile, tenant_id: TenantId, device_id: str, rows: int, notes: Callable[[], Sequence[str]]
) -> Opened:
    def sender(sink: Sink) -> Send[FactRow]:
        if device_id:
            register_device(sink, tenant_id, device_id)
        return fact_sender(sink, tenant_id, device_id)

    return Opened(source, sender, FACTS, rows, notes)


def _written(path: Path, modified: datetime | None) -> None:
    if modified is not None:
        os.utime(path, (modified.timestamp(), modified.timestamp()))


def _body(example: str) -> Mapping[str, Any]:
    content = {
        "application/octet-stream": {
            "schema": {"type": "string", "description": "the file as it is"},
            "example": example,
        }
    }
    return {"required": True, "content": content}


_EXAMPLE = (
    '{"refused": {"line": 3, "reason": "Quantity is not a number: \'\'"}}\n'
    '{"done": 541909, "total": 541909}\n'
    '{"result": {"rows_read": 541909, "accepted": 541908, "repeated": 0, "refused": 1, "without_an_answer": 0,'
    ' "latest": "2026-01-31T08:30:00Z", "reasons": [{"reason": "Quantity is not a number", "rows": 1,'
    ' "first": "invoices.csv, line 3"}], "notes": [], "problem": null}}\n'
)
_ANSWERED = answered(
    _EXAMPLE,
    "Refused rows, the first 1,000 of them, and how far it is, line by line; the last line has `result`, which says why"
    " where the import ended early (`problem`)",
    media_type=NDJSON,
    schema={"type": "string", "description": "a JSON object a line"},
)
