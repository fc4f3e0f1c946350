"""Invoices from CSV files, from the file to the command."""

import csv
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import TenantId
from streams.intake.files.invoice_rows import MAX_LINES, Terms
from streams.intake.files.invoices import InvoicesFiles
from streams.intake.files.text import FileError, RefusedRow, check
from tests.streams.intake.files.samples import (
    CELLS,
    HEADER,
    REAL_DATA,
    invoice_row,
    invoices,
    real_data,
    refused,
    rows_of,
    taken,
    write,
)

ANOTHER = "another row of the same invoice is refused"


def test_rows_of_a_number_and_a_customer_are_one_invoice_wherever_they_stand(tmp_path: Path) -> None:
    rows = [invoice_row("1", product="a"), invoice_row("2"), invoice_row("1", product="b", customer="")]
    rows += [invoice_row("1", product="c", customer="17850")]
    items = taken(invoices(write(tmp_path / "f", [HEADER, *rows])))
    assert {(item.command.number, item.command.party): [row.line for row in item.rows] for item in items} == {
        ("1", "17850"): [2, 5],
        ("2", "17850"): [3],
        ("1", ""): [4],
    }


def test_an_invoice_is_dated_with_its_first_row_in_time_and_a_line_only_where_it_differs(tmp_path: Path) -> None:
    rows = [invoice_row(at="2010-12-01 09:00:00"), invoice_row(at="2010-12-01T08:26:00")]
    [item] = taken(invoices(write(tmp_path / "f", [HEADER, *rows])))
    assert item.command.issue_date == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    assert [line.dated_at for line in item.command.lines] == [datetime(2010, 12, 1, 9, tzinfo=UTC), None]


def test_a_date_with_an_offset_is_brought_to_utc(tmp_path: Path) -> None:
    [item] = taken(invoices(write(tmp_path / "f", [HEADER, invoice_row(at="2010-12-01 08:26:00+01:00")])))
    assert item.command.issue_date == datetime(2010, 12, 1, 7, 26, tzinfo=UTC)


def test_history_is_not_cleaned(tmp_path: Path) -> None:
    rows = [
        invoice_row("1", quantity="-1", price="0.0", customer="", description=""),
        invoice_row("2", description="damages?", price="-11062.06", quantity=".5"),
    ]
    first, second = taken(invoices(write(tmp_path / "f", [HEADER, *rows])))
    assert (first.command.party, first.command.lines[0].quantity) == ("", Decimal(-1))
    assert (second.command.lines[0].unit_price, second.command.lines[0].quantity) == (
        Decimal("-11062.06"),
        Decimal("0.5"),
    )


def test_the_id_of_an_invoice_is_that_of_its_content(tmp_path: Path) -> None:
    def id_of(*rows: str, tenant: str = "demo") -> str:
        [item] = taken(invoices(write(tmp_path / "f", [HEADER, *rows]), tenant=tenant))
        return item.command_id

    same = id_of(invoice_row(), invoice_row(product="b"))
    # written otherwise, but it says the same
    assert id_of(invoice_row(price="2.5500", customer="17850", at="2010-12-01T08:26"), invoice_row(product="b")) == same
    assert id_of(invoice_row(), invoice_row(product="b", price="2.56")) != same
    assert id_of(invoice_row(), invoice_row(product="b"), tenant="acme") != same


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (invoice_row("1", at="1700000000"), "InvoiceDate is not an instant: '1700000000'; write it like 2026-01-31"),
        (invoice_row("1", at="20101201"), "InvoiceDate is not an instant"),
        (invoice_row("1", at="12/1/2010 8:26"), "InvoiceDate is not an instant"),
        (invoice_row("1", at="2010-02-30 08:26:00"), "InvoiceDate is not an instant"),
        (invoice_row("1", at="0001-01-01 00:00:00+14:00"), "InvoiceDate is not an instant"),
        (invoice_row("1", price="nan"), "UnitPrice is not a finite number"),
        (invoice_row("1", price="Infinity"), "UnitPrice is not a finite number"),
        (invoice_row("1", price="1e3"), "UnitPrice is written with a power of ten"),
        (invoice_row("1", price='"2,55"'), "UnitPrice is not a finite number: '2,55'; write a decimal point"),
        (invoice_row("1", quantity="٣"), "Quantity is not a finite number"),
        (invoice_row("1", quantity=""), "Quantity is not a finite number"),
        (
            invoice_row("1", price="2." + "5" * 13),
            "UnitPrice is not valid: Decimal input should have no more than 12",
        ),
        (invoice_row("1", quantity="9" * 19), "Quantity is not valid"),
        (invoice_row("1", description="a\0b"), "Description is not valid"),
        (invoice_row("1", description="x" * 501), "Description is not valid"),
        (invoice_row("1", customer="x" * 101), "CustomerID is not valid"),
        (invoice_row("1", country="x" * 501), "Country is not valid"),
        (invoice_row(""), "InvoiceNo is empty"),
        (invoice_row("n" * 65), "InvoiceNo is not valid"),
        (invoice_row("1\u200b"), "InvoiceNo is not valid: holds a character that cannot be seen, U+200B"),
        (invoice_row("1", customer="Ann\ufeff"), "CustomerID is not valid: holds a character that cannot be seen"),
        ("1,too,short", "the row has not as many columns as the header: 3 instead of 8"),
        (invoice_row("1", description='"a"b'), "the row is not readable as CSV"),
    ],
)
def test_a_row_that_cannot_be_taken_is_refused_with_the_reason_and_the_others_are_not(
    tmp_path: Path, row: str, reason: str
) -> None:
    items = invoices(write(tmp_path / "f", [HEADER, row, "", invoice_row("2")]))
    [(line, said)] = refused(items).items()
    assert (line, said[: len(reason)]) == (2, reason)
    assert [item.command.number for item in taken(items)] == ["2"]


