"""One valid example of every command, event and fact, and the envelopes they come in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from domain.catalog import DECIDERS, payload_of
from domain.finance.commands import (
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
from domain.finance.events import (
    InvoiceApproved,
    InvoiceCancelled,
    InvoiceCategorised,
    InvoiceDisputed,
    InvoiceLine,
    InvoiceReceived,
    InvoiceRejected,
    PaymentRecorded,
    PaymentRefunded,
)
from domain.fleet.commands import (
    AcknowledgeAlert,
    ChangeDeviceStatus,
    DefineWatch,
    RaiseAlert,
    RegisterDevice,
    RemoveWatch,
    ResolveAlert,
    RetireDevice,
    TagDevice,
    UpdateDevice,
)
from domain.fleet.events import (
    AlertAcknowledged,
    AlertRaised,
    AlertResolved,
    DeviceRegistered,
    DeviceRetired,
    DeviceStatusChanged,
    DeviceTagged,
    DeviceUpdated,
    WatchDefined,
    WatchRemoved,
)
from domain.fleet.facts import DeviceHeartbeat, DeviceMetricsReported, LogRecorded
from domain.fleet.rules import Threshold
from domain.fleet.state import DeviceStatus
from domain.identity.commands import (
    CloseTenant,
    IssueApiKey,
    RegisterTenant,
    RevokeApiKey,
    RotateApiKey,
    SuspendTenant,
)
from domain.identity.events import (
    ApiKeyIssued,
    ApiKeyRevoked,
    ApiKeyRotated,
    TenantClosed,
    TenantRegistered,
    TenantSuspended,
)
from domain.message import Command, Event, Fact
from schemas.envelope import Actor, ActorType, Envelope, StreamId, TenantId, Topic
from schemas.payload import decode_payload, encode_payload

ACME = TenantId("acme")
HAPPENED_AT = datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
RECORDED_AT = datetime(2026, 1, 31, 8, 30, 0, 250_000, tzinfo=UTC)
SHA_1, SHA_2 = "a1" * 32, "b2" * 32

# --- commands -------------------------------------------------------------------------------------------------------

REGISTER_TENANT = RegisterTenant(tenant_id="acme", name="Acme", domain="acme.example", owner_id="ann")
SUSPEND_TENANT = SuspendTenant(tenant_id="acme", reason="unpaid")
CLOSE_TENANT = CloseTenant(tenant_id="acme", reason="moved away")
ISSUE_KEY = IssueApiKey(key_id="k1", secret_sha256=SHA_1, scopes=("devices:read", "commands:write"), name="ci")
ROTATE_KEY = RotateApiKey(key_id="k1", secret_sha256=SHA_2)
REVOKE_KEY = RevokeApiKey(key_id="k1", reason="leaked")

DESCRIPTION: Mapping[str, Any] = {
    "os_type": "linux",
    "os_version": "12",
    "device_type": "server",
    "serial": "SN-1",
    "manufacturer": "Dell",
    "model": "R640",
    "ip": "192.0.2.7",
    "mac": "02:00:5e:10:00:07",
    "agent_version": "1.4.2",
    "organization_id": "org-1",
}
REGISTER_DEVICE = RegisterDevice(device_id="42", hostname="web-1", **DESCRIPTION)
UPDATE_DEVICE = UpdateDevice(device_id="42", os_version="13", hostname="web-1")
TAG_DEVICE = TagDevice(device_id="42", key="site", value="Berlin")
CHANGE_STATUS = ChangeDeviceStatus(device_id="42", status=DeviceStatus.ONLINE, reason="first heartbeat")
RETIRE_DEVICE = RetireDevice(device_id="42", reason="replaced")
RAISE_ALERT = RaiseAlert(
    alert_id="a1", severity="warning", rule="cpu high", device_id="42", value=97.5, threshold=90.0, window=300
)
ACKNOWLEDGE_ALERT = AcknowledgeAlert(alert_id="a1", note="looking")
RESOLVE_ALERT = ResolveAlert(alert_id="a1", note="restarted")
DEFINE_WATCH = DefineWatch(
    watch_id="w1",
    name="cpu high",
    severity="warning",
    rule=Threshold(metric="cpu.load", above=90.0, clear=80.0, for_s=300),
    device_id="42",
    quiet_s=600,
)
REMOVE_WATCH = RemoveWatch(watch_id="w1", reason="too loud")

RECEIVE_INVOICE = ReceiveInvoice(
    number="536365",
    party="17850",
    direction="out",
    issue_date=HAPPENED_AT,
    due_date=datetime(2010, 12, 31, tzinfo=UTC),
    lines=(
        LineItem(
            product="85123A",
            description="WHITE HANGING HEART T-LIGHT HOLDER",
            quantity=Decimal(6),
            unit_price=Decimal("2.55"),
        ),
        LineItem(product="71053", quantity=Decimal("-0.5"), unit_price=Decimal("3.3901"), dated_at=RECORDED_AT),
    ),
    tax=Decimal("2.72"),
    currency="GBP",
    country="United Kingdom",
)
INVOICE: Mapping[str, Any] = {"number": "536365", "party": "17850"}
CATEGORISE_INVOICE = CategoriseInvoice(**INVOICE, category="sales", by="rule 7")
APPROVE_INVOICE = ApproveInvoice(**INVOICE, note="checked")
REJECT_INVOICE = RejectInvoice(**INVOICE, reason="not ours")
CANCEL_INVOICE = CancelInvoice(**INVOICE, reason="written twice")
DISPUTE_INVOICE = DisputeInvoice(**INVOICE, reason="wrong price")
RECORD_PAYMENT = RecordPayment(
    **INVOICE, payment_id="p1", amount=Decimal("10.00"), method="bank transfer", reference="GB-1"
)
REFUND_PAYMENT = RefundPayment(**INVOICE, payment_id="p1", reason="returned")

# --- events ---------------------------------------------------------------------------------------------------------

TENANT_REGISTERED = TenantRegistered(name="Acme", domain="acme.example", owner_id="ann")
TENANT_SUSPENDED = TenantSuspended(reason="unpaid")
TENANT_CLOSED = TenantClosed(reason="moved away")
KEY_ISSUED = ApiKeyIssued(
    key_id="k1", prefix="ak_k1", secret_sha256=SHA_1, scopes=("devices:read", "commands:write"), name="ci"
)
KEY_ROTATED = ApiKeyRotated(key_id="k1", secret_sha256=SHA_2)
KEY_REVOKED = ApiKeyRevoked(key_id="k1", reason="leaked")

REGISTERED = DeviceRegistered(hostname="web-1", **DESCRIPTION)
UPDATED = DeviceUpdated(**{**dict.fromkeys(DESCRIPTION), "hostname": None, "os_version": "13"})
TAGGED = DeviceTagged(key="site", value="Berlin")
STATUS_CHANGED = DeviceStatusChanged(from_status="PENDING", to_status="ONLINE", reason="first heartbeat")
RETIRED = DeviceRetired(reason="replaced")
ALERT_RAISED = AlertRaised(severity="warning", rule="cpu high", device_id="42", value=97.5, threshold=90.0, window=300)
ALERT_ACKNOWLEDGED = AlertAcknowledged(note="looking")
ALERT_RESOLVED = AlertResolved(note="restarted")
WATCH_DEFINED = WatchDefined(
    name="cpu high",
    severity="warning",
    device_id="42",
    quiet_s=600,
    kind="threshold",
    metric="cpu.load",
    above=90.0,
    below=None,
    clear=80.0,
    for_s=300,
    by=None,
    within_s=None,
    contains=None,
    key_after=None,
    count=None,
    quantile=None,
)
WATCH_REMOVED = WatchRemoved(reason="too loud")

RECEIVED = InvoiceReceived(
    number="536365",
    kind="invoice",
    party="17850",
    direction="out",
    issue_date=HAPPENED_AT,
    due_date=datetime(2010, 12, 31, tzinfo=UTC),
    lines=(
        InvoiceLine(
            product="85123A",
            description="WHITE HANGING HEART T-LIGHT HOLDER",
            quantity=Decimal(6),
            unit_price=Decimal("2.55"),
            dated_at=None,
        ),
        InvoiceLine(
            product="71053",
            description="",
            quantity=Decimal("-0.5"),
            unit_price=Decimal("3.3901"),
            dated_at=RECORDED_AT,
        ),
    ),
    net=Decimal("13.60495"),
    tax=Decimal("2.72"),
    total=Decimal("16.32495"),
    currency="GBP",
    country="United Kingdom",
)
CATEGORISED = InvoiceCategorised(category="sales", by="rule 7", status="CATEGORISED")
APPROVED = InvoiceApproved(note="checked", status="APPROVED")
REJECTED = InvoiceRejected(reason="not ours")
CANCELLED = InvoiceCancelled(reason="written twice")
DISPUTED = InvoiceDisputed(reason="wrong price")
PAID_IN_PART = PaymentRecorded(
    payment_id="p1",
    invoice="17850:536365",
    amount=Decimal("10.00"),
    currency="GBP",
    method="bank transfer",
    reference="GB-1",
    paid_total=Decimal("10.00"),
    status="PART_PAID",
)
REFUNDED = PaymentRefunded(
    payment_id="p1",
    invoice="17850:536365",
    amount=Decimal("10.00"),
    currency="GBP",
    reason="returned",
    paid_total=Decimal(0),
    status="RECEIVED",
)

# --- facts ----------------------------------------------------------------------------------------------------------

HEARTBEAT = DeviceHeartbeat(agent_version="1.4.2")
METRICS = DeviceMetricsReported(metrics={"cpu.load": 0.75, "cpu.steal": -0.0}, unit="ratio")
LOG = LogRecorded(
    severity="error",
    summary="Failed password for root",
    tool_type="sshd",
    source_event_type="auth",
    event_type="login.failed",
    device_id="43",
    user_id="root",
    hostname="LabSZ",
    details="from 173.234.31.186 port 38926 ssh2",
    ingest_day="2026-01-31",
)


def _by_class(*messages: Any) -> Mapping[type, Any]:
    return {type(message): message for message in messages}


COMMANDS: Mapping[type[Command], Command] = _by_class(
    REGISTER_TENANT,
    SUSPEND_TENANT,
    CLOSE_TENANT,
    ISSUE_KEY,
    ROTATE_KEY,
    REVOKE_KEY,
    REGISTER_DEVICE,
    UPDATE_DEVICE,
    TAG_DEVICE,
    CHANGE_STATUS,
    RETIRE_DEVICE,
    RAISE_ALERT,
    ACKNOWLEDGE_ALERT,
    RESOLVE_ALERT,
    DEFINE_WATCH,
    REMOVE_WATCH,
    RECEIVE_INVOICE,
    CATEGORISE_INVOICE,
    APPROVE_INVOICE,
    REJECT_INVOICE,
    CANCEL_INVOICE,
    DISPUTE_INVOICE,
    RECORD_PAYMENT,
    REFUND_PAYMENT,
)
FACTS: Mapping[type[Fact], Fact] = _by_class(HEARTBEAT, METRICS, LOG)
EVENTS: Mapping[type[Event], Event] = {
    **_by_class(
        TENANT_REGISTERED,
        TENANT_SUSPENDED,
        TENANT_CLOSED,
        KEY_ISSUED,
        KEY_ROTATED,
        KEY_REVOKED,
        REGISTERED,
        UPDATED,
        TAGGED,
        STATUS_CHANGED,
        RETIRED,
        ALERT_RAISED,
        ALERT_ACKNOWLEDGED,
        ALERT_RESOLVED,
        WATCH_DEFINED,
        WATCH_REMOVED,
        RECEIVED,
        CATEGORISED,
        APPROVED,
        REJECTED,
        CANCELLED,
        DISPUTED,
        PAID_IN_PART,
        REFUNDED,
    ),
    **_by_class(*FACTS.values()),
}

# --- envelopes ------------------------------------------------------------------------------------------------------

_STREAMS: Mapping[type[Event], StreamId] = {
    event: COMMANDS[decider.commands[0]].stream
    for deciders in DECIDERS.values()
    for decider in deciders
    for event in decider.events
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an event stands in the log, and when it was put there."""

    version: int = 1
    position: int = 7
    happened_at: datetime = HAPPENED_AT
    recorded_at: datetime = RECORDED_AT


def stored(event: Event) -> dict[str, Any]:
    """Return an event's payload as the log gives it back."""
    raw = encode_payload(event.TYPE, event.VERSION, payload_of(event))
    return decode_payload(event.TYPE, event.VERSION, raw)


def envelope_of(event: Event, place: Place | None = None) -> Envelope:
    at = place or Place()
    observed = isinstance(event, Fact)
    return Envelope(
        event_id="01943b1e-7a00-7000-8000-000000000001",
        type=event.TYPE,
        schema_version=event.VERSION,
        tenant_id=ACME,
        stream=StreamId("device-42") if observed else _STREAMS[type(event)],
        version=0 if observed else at.version,
        topic=Topic.TELEMETRY if observed else Topic.EVENTS,
        partition=0,
        position=at.position,
        happened_at=at.happened_at,
        recorded_at=at.recorded_at,
        actor=Actor(ActorType.USER, "ann"),
        correlation_id="request-1",
        causation_id="command-1",
        data=stored(event),
        organization_id="org-1",
    )
