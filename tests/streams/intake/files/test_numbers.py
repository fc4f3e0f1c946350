"""Amounts as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.intake.files.cells import BadCell
from streams.intake.files.numbers import Evidence, Style, amount, currencies_of, style_told

POINTS = Style(".", shows="'2.55' in line 2")
COMMAS = Style(",", shows="'2,55' in line 2")
BOTH = Style(".", shows="'2.55' in line 2", other="'2,55' in line 3")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("12.50", "12.5"),
        ("(12.50)", "-12.5"),
        ("12.50-", "-12.5"),
        ("\u221212.50", "-12.5"),
        ("$12.50", "12.5"),
        ("-$12.50", "-12.5"),
        ("$-12.50", "-12.5"),
        ("($12.50)", "-12.5"),
        ("12.50 \u20ac", "12.5"),
        ("EUR 12.50", "12.5"),
        ("12.50 CHF-", "-12.5"),
        ("1'234.50", "1234.5"),
        ("1\u2019234'567.50", "1234567.5"),
        ("1 234.50", "1234.5"),
        ("1\u00a0234.50", "1234.5"),
        ("1\u202f234", "1234"),
        ("1,234.50", "1234.5"),
        ("12,34,567.80", "1234567.8"),
        ("0.0000166667", "0.0000166667"),
        ("1.000", "1"),
        ("0.125", "0.125"),
        ("-0.0", "0"),
        ("+5", "5"),
        (".5", "0.5"),
        ("5.", "5"),
    ],
)
def test_amount_is_read_where_the_file_writes_decimal_points(text: str, read: str) -> None:
    assert amount("UnitPrice", text, POINTS) == read
    turned = text.translate(str.maketrans(".,", ",."))
    if not text.endswith("."):
        assert amount("UnitPrice", turned, COMMAS) == read


@pytest.mark.parametrize(
    ("text", "style"),
    [("1.000", COMMAS), ("1,000", POINTS), ("1.000", BOTH), ("1,000", BOTH), ("1.000", Style()), ("1,000", Style())],
)
def test_amount_that_may_be_read_in_two_ways_is_refused_until_told(text: str, style: Style) -> None:
    with pytest.raises(BadCell, match=r"may be read in two ways: '1.000'; .*; add --decimal \. or --decimal ,"):
        amount("UnitPrice", text, style)
    told = style_told(",", None)
    assert told is not None
    assert amount("UnitPrice", text, told) == ("1000" if text == "1.000" else "1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "()",
        "nan",
        "--5",
        "(-5)",
        "5--",
        "\u0663",
        "1.2.3",
        "12 34",
        "1,2,3",
        "12,50.00",
        "$5\u20ac",
        "5 %",
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    for style in (POINTS, COMMAS, BOTH, Style()):
        with pytest.raises(BadCell, match="UnitPrice is not a finite number"):
            amount("UnitPrice", text, style)


@pytest.mark.parametrize("text", ["1e3", "1.66667E-05", "-1,5E+11"])
def test_power_of_ten_of_a_spreadsheet_is_refused_because_it_lacks_digits(text: str) -> None:
    with pytest.raises(BadCell, match=r"UnitPrice is written with a power of ten: .* write them all"):
        amount("UnitPrice", text, POINTS)


def test_amount_that_is_written_otherwise_than_the_file_is_refused() -> None:
    with pytest.raises(BadCell, match=r"the file writes '2.55' in line 2; write it so"):
        amount("UnitPrice", "12,50", POINTS)
    with pytest.raises(BadCell, match=r"the file writes '2,55' in line 2; write it so"):
        amount("UnitPrice", "12.50", COMMAS)
    with pytest.raises(BadCell, match="write a decimal point, and no commas"):
        amount("UnitPrice", "12,50", BOTH)
    assert amount("UnitPrice", "12.50", BOTH) == "12.5"


@pytest.mark.parametrize(
    ("decimal", "thousands", "text", "read"),
    [
        (",", None, "1.000", "1000"),
        (".", None, "1,000", "1000"),
        (None, ".", "1.000", "1000"),
        (None, ",", "1,000", "1000"),
        (",", " ", "1 000,5", "1000.5"),
    ],
)
def test_told_style_is_followed(decimal: str | None, thousands: str | None, text: str, read: str) -> None:
    style = style_told(decimal, thousands)
    assert style is not None
    assert amount("UnitPrice", text, style) == read


def test_other_thousands_than_told_are_refused() -> None:
    with pytest.raises(BadCell, match="--decimal says ,"):
        amount("UnitPrice", "1.000", Style(",", " ", told=True))


@pytest.mark.parametrize(
    ("texts", "decimal", "other"),
    [
        (["1", "1.000"], ".", False),
        (["12,50", "1.000"], ",", False),
        (["1.000.000"], ",", False),
        (["1.234,50"], ",", False),
        (["12.50", "1,000"], ".", False),
        (["12,50", "12.50"], ".", True),
        (["1'000", "x"], ".", False),
    ],
)
def test_file_shows_how_it_writes_amounts(texts: list[str], decimal: str, other: object) -> None:
    evidence = Evidence()
    for line, text in enumerate(texts, 2):
        evidence.see(text, line)
    style = evidence.style()
    assert (style.decimal, bool(style.other)) == (decimal, other)


def test_thousands_that_are_told_are_no_decimals() -> None:
    evidence = Evidence("'")
    evidence.see("1.000", 2)
    assert evidence.style().shows == "'1.000' in line 2"
    assert amount("UnitPrice", "1.000", evidence.style()) == "1"


def test_sign_says_the_currencies_that_it_may_mean() -> None:
    assert currencies_of("12.50 \u20ac") == ("EUR",)
    assert currencies_of("($5)")[:2] == ("USD", "AUD")
    assert currencies_of("CHF 5") == ("CHF",)
    assert currencies_of("12.50") == currencies_of("x") == ()


@given(
    whole=st.integers(0, 10**12), decimals=st.from_regex(r"[0-9]{0,6}", fullmatch=True), between=st.sampled_from(",.' ")
)
def test_amount_of_any_size_is_read_exactly(whole: int, decimals: str, between: str) -> None:
    decimal = "," if between == "." else "."
    text = f"{whole:,}".replace(",", between) + (decimal + decimals if decimals else "")
    style = style_told(decimal, None)
    assert style is not None
    expected = f"{whole}.{decimals}".rstrip("0").rstrip(".") if decimals.strip("0") else str(whole)
    assert amount("UnitPrice", text, style) == expected