def test_a_currency_that_is_none_is_refused_in_words(tmp_path: Path) -> None:
    path = write(tmp_path / "f", [f"{HEADER},Currency", f"{invoice_row()},EURO"])
    reason = "Currency is not valid: must be a currency code of three capital letters, like EUR"
    assert refused(invoices(path)) == {2: reason}


def test_a_reason_names_a_column_as_its_file_does(tmp_path: Path) -> None:
    header = HEADER.replace("UnitPrice", "Price")
    reasons = refused(invoices(write(tmp_path / "f", [header, invoice_row(price="x"), invoice_row(price="2.5")])))
    assert reasons[2].startswith("Price is not a finite number: 'x'")


def test_more_decimals_that_are_zeros_are_no_more_decimals(tmp_path: Path) -> None:
    [item] = taken(invoices(write(tmp_path / "f", [HEADER, invoice_row(price="2.550000", quantity="-0.0")])))
    assert (item.command.lines[0].unit_price, str(item.command.lines[0].quantity)) == (Decimal("2.55"), "0")


@pytest.mark.parametrize("bad", [invoice_row(price="x"), invoice_row(price="2.5555555555555"), "536365,short"])
def test_a_refused_row_takes_its_whole_invoice_with_it(tmp_path: Path, bad: str) -> None:
    rows = [invoice_row(), invoice_row("2"), bad, invoice_row(product="last")]
    items = invoices(write(tmp_path / "f", [HEADER, *rows]))
    reasons = refused(items)
    assert set(reasons) == {2, 4, 5}
    assert reasons[2] == reasons[5] == f"{ANOTHER}: line 4"
    assert [item.command.number for item in taken(items)] == ["2"]


def test_a_row_without_a_readable_customer_spoils_all_customers_of_its_number(tmp_path: Path) -> None:
    rows = [invoice_row(customer="1"), invoice_row(customer="2"), "536365,short", invoice_row(customer="3")]
    assert set(refused(invoices(write(tmp_path / "f", [HEADER, *rows])))) == {2, 3, 4, 5}


def test_a_row_with_a_readable_customer_spoils_that_customers_invoice_only(tmp_path: Path) -> None:
    rows = [invoice_row(customer="1"), invoice_row(customer="2"), invoice_row(customer="1", quantity="x")]
    items = invoices(write(tmp_path / "f", [HEADER, *rows]))
    assert set(refused(items)) == {2, 4}
    assert [item.command.party for item in taken(items)] == ["2"]


def test_two_countries_in_one_invoice_are_refused(tmp_path: Path) -> None:
    rows = [invoice_row(), invoice_row(country="France")]
    reasons = refused(invoices(write(tmp_path / "f", [HEADER, *rows])))
    assert reasons[3].startswith("Country is not the same in all rows of the invoice: 'France' here, 'United Kingdom'")
    assert reasons[2] == f"{ANOTHER}: line 3"


def test_an_invoice_with_too_many_rows_is_refused_whole(tmp_path: Path) -> None:
    items = invoices(write(tmp_path / "f", [HEADER, *[invoice_row()] * (MAX_LINES + 1), invoice_row("2")]))
    assert len(refused(items)) == MAX_LINES + 1
    assert [item.command.number for item in taken(items)] == ["2"]


@pytest.mark.parametrize("kept", range(1, len(invoice_row("536366"))))
def test_a_file_that_ends_within_a_row_loses_that_rows_invoice_and_no_other(tmp_path: Path, kept: int) -> None:
    lines = [HEADER, invoice_row(), invoice_row("536366"), invoice_row("536366")[:kept]]
    items = invoices(write(tmp_path / "f", lines, end=""))
    assert [item.command.number for item in taken(items)] == ["536365"]
    reasons = refused(items)
    assert set(reasons) == {3, 4}
    # where only the last cell is cut, it is not the one of the other rows
    assert reasons[4].startswith(("the file ends in the middle of this row", "Country is not the same in all rows"))


