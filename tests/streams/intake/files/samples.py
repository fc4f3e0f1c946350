"""Short ways to write files and to read them back, for tests of imports."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import strategies as st

from schemas.envelope import TenantId
from streams.intake.files.invoice_header import COLUMNS
from streams.intake.files.invoice_rows import InvoiceRows, Terms
from streams.intake.files.invoices import InvoicesFiles, Writing
from streams.intake.files.text import FactRow, RefusedRow, check

REAL_DATA = Path(__file__).resolve().parents[5] / "shared" / "data"
HEADER = ",".join(COLUMNS)

real_data = pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real data in ../shared/data is not here")


def invoice_row(
    number: str = "536365",
    *,
    product: str = "85123A",
    description: str = "LANTERN",
    quantity: str = "6",
    at: str = "2010-12-01 08:26:00",
    price: str = "2.55",
    customer: str = "17850.0",
    country: str = "United Kingdom",
) -> str:
    return f"{number},{product},{description},{quantity},{at},{price},{customer},{country}"


def write(path: Path, lines: Iterable[str], *, encoding: str = "utf-8", end: str = "\n") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        file.write("\n".join(lines) + end)
    return path


def invoices(
    *paths: Path,
    tenant: str = "demo",
    encoding: str = "utf-8",
    kind: str | None = None,
    currency: str | None = "GBP",
    writing: Writing | None = None,
) -> list[InvoiceRows | RefusedRow]:
    files = [check(path, encoding) for path in paths]
    return list(InvoicesFiles(files, Terms(TenantId(tenant), currency, "out", kind), writing or Writing()).items())


def refused(items: Sequence[object]) -> dict[int, str]:
    """Return the refused rows: reason by line."""
    return {item.row.line: item.reason for item in items if isinstance(item, RefusedRow)}


def taken(items: Sequence[InvoiceRows | RefusedRow]) -> list[InvoiceRows]:
    return [item for item in items if isinstance(item, InvoiceRows)]


def facts(items: Sequence[FactRow | RefusedRow]) -> list[FactRow]:
    return [item for item in items if isinstance(item, FactRow)]


def rows_of(items: Sequence[InvoiceRows | FactRow | RefusedRow]) -> list[int]:
    """Return the line of every row that was taken or refused."""
    lines: list[int] = []
    for item in items:
        lines += [row.line for row in item.rows] if isinstance(item, InvoiceRows) else [item.row.line]
    return sorted(lines)


CELLS = st.sampled_from(
    ["1", "2", "C3", "", "2010-12-01 08:26:00", "x", '"', '"a', 'b"', '"q""q"', "\0", "é", "1.5", "-2"]
)
