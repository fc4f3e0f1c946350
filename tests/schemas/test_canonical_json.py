"""The same payload is the same text: exact amounts, instants in UTC, names in order."""

from domain.catalog import EVENTS
from schemas.canonical_json import canonical_json
from tests.examples import EVENTS as EXAMPLES
from tests.examples import stored

RECEIVED = stored(EXAMPLES[EVENTS["invoice.received"]])


def test_amounts_are_text_with_all_the_decimals_of_their_schema() -> None:
    read = canonical_json(RECEIVED)
    assert '"net":"13.60495000"' in read
    assert '"quantity":"6.0000"' in read
    assert '"unit_price":"2.5500"' in read


def test_instants_are_text_in_utc() -> None:
    assert '"issue_date":"2010-12-01T08:26:00Z"' in canonical_json(RECEIVED)


def test_order_of_the_names_makes_no_difference() -> None:
    assert canonical_json(dict(reversed(RECEIVED.items()))) == canonical_json(RECEIVED)