def test_a_whole_last_row_without_a_line_end_is_taken(tmp_path: Path) -> None:
    [item] = taken(invoices(write(tmp_path / "f", [HEADER, invoice_row(country='"United Kingdom"')], end="")))
    assert item.command.country == "United Kingdom"
    items = invoices(write(tmp_path / "f", [HEADER, invoice_row(country='"United')], end=""))
    assert refused(items)[2].startswith("the file ends in the middle of this row: the row is not readable as CSV")


def test_line_numbers_count_the_lines_of_the_file_also_within_quotes(tmp_path: Path) -> None:
    header = f"Note,{HEADER}"
    lines = [
        header,
        f'"two\nlines",{invoice_row("1")}',
        "",
        f"x,{invoice_row('2')}",
        f"x,{invoice_row('3', price='?')}",
    ]
    items = invoices(write(tmp_path / "f", lines))
    assert [(item.command.number, item.rows[0].line) for item in taken(items)] == [("1", 2), ("2", 5)]
    assert set(refused(items)) == {6}


def test_a_line_break_in_a_description_is_taken_and_one_in_a_product_refused_where_its_row_begins(
    tmp_path: Path,
) -> None:
    rows = [
        invoice_row("1", description='"two\nlines"'),
        invoice_row("2", product='"two\nlines"'),
        invoice_row("3", price="?"),
    ]
    items = invoices(write(tmp_path / "f", [HEADER, *rows]))
    assert [item.command.lines[0].description for item in taken(items)] == ["two\nlines"]
    reasons = refused(items)
    assert reasons[4].startswith("StockCode is not valid")
    assert set(reasons) == {4, 6}


CONSULTING = invoice_row(
    "CONS-2026-001", product="A", description="Consulting", at="2026-04-04 10:00:00", customer="91005"
)


@pytest.mark.parametrize(
    ("number", "kind"),
    [("536365", "invoice"), ("C536379", "credit_note"), ("c536379", "credit_note"), ("A563185", "invoice")],
)
def test_a_number_of_c_and_digits_is_a_credit_note_as_in_online_retail(tmp_path: Path, number: str, kind: str) -> None:
    [item] = taken(invoices(write(tmp_path / "f", [HEADER, invoice_row(number)]), kind="online-retail"))
    assert item.command.kind == kind
    [item] = taken(invoices(write(tmp_path / "f", [HEADER, invoice_row(number, quantity="-6")])))
    assert item.command.kind == kind


def test_a_number_of_c_and_digits_alone_makes_no_credit_note(tmp_path: Path) -> None:
    [item] = taken(invoices(write(tmp_path / "f", [HEADER, invoice_row("C1001")])))
    assert (item.command.kind, item.kind_by_number) == ("invoice", False)


def test_an_invoice_whose_number_begins_with_c_is_one(tmp_path: Path) -> None:
    [item] = taken(invoices(write(tmp_path / "f", [HEADER, CONSULTING])))
    assert (item.command.number, item.command.kind) == ("CONS-2026-001", "invoice")


@pytest.mark.parametrize("number", ["536365", "C536379"])
def test_the_caller_may_say_what_all_documents_are(tmp_path: Path, number: str) -> None:
    path = write(tmp_path / "f", [HEADER, invoice_row(number)])
    [invoice], [note] = taken(invoices(path, kind="invoice")), taken(invoices(path, kind="credit_note"))
    assert (invoice.command.kind, note.command.kind) == ("invoice", "credit_note")


def test_cloud_prices_are_taken_exactly(tmp_path: Path) -> None:
    rows = [
        invoice_row("CLOUD-1", product="egress", quantity="1250.5", price="0.0000166667"),
        invoice_row("CLOUD-1", product="vm", quantity="744", price="0.0416"),
    ]
    [item] = taken(invoices(write(tmp_path / "f", [HEADER, *rows])))
    assert [line.unit_price for line in item.command.lines] == [Decimal("0.0000166667"), Decimal("0.0416")]


def test_blanks_and_other_forms_of_a_number_or_customer_make_no_second_invoice(tmp_path: Path) -> None:
    rows = [
        invoice_row(" 536365", customer="Caf\u00e9"),
        invoice_row("536365 ", customer=" Cafe\u0301 "),
        invoice_row("2", customer="  "),
    ]
    first, second = taken(invoices(write(tmp_path / "f", [HEADER, *rows])))
    assert (first.command.number, first.command.party, len(first.rows)) == ("536365", "Caf\u00e9", 2)
    assert (second.command.number, second.command.party) == ("2", "")


