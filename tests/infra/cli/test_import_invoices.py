"""`factline import invoices` with files as people have them, from the command to what the log has."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from infra.embedded import DEMO_TENANT, Embedded
from schemas.envelope import Actor, ActorType
from streams.ports import Submission
from tests.infra.cli.importing import Account, counts, events, factline, import_invoices, refused_rows
from tests.streams.intake.files.samples import HEADER, invoice_row, invoices, taken, write

ROW = invoice_row("7001", quantity="2", price="12.50", customer="91005", country="Germany")


def documents(data_dir: Path, type_: str = "invoice.received") -> dict[str, dict[str, Any]]:
    return {event.data["number"]: dict(event.data) for event in events(data_dir, type_)}


def prices(data_dir: Path) -> dict[str, list[Decimal]]:
    return {
        number: [line["exact_price"] or line["unit_price"] for line in data["lines"]]
        for number, data in documents(data_dir).items()
    }


def run(data_dir: Path, path: Path, lines: list[str], *options: str, end: str = "\n") -> Account:
    return import_invoices(data_dir, write(path, lines, end=end), options=options)


def test_accounting_negatives_and_currency_signs_are_read(data_dir: Path, tmp_path: Path) -> None:
    texts = ["(12.50)", "12.50-", "$12.50", "\u221212.50"]
    rows = [invoice_row(f"70006{n}", quantity="1", price=text) for n, text in enumerate(texts, 1)]
    account = run(data_dir, tmp_path / "f.csv", [HEADER, *rows])
    assert (account.exit_code, account["accepted"]) == (0, 4)
    assert [str(price) for [price] in prices(data_dir).values()] == ["-12.5000", "-12.5000", "12.5000", "-12.5000"]
    assert [data["currency"] for data in documents(data_dir).values()] == ["GBP", "GBP", "USD", "GBP"]
    assert "amounts like $12.50 are taken as USD; --currency says otherwise" in account.output


def test_amount_in_another_currency_than_told_is_refused(data_dir: Path, tmp_path: Path) -> None:
    rows = [invoice_row("1", price="\u20ac5"), invoice_row("2", price="$5"), invoice_row("3", price="5 CAD")]
    account = run(data_dir, tmp_path / "f.csv", [HEADER, *rows], "--currency", "CAD")
    assert (account["accepted"], account["refused"]) == (2, 1)
    assert "UnitPrice is in another currency: '\u20ac5' where CAD is said" in refused_rows(tmp_path / "f.csv")[1][1]


def test_cloud_prices_are_exact_from_the_file_to_the_log(data_dir: Path, tmp_path: Path) -> None:
    rows = [
        invoice_row("CLOUD-1", product="egress", quantity="1250.5", price="0.0000166667"),
        invoice_row("CLOUD-1", product="vm", quantity="744", price="0.0416"),
    ]
    assert run(data_dir, tmp_path / "f.csv", [HEADER, *rows]).exit_code == 0
    assert prices(data_dir) == {"CLOUD-1": [Decimal("0.0000166667"), Decimal("0.0416")]}
    assert documents(data_dir)["CLOUD-1"]["exact_total"] == Decimal("30.97124170835")


def test_what_may_be_thousands_is_refused_until_the_format_is_told(data_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    rows = [invoice_row("7301", quantity="1", price='"12,50"'), invoice_row("7302", quantity="1", price="1.000")]
    account = run(data_dir, path, [HEADER, *rows])
    assert dict(account) == counts(accepted=1, refused=1)
    assert f"UnitPrice may be read in two ways (first: {path}, line 3)" in account.output
    assert "the file writes '12,50' in line 2; add --decimal . or --decimal ," in refused_rows(path)[1][1]
    assert dict(import_invoices(data_dir, path, options=["--decimal", ","])) == counts(accepted=1, repeated=1)
    assert prices(data_dir) == {"7301": [Decimal("12.5")], "7302": [Decimal(1000)]}


def test_files_with_other_columns_and_delimiters_are_read(data_dir: Path, tmp_path: Path) -> None:
    semicolons = [HEADER.replace(",", ";"), "700051;A;Server;1;2026-03-04 10:00:00;12,50;91003;Germany"]
    assert run(data_dir, tmp_path / "a.csv", semicolons).exit_code == 0
    assert run(data_dir, tmp_path / "b.csv", ["sep=,", HEADER, invoice_row("SEP-1")]).exit_code == 0
    ours = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country"
    row = "700021,85A,LANTERN,12,2009-12-01 07:45:00,6.95,13085.0,United Kingdom"
    assert run(data_dir, tmp_path / "c.csv", [ours, row]).exit_code == 0
    german = ["Beleg|Menge|Datum|Preis|Kunde", "R-1|2|04.03.2026|1.234,50|K 1"]
    names = {"InvoiceNo": "Beleg", "Quantity": "Menge", "InvoiceDate": "Datum", "UnitPrice": "Preis"}
    names |= {"CustomerID": "Kunde", "StockCode": "", "Description": "", "Country": ""}
    options = [option for name, column in names.items() for option in ("--columns", f"{name}={column}")]
    options += ["--date-format", "%d.%m.%Y", "--timezone", "Europe/Berlin", "--currency", "EUR"]
    assert run(data_dir, tmp_path / "d.csv", german, *options).exit_code == 0
    assert prices(data_dir) == {
        "700051": [Decimal("12.5")],
        "SEP-1": [Decimal("2.55")],
        "700021": [Decimal("6.95")],
        "R-1": [Decimal("1234.5")],
    }
    found = documents(data_dir)
    assert (found["700021"]["party"], found["R-1"]["currency"]) == ("13085", "EUR")
    assert found["R-1"]["issue_date"].isoformat() == "2026-03-03T23:00:00+00:00"


def test_a_last_row_without_a_line_end_is_taken_and_told(data_dir: Path, tmp_path: Path) -> None:
    account = run(data_dir, tmp_path / "f.csv", [HEADER, ROW], end="")
    assert dict(account) == counts(accepted=1)
    assert f"{tmp_path}/f.csv does not end with a line end: its last row is taken as it is" in account.output


def test_the_kind_is_what_the_column_the_option_or_the_rule_says(data_dir: Path, tmp_path: Path) -> None:
    rows = [invoice_row("CONS-2026-001"), invoice_row("C1001"), invoice_row("CN-2026-001", quantity="1")]
    account = run(data_dir, tmp_path / "a.csv", [HEADER, *rows])
    assert dict(account) == counts(accepted=2, refused=1)
    reason = refused_rows(tmp_path / "a.csv")[1][1]
    assert reason.startswith("the number looks like that of a credit note: 'CN-2026-001'; say what it is")
    assert run(data_dir, tmp_path / "a.csv", [HEADER, *rows], "--kind", "credit_note=CN-*").exit_code == 0
    marked = [f"{HEADER},Kind,Currency", f"{invoice_row('1')},Credit Note,eur", f"{invoice_row('2')},,USD"]
    marked += [f"{invoice_row('1')},,"]
    assert run(data_dir, tmp_path / "b.csv", marked, "--kind", "invoice").exit_code == 0
    assert {number: (data["kind"], data["currency"]) for number, data in documents(data_dir).items()} == {
        "CONS-2026-001": ("invoice", "GBP"),
        "C1001": ("invoice", "GBP"),
        "CN-2026-001": ("credit_note", "GBP"),
        "1": ("credit_note", "EUR"),
        "2": ("invoice", "USD"),
    }
    wrong = [f"{HEADER},Kind", f"{invoice_row('3')},hardware"]
    assert dict(run(data_dir, tmp_path / "c.csv", wrong)) == counts(refused=1)
    assert dict(run(data_dir, tmp_path / "c.csv", wrong, "--columns", "Kind=")) == counts(accepted=1)


def test_an_invoice_may_be_spread_over_the_files_of_one_call(data_dir: Path, tmp_path: Path) -> None:
    a = write(tmp_path / "a.csv", [HEADER, invoice_row("1", product="a"), invoice_row("2"), invoice_row("3")])
    b = write(tmp_path / "b.csv", [HEADER.replace(",", ";"), invoice_row("1", product="b").replace(",", ";")])
    c = write(tmp_path / "c.csv", [HEADER, invoice_row("3", price="x")])
    account = import_invoices(data_dir, a, b, c)
    assert dict(account) == counts(accepted=3, refused=2)
    assert {number: len(data["lines"]) for number, data in documents(data_dir).items()} == {"1": 2, "2": 1}
    assert refused_rows(a)[1][:2] == ["4", f"another row of the same invoice is refused: {c}, line 2"]
    assert refused_rows(c)[1][0] == "2"
    assert "documents new: 2 invoices" in account.output


def test_files_that_say_the_same_invoice_twice_make_it_once(data_dir: Path, tmp_path: Path) -> None:
    rows = [invoice_row("1", product="a"), invoice_row("1", product="b"), invoice_row("2")]
    a = write(tmp_path / "a.csv", [HEADER, *rows])
    b = write(tmp_path / "b.csv", [HEADER, *reversed(rows[:2]), invoice_row("3")])
    assert dict(import_invoices(data_dir, a, b, a)) == counts(accepted=4, repeated=2)
    assert {number: len(data["lines"]) for number, data in documents(data_dir).items()} == {"1": 2, "2": 1, "3": 1}
    assert dict(import_invoices(data_dir, b, a)) == counts(repeated=6)


def test_the_same_invoice_is_a_repeat_in_another_order_and_from_another_key(data_dir: Path, tmp_path: Path) -> None:
    rows = [invoice_row("1", product="a"), invoice_row("1", product="b", at="2010-12-01 09:00:00")]
    path = write(tmp_path / "f.csv", [HEADER, *rows])
    [item] = taken(invoices(path))
    ann = Actor(ActorType.API_KEY, "ann")
    with Embedded.open(data_dir) as embedded:
        by_ann = Submission("by-ann", DEMO_TENANT, "finance.ReceiveInvoice", item.command, ann)
        assert embedded.writer.write([by_ann])[0].events
    assert dict(import_invoices(data_dir, path)) == counts(repeated=2)
    assert dict(run(data_dir, path, [HEADER, *reversed(rows)])) == counts(repeated=2)
    assert len(documents(data_dir)) == 1


def test_a_wrongly_taken_invoice_is_corrected_with_the_right_file(data_dir: Path, tmp_path: Path) -> None:
    wrong, right = [HEADER, ROW], [HEADER, ROW.replace("12.50", "13.50"), invoice_row("2")]
    path = tmp_path / "f.csv"
    assert dict(run(data_dir, path, wrong)) == counts(accepted=1)
    refused = run(data_dir, path, right)
    assert dict(refused) == counts(accepted=1, refused=1)
    assert "recorded already, with other content" in refused.output
    corrected = run(data_dir, path, right, "--correct")
    assert dict(corrected) == counts(accepted=1, repeated=1)
    assert "documents corrected: 1 invoice" in corrected.output
    [event] = documents(data_dir, "invoice.corrected").values()
    assert (event["reason"], event["total"]) == ("import of f.csv", Decimal(27))
    # a refusal of before is not repeated where it is not true any more
    assert dict(run(data_dir, path, right)) == counts(repeated=2)
    # back and forth, each time anew
    for lines, changed in ((wrong, 1), (wrong, 0), (right[:2], 1), (wrong, 1)):
        assert dict(run(data_dir, path, lines, "--correct")) == counts(accepted=changed, repeated=1 - changed)


def test_a_check_says_all_that_the_import_would_do_and_writes_nothing(data_dir: Path, tmp_path: Path) -> None:
    run(data_dir, tmp_path / "f.csv", [HEADER, invoice_row("1"), invoice_row("2")])
    before = documents(data_dir)
    path = tmp_path / "g.csv"
    rows = [invoice_row("1"), invoice_row("2", price="9"), invoice_row("3", price="x"), invoice_row("4", quantity="2")]
    account = run(data_dir, path, [HEADER, *rows], "--check")
    assert (account.exit_code, dict(account)) == (1, counts(accepted=1, repeated=1, refused=2))
    for said in (
        f"{path}: a comma between the columns InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice,",
        "amounts with decimal .",
        "checked only, nothing is written; an import would give:",
        "documents new: 1 invoice",
        "sum of those new or corrected, as their lines say: 5.1000 GBP",
        "recorded already, with other content",
        f"UnitPrice is not a finite number (first: {path}, line 4)",
        "UnitPrice is not a finite number: 'x'; the file writes '2.55' in line 2; write it so",
    ):
        assert said in account.output
    assert documents(data_dir) == before
    assert not Path(f"{path}.refused.csv").exists()
    assert "documents corrected: 1 invoice" in run(data_dir, path, [HEADER, *rows], "--check", "--correct").output
    assert not documents(data_dir, "invoice.corrected")


def test_a_check_needs_no_server(tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", [HEADER, invoice_row()])
    account = factline("invoices", path, "--tenant", "demo", "--check")
    assert (account.exit_code, dict(account)) == (0, counts(accepted=1))
    assert "no server is asked, because FACTLINE_API_KEY is not set" in account.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--columns", "Preis"], "'Preis' is not NAME=HEADER with a NAME of InvoiceNo, "),
        (["--columns", "Price=x"], "is not NAME=HEADER"),
        (["--columns", "UnitPrice="], "UnitPrice is needed; say which column it is: --columns UnitPrice=HEADER"),
        (["--delimiter", "ab"], "'ab' is not one of comma, semicolon, tab"),
        (["--decimal", "x"], "'x' is not one of point, dot, comma"),
        (["--decimal", ",", "--thousands", "comma"], "--decimal and --thousands must not be the same"),
        (["--date-format", "%d.%m."], "'%d.%m.' does not say day, month and year"),
        (["--date-format", "DD.MM.YYYY"], "write it like %d.%m.%Y %H:%M"),
        (["--timezone", "Berlin"], "Invalid value for '--timezone'"),
        (["--kind", "bill"], "'bill' is not one of invoice, credit_note, online-retail or credit_note=PATTERN"),
    ],
)
def test_a_mistake_in_an_option_says_what_to_write(options: list[str], said: str) -> None:
    account = factline("invoices", "f.csv", "--tenant", "demo", *options)
    assert account.exit_code == 2
    assert said in " ".join(account.output.split())
