"""The text of a CSV file becomes invoices that can be recorded as they are, or an error that names the rows."""

from decimal import Decimal
from typing import Any

import pytest

from domain.finance.invoice import ReceiveInvoice
from domain.message import adapter
from factline.worker import Failed
from infra.handlers.invoice import extract_invoice
from tests.infra.handlers.kit import done

EXTRACT = extract_invoice()
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
ROWS = "536365,85123A,HOLDER,6,2010-12-01 08:26,2.55,17850,United Kingdom\n"


def test_rows_of_one_number_become_an_invoice_that_can_be_recorded() -> None:
    more = "536365,71053,LANTERN,2,2010-12-01 08:26,3.39,17850,United Kingdom\n"
    [body] = done(EXTRACT, {"csv": HEADER + ROWS + more})["invoices"]
    assert (body["number"], body["party"], body["direction"]) == ("536365", "17850", "in")
    assert [line["product"] for line in body["lines"]] == ["85123A", "71053"]
    command = adapter(ReceiveInvoice).validate_python(body)
    assert command.lines[1].quantity * command.lines[1].unit_price == Decimal("6.78")


def test_file_as_others_write_it_is_read_as_the_input_says() -> None:
    csv = "sep=;\nRechnung;Menge;Datum;Preis\nR-7;1.000;31.01.2026;2,50\n"
    columns = {
        "InvoiceNo": "Rechnung",
        "Quantity": "Menge",
        "InvoiceDate": "Datum",
        "UnitPrice": "Preis",
        **dict.fromkeys(("StockCode", "Description", "CustomerID", "Country"), ""),
    }
    given = {"csv": csv, "columns": columns, "decimal": ",", "thousands": ".", "date_format": "%d.%m.%Y"}
    [body] = done(EXTRACT, {**given, "timezone": "Europe/Berlin", "currency": "EUR"})["invoices"]
    assert (body["number"], body["currency"], body["issue_date"]) == ("R-7", "EUR", "2026-01-30T23:00:00Z")
    assert (body["lines"][0]["quantity"], body["lines"][0]["unit_price"]) == ("1000", "2.5")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"csv": "a,b\n1,2\n"}, r"the text lacks the columns InvoiceNo.*; say which column is meant: `columns` in"),
        ({"csv": HEADER + ROWS.replace(",6,", ",six,")}, "line 2: Quantity is not .*'six'"),
        ({"csv": HEADER + ROWS.replace("2010-12-01 08:26", "1.12.2010")}, "line 2: InvoiceDate .*`date_format` in"),
        ({"csv": HEADER}, "there is no invoice"),
        ({"csv": HEADER + ROWS, "columns": {"Total": "x"}}, "input.columns: .*Total is no column"),
        ({"csv": HEADER + ROWS, "timezone": "Mars"}, "input.timezone: .*Mars is no time zone"),
        ({"csv": HEADER + ROWS, "kind": "bill"}, "input.kind"),
        ({}, "input.csv"),
    ],
)
def test_text_that_cannot_be_read_says_why(given: Any, why: str) -> None:
    with pytest.raises(Failed, match=why) as failed:
        done(EXTRACT, given)
    assert not failed.value.retryable


def test_one_bad_row_gives_nothing_and_the_error_names_the_first_ones() -> None:
    bad = "".join(f"{n},A,B,x,2010-12-01 08:26,1,1,UK\n" for n in range(12))
    with pytest.raises(Failed, match=r"line 3: .*; and 2 more$"):
        done(EXTRACT, {"csv": HEADER + ROWS + bad})