@pytest.mark.parametrize(
    ("number", "id_"),
    [("536365", "326ff6f2-c970-51e2-a161-df7fa8148a57"), ("C536379", "0c71972a-cdf8-50ab-afca-1d9380bce9ac")],
)
def test_what_an_earlier_version_imported_rightly_has_the_id_that_it_had(tmp_path: Path, number: str, id_: str) -> None:
    [item] = taken(invoices(write(tmp_path / "f", [HEADER, invoice_row(number)]), kind="online-retail"))
    assert item.command_id == id_


def test_what_an_earlier_version_took_for_a_credit_note_has_another_id(tmp_path: Path) -> None:
    path = write(tmp_path / "f", [HEADER, CONSULTING])
    [now], [before] = taken(invoices(path)), taken(invoices(path, kind="credit_note"))
    assert now.command_id != before.command_id


def test_an_unpaired_quote_spoils_the_invoices_whose_rows_it_swallows(tmp_path: Path) -> None:
    rows = [
        invoice_row("1"),
        invoice_row("2", product="a"),
        invoice_row("1", description='"LANTERN'),
        invoice_row("2", product="b"),
        invoice_row("3", description='"quoted"'),
        invoice_row("4"),
    ]
    items = invoices(write(tmp_path / "f", [HEADER, *rows]))
    assert [item.command.number for item in taken(items)] == ["4"]
    assert set(refused(items)) == {2, 3, 4}


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    lines = [HEADER.replace("UnitPrice,", "").replace("Country", "Land"), "x"]
    with pytest.raises(FileError, match=r"lacks the columns UnitPrice, Country; its first line is: InvoiceNo,"):
        invoices(write(tmp_path / "f", lines))


def test_a_column_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="has a column twice: Quantity"):
        invoices(write(tmp_path / "f", [f"{HEADER},Quantity"]))


def test_utf_16_without_its_mark_is_recognised_by_its_nul_characters(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="add --encoding utf-16-le"):
        invoices(write(tmp_path / "f", [HEADER, invoice_row()], encoding="utf-16-le"))


def test_columns_may_stand_in_another_order_with_others_between(tmp_path: Path) -> None:
    columns = HEADER.split(",")
    cells = dict(zip(columns, invoice_row().split(","), strict=True)) | {"Note": "x"}
    order = [*columns[4:], "Note", *columns[:4]]
    [item] = taken(invoices(write(tmp_path / "f", [",".join(order), ",".join(cells[name] for name in order)])))
    assert (item.command.number, item.command.lines[0].unit_price) == ("536365", Decimal("2.55"))


def test_a_file_with_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    assert invoices(write(tmp_path / "f", [HEADER])) == []


@real_data
def test_every_real_invoice_is_read_whole() -> None:
    for path in sorted((REAL_DATA / "online-retail").glob("*.csv")):
        with path.open(newline="") as file:
            expected = list(csv.DictReader(file))
        items = taken(invoices(path))
        assert sum(len(item.rows) for item in items) == len(expected)
        read = sum(line.quantity * line.unit_price for item in items for line in item.command.lines)
        assert read == sum(Decimal(row["Quantity"]) * Decimal(row["UnitPrice"]) for row in expected)
        assert len(items) == len({(row["InvoiceNo"], row["CustomerID"]) for row in expected})


ROWS = st.one_of(
    st.lists(CELLS, max_size=10).map(",".join),
    st.builds(
        invoice_row,
        st.sampled_from(["1", "2", "C3"]),
        price=st.sampled_from(["1", "x", "2.5555555555555"]),
        customer=st.sampled_from(["", "1.0", "1", "2"]),
        description=st.sampled_from(["a", '"a\nb"', '"a', 'a"']),
    ),
    st.text(max_size=20),
)


@given(lines=st.lists(ROWS, max_size=12), end=st.sampled_from(["", "\n", "\r\n"]))
def test_every_row_of_any_file_is_taken_or_refused_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], end: str
) -> None:
    path = write(tmp_path_factory.mktemp("any") / "f", [HEADER, *lines], end=end)
    text_file = check(path, "utf-8")
    source = InvoicesFiles([text_file], Terms(TenantId("demo"), "GBP", "out"))
    items = list(source.items())
    seen = rows_of(items)
    assert len(seen) == len(set(seen)) == source.rows_read
    assert sorted({item.row.line for item in items if isinstance(item, RefusedRow)}) == sorted(refused(items))
    # an invoice is taken whole or not at all: no refused row names a number and a customer that is taken
    for invoice in taken(items):
        numbers = [item.row.cells for item in items if isinstance(item, RefusedRow)]
        assert not any(
            len(cells) == 8
            and cells[0] == invoice.command.number
            and cells[6].removesuffix(".0") == invoice.command.party
            for cells in numbers
        )
