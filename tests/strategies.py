"""Random commands and facts over a few streams, so that most of them meet a state."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from hypothesis import strategies as st

from domain.finance.invoice import (
    ApproveInvoice,
    CancelInvoice,
    CategoriseInvoice,
    DisputeInvoice,
    LineItem,
    ReceiveInvoice,
    RecordPayment,
    RefundPayment,
    RejectInvoice,
)
from domain.fleet.alert import AcknowledgeAlert, RaiseAlert, ResolveAlert
from domain.fleet.device import ChangeDeviceStatus, DeviceStatus, RegisterDevice, RetireDevice, TagDevice, UpdateDevice
from domain.fleet.facts import DeviceHeartbeat, DeviceMetricsReported, LogRecorded
from domain.fleet.rules import Failures, RateOfChange, Threshold
from domain.fleet.watch import DefineWatch, RemoveWatch
from domain.identity.api_key import IssueApiKey, RevokeApiKey, RotateApiKey
from domain.message import Command
from streams.ports import FactSubmission

BEGAN_AT = datetime(2026, 1, 31, tzinfo=UTC)


class Messages(NamedTuple):
    commands: st.SearchStrategy[Command]
    facts: st.SearchStrategy[list[FactSubmission]]


def messages(mark: str = "x") -> Messages:
    """Return what one tenant may send; every id and text of it holds the mark."""
    ids = st.sampled_from([f"{mark}-1", f"{mark}-2"])
    texts = st.sampled_from([f"{mark}", f"{mark} ü €", f"{mark}'\"%_\\", f"{mark} " + "long " * 20])
    maybe = st.none() | texts
    moments = st.integers(0, 3_000_000).map(lambda seconds: BEGAN_AT + timedelta(seconds=seconds))
    amounts = st.decimals(Decimal(-10_000), Decimal(10_000), places=4)
    invoice: dict[str, Any] = {"number": st.sampled_from([f"{mark}-1", f"C{mark}-2"]), "party": texts.map(_line)}
    lines = st.builds(LineItem, product=texts, quantity=amounts, unit_price=amounts, dated_at=st.none() | moments)
    keys: dict[str, Any] = {"key_id": ids, "secret_sha256": st.sampled_from(["a1" * 32, "b2" * 32])}
    readings = st.floats(allow_nan=False, allow_infinity=False)
    rules: st.SearchStrategy[Any] = st.one_of(
        st.builds(Threshold, metric=texts, above=readings),
        st.builds(RateOfChange, metric=texts, by=st.just(1.0), within_s=st.just(600)),
        st.builds(
            Failures, contains=st.just(mark), key_after=st.none() | texts, count=st.just(2), within_s=st.just(60)
        ),
    )
    commands: st.SearchStrategy[Any] = st.one_of(
        st.builds(RegisterDevice, device_id=ids, hostname=texts, os_type=maybe),
        st.builds(RegisterDevice, device_id=ids, hostname=texts),
        st.builds(UpdateDevice, device_id=ids, hostname=maybe, os_version=maybe),
        st.builds(TagDevice, device_id=ids, key=st.sampled_from(["room", "site"]), value=texts),
        st.builds(ChangeDeviceStatus, device_id=ids, status=st.sampled_from(DeviceStatus), reason=texts),
        st.builds(RetireDevice, device_id=ids),
        st.builds(RaiseAlert, alert_id=ids, severity=st.just("warning"), rule=texts, device_id=ids, value=readings),
        st.builds(AcknowledgeAlert, alert_id=ids, note=texts),
        st.builds(ResolveAlert, alert_id=ids, note=texts),
        st.builds(
            DefineWatch, watch_id=ids, name=texts, severity=st.just("info"), rule=rules, device_id=st.none() | ids
        ),
        st.builds(RemoveWatch, watch_id=ids, reason=texts),
        st.builds(
            ReceiveInvoice,
            **invoice,
            direction=st.sampled_from(["in", "out"]),
            issue_date=moments,
            lines=st.lists(lines, min_size=1, max_size=3).map(tuple),
            currency=st.sampled_from(["GBP", "EUR"]),
            tax=amounts,
            country=texts,
        ),
        st.builds(CategoriseInvoice, **invoice, category=texts),
        st.builds(ApproveInvoice, **invoice, note=texts),
        st.builds(RejectInvoice, **invoice, reason=texts),
        st.builds(CancelInvoice, **invoice, reason=texts),
        st.builds(DisputeInvoice, **invoice, reason=texts),
        st.builds(RecordPayment, **invoice, payment_id=ids, amount=amounts.map(_paid), method=texts),
        st.builds(RefundPayment, **invoice, payment_id=ids, reason=texts),
        st.builds(IssueApiKey, **keys, scopes=st.just(("*",)), name=maybe),
        st.builds(RotateApiKey, **keys),
        st.builds(RevokeApiKey, key_id=ids, reason=texts),
    )
    kinds: st.SearchStrategy[Any] = st.one_of(
        st.builds(DeviceHeartbeat, agent_version=maybe),
        st.builds(DeviceMetricsReported, metrics=st.dictionaries(texts, readings, min_size=1, max_size=2)),
        st.builds(LogRecorded, severity=st.just("error"), summary=texts, details=texts, device_id=st.none() | ids),
    )
    fact_ids = st.none() | st.sampled_from([f"{mark}-{n}" for n in range(3)])
    facts = st.lists(st.builds(FactSubmission, ids, moments, kinds, fact_ids), min_size=1, max_size=5)
    return Messages(commands, facts)


def _line(text: str) -> str:
    return text[:100]


def _paid(amount: Decimal) -> Decimal:
    return abs(amount) + 1
