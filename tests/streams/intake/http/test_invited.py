"""Two addresses are the same, or only look alike."""

import pytest

from streams.intake.http.invited import is_same_address


def test_addresses_are_the_same_in_capital_letters() -> None:
    assert is_same_address("Ann@Acme.example", "ann@acme.EXAMPLE")
    assert is_same_address("jürgen@acme.example", "jürgen@acme.example")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # the sign for kelvin and an i without a dot become letters of ASCII, one way or the other
        ("mi\N{KELVIN SIGN}e@acme.example", "mike@acme.example"),
        ("m\N{LATIN SMALL LETTER DOTLESS I}ke@acme.example", "MIKE@acme.example"),
        ("ann@acme.example ", "ann@acme.example"),
        ("ann@acme.example", "anna@acme.example"),
        ("None", ""),
    ],
)
def test_addresses_that_look_alike_are_two(one: str, other: str) -> None:
    assert not is_same_address(one, other)
    assert not is_same_address(other, one)
