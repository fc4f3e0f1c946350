"""Invoices over HTTP, from the command to every view that shows them."""

from collections.abc import Mapping
from typing import Any

from tests.end_to_end.conftest import Server

INVOICE: Mapping[str, Any] = {"currency": "EUR", "issue_date": "2026-01-23T10:00:00Z", "country": "Germany"}
CLOUD = (
    {"product": "egress", "description": "GB-hours\nof January", "quantity": "1250.5", "unit_price": "0.0000166667"},
    {"product": "vm", "description": "VM hours", "quantity": "744", "unit_price": "0.0416"},
)


class Books:
    """The documents of one party; each test has a party and a month of its own."""

    def __init__(self, server: Server, party: str) -> None:
        self._server = server
        self._party = party
        self._token = ""

    def do(self, name: str, number: str, **body: Any) -> Mapping[str, Any]:
        with self._server.client() as client:
            body = {"number": number, "party": self._party, **body}
            answer = client.post(f"/v1/commands/finance/{name}", json=body)
        reply: Mapping[str, Any] = answer.json()
        if answer.is_success:
            self._token = reply["position"]["token"]
        return reply

    def receive(self, number: str, *lines: Mapping[str, str], **more: Any) -> None:
        self.do("ReceiveInvoice", number, **{**INVOICE, "direction": "out", "lines": lines, **more})

    def ask(self, path: str, **query: Any) -> list[Mapping[str, Any]]:
        with self._server.client() as client:
            answer = client.get(path, params=query, headers={"X-Consistent-With": self._token})
        rows: list[Mapping[str, Any]] = answer.raise_for_status().json()["rows"]
        return rows

    def revenue(self, month: str) -> Mapping[str, Any]:
        (row,) = self.ask("/v1/analytics/revenue", by="month", start=f"2026-{month}-01T00:00:00Z", limit=1)
        return row


def test_cloud_invoice_is_shown_paid_and_summed_exactly(server: Server) -> None:
    books = Books(server, "92005")
    books.receive("CLOUD-1", *CLOUD)
    (shown,) = books.ask("/v1/invoices/92005:CLOUD-1")
    assert (shown["total"], shown["kind"]) == ("30.97124170835", "invoice")
    assert books.revenue("01")["revenue"] == "30.97124170835"
    payment = {"payment_id": "p", "amount": shown["total"], "method": "card"}
    refused = books.do("RecordPayment", "CLOUD-1", **payment, currency="USD")
    assert refused["detail"] == "payment p is in USD, but invoice CLOUD-1 of party 92005 is in EUR"
    books.do("RecordPayment", "CLOUD-1", **payment, currency="EUR")
    (shown,) = books.ask("/v1/invoices/92005:CLOUD-1")
    assert (shown["status"], shown["paid_total"]) == ("PAID", "30.97124170835")


def test_correction_replaces_the_lines_in_every_view(server: Server) -> None:
    books = Books(server, "92006")
    march = {"issue_date": "2026-03-02T10:00:00Z"}
    line = {"product": "a", "quantity": "2", "unit_price": "10"}
    books.receive("7", line, line, line, **march, due_date="2999-04-01T00:00:00Z")
    assert books.revenue("03")["revenue"] == "60.0000"
    content = {**INVOICE, **march, "lines": [{**line, "quantity": "3"}]}
    books.do("CorrectInvoice", "7", **content, reason="lines of another customer")
    assert [books.revenue("03")[name] for name in ("revenue", "lines", "invoices")] == ["30.0000", 1, 1]
    (shown,) = books.ask("/v1/invoices/92006:7")
    names = ("total", "line_count", "due_date", "status_reason")
    assert [shown[name] for name in names] == ["30.0000", 1, None, "lines of another customer"]
    (_, corrected) = books.ask("/v1/audit/streams/invoice-92006:7")
    assert (corrected["type"], corrected["data"]["replaced_lines"]) == ("invoice.corrected", 3)


def test_documents_of_both_directions_with_one_number_are_two(server: Server) -> None:
    books = Books(server, "92007")
    for direction in ("out", "in"):
        books.receive("5", {"product": "a", "quantity": "1", "unit_price": "1"}, direction=direction)
    books.do("ApproveInvoice", "5", direction="in")
    shown = {row["id"]: row["status"] for row in books.ask("/v1/invoices", party="92007")}
    assert shown == {"92007:5": "RECEIVED", "in:92007:5": "APPROVED"}
