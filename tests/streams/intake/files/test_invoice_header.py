"""Which column of a file of invoices is which, and what stands between them."""

from pathlib import Path

import pytest

from streams.intake.files.invoice_header import COLUMNS, Header, header
from streams.intake.files.text import FileError, check
from tests.streams.intake.files.samples import HEADER, invoice_row, write

ROW = invoice_row()


def found(path: Path, told: dict[str, str] | None = None, delimiter: str | None = None) -> Header:
    return header(check(path, "utf-8"), told or {}, delimiter)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    lines = [line.replace(",", delimiter) for line in (HEADER, ROW)]
    assert found(write(tmp_path / "f", lines)).layout.delimiter == delimiter
    quoted = delimiter.join(f'"{name}"' for name in HEADER.split(","))
    assert found(write(tmp_path / "f", [quoted])).layout.delimiter == delimiter


def test_line_that_is_no_header_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"f, line 1, is no header: "):
        found(write(tmp_path / "f", ['"a"b']))


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "\ufeffsep=;", "\nsep=;"])
def test_excels_line_names_the_delimiter(tmp_path: Path, first: str) -> None:
    layout = found(write(tmp_path / "f", [first, HEADER.replace(",", ";")])).layout
    assert (layout.delimiter, layout.lines_before) == (";", 1 + first.count("\n"))


def test_any_other_delimiter_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "f", [HEADER.replace(",", "^")])
    with pytest.raises(FileError, match="say what stands between the columns with --delimiter"):
        found(path)
    assert found(path, delimiter="^").layout.delimiter == "^"


def test_names_of_online_retail_ii_are_known(tmp_path: Path) -> None:
    names = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country"
    assert [*found(write(tmp_path / "f", [names])).columns.values()] == names.split(",")


def test_names_may_be_written_a_little_otherwise(tmp_path: Path) -> None:
    names = "invoice_no,stock code,DESCRIPTION,quantity,Invoice-Date,Unit Price,customer id,country,KIND"
    assert [*found(write(tmp_path / "f", [names])).columns] == [*COLUMNS, "Kind"]


def test_the_name_itself_goes_before_others(tmp_path: Path) -> None:
    columns = found(write(tmp_path / "f", [f"Price,{HEADER},Invoice"])).columns
    assert (columns["UnitPrice"], columns["InvoiceNo"]) == ("UnitPrice", "InvoiceNo")


def test_other_names_are_told_and_some_columns_may_be_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "f", ["Rechnung;Artikel;Menge;Datum;Preis;Kunde"])
    with pytest.raises(FileError, match=r"lacks the columns InvoiceNo, StockCode, .*: --columns InvoiceNo=HEADER"):
        found(path)
    told = {"InvoiceNo": "Rechnung", "StockCode": "artikel", "Quantity": "Menge", "InvoiceDate": "Datum"}
    told |= {"UnitPrice": "Preis", "CustomerID": "Kunde", "Description": "", "Country": ""}
    assert found(path, told).columns["StockCode"] == "Artikel"
    with pytest.raises(FileError, match=r"lacks the columns InvoiceNo \(told to be 'Beleg'\)"):
        found(path, told | {"InvoiceNo": "Beleg"})


def test_a_column_that_says_something_else_is_left_alone_when_told(tmp_path: Path) -> None:
    path = write(tmp_path / "f", [f"{HEADER},Kind"])
    assert "Kind" in found(path).columns
    assert "Kind" not in found(path, {"Kind": ""}).columns
