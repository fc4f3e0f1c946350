"""This turns a shop's files, in the columns of the data set Online Retail, into commands over HTTP."""

import csv
import os
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.end_to_end.conftest import Server

FOLDER = Path(os.environ.get("FACTLINE_SAMPLES", Path(__file__).parents[3] / "shared" / "data")) / "online-retail"

# two months, four countries, a credit note, a gift, and customers nobody knows; no number of it is in the files
FEW_ROWS = """\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
539365,85123A,WHITE HANGING HEART T-LIGHT HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
539365,71053,WHITE METAL LANTERN,6,2010-12-01 08:26:00,3.39,17850.0,United Kingdom
539370,22728,ALARM CLOCK BAKELIKE PINK,24,2010-12-01 08:45:00,3.75,12583.0,France
C539379,D,Discount,-1,2010-12-01 09:41:00,27.5,14527.0,United Kingdom
539414,22139,,56,2010-12-01 11:52:00,0.0,,United Kingdom
540002,22726,ALARM CLOCK BAKELIKE GREEN,1200,2011-01-04 10:00:00,3.7501,12662.0,Germany
540003,21731,RED TOADSTOOL LED NIGHT LIGHT,1,2011-01-04 10:20:00,1.65,,EIRE
540004,22326,ROUND SNACK BOXES SET OF4 WOODLAND,6,2011-01-05 11:00:00,2.95,12662.0,Germany
540005,21035,SET/2 RED RETROSPOT TEA TOWELS,2,2011-01-05 12:00:00,2.95,17850.0,United Kingdom
540006,22114,HOT WATER BOTTLE TEA AND SYMPATHY,3,2011-01-06 09:00:00,3.95,17850.0,United Kingdom
540007,84406B,CREAM CUPID HEARTS COAT HANGER,8,2011-01-06 10:00:00,2.75,17850.0,United Kingdom
540008,22752,SET 7 BABUSHKA NESTING BOXES,2,2011-01-07 08:00:00,7.65,17850.0,United Kingdom
540009,21730,GLASS STAR FROSTED T-LIGHT HOLDER,6,2011-01-07 09:00:00,4.25,17850.0,United Kingdom
"""


def many_rows(invoices: int) -> str:
    """Return a file of invoices of one line, older than the newest of FEW_ROWS; no number of it is in the files."""
    rows = [f"{530_000 + n},22139,TEA CUP,1,2010-12-02 08:{n % 60:02}:00,1.25,12583.0,France" for n in range(invoices)]
    return "\n".join((FEW_ROWS.partition("\n")[0], *rows))


def files() -> list[Path]:
    return sorted(FOLDER.glob("*.csv"))


def revenue(text: str) -> Decimal:
    rows = csv.DictReader(text.splitlines())
    return sum((Decimal(row["Quantity"]) * Decimal(row["UnitPrice"]) for row in rows), Decimal(0))


def send(server: Server, text: str) -> str:
    """Send a file's invoices; return the position that a view must reach to know them all."""
    replies = server.post("/v1/commands", list(_commands(csv.DictReader(text.splitlines()))))["replies"]
    refused = [reply for reply in replies if reply["outcome"] == "refused"]
    assert not refused, refused[:3]
    token: str = replies[-1]["position"]["token"]
    return token


def _commands(rows: Iterable[Mapping[str, str]]) -> Iterable[dict[str, Any]]:
    invoices: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for row in rows:
        invoices.setdefault((row["CustomerID"].removesuffix(".0"), row["InvoiceNo"]), []).append(row)
    for (party, number), lines in invoices.items():
        body = {
            "number": number,
            "party": party,
            "kind": "credit_note" if number.startswith("C") else "invoice",
            "direction": "out",
            "issue_date": f"{lines[0]['InvoiceDate'].replace(' ', 'T')}Z",
            "currency": "GBP",
            "country": lines[0]["Country"],
            "lines": [
                {
                    "product": line["StockCode"],
                    "description": line["Description"],
                    "quantity": line["Quantity"],
                    "unit_price": line["UnitPrice"],
                }
                for line in lines
            ],
        }
        yield {"id": f"retail-{party}-{number}", "command": "finance.ReceiveInvoice", "body": body}
