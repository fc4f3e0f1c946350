"""Which instances of processes can be told to try again."""

from domain.finance.amount_watch import AMOUNT_WATCH
from domain.finance.invoice import invoice_id, invoice_stream
from domain.message import adapter
from domain.operations.retry import RetryProcess


def test_the_longest_instance_can_be_named() -> None:
    longest = AMOUNT_WATCH.stream(invoice_stream(invoice_id("\u4e2d" * 100, "\U0001f389" * 64, "in")))
    assert adapter(RetryProcess).validate_python({"process": longest}).process == longest
