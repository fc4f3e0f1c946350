"""One valid example of every command and event of the integration context."""

from domain.integration import change, connector, processes
from domain.integration import webhook_endpoint as of
from tests.examples.moments import HAPPENED_AT, RECORDED_AT

REGISTER_WEBHOOK = of.RegisterWebhook(
    endpoint_id="shop",
    url="https://shop.example/hooks",
    types=("payment.recorded", "invoice.approved"),
    sealed="AQIDBA==",
)
CHANGE_WEBHOOK = of.ChangeWebhook(endpoint_id="shop", url="https://shop.example/new", types=("payment.recorded",))
ROTATE_WEBHOOK_SECRET = of.RotateWebhookSecret(endpoint_id="shop", sealed="BQYHCA==")
PAUSE_WEBHOOK = of.PauseWebhook(endpoint_id="shop", reason="the shop moves")
RESUME_WEBHOOK = of.ResumeWebhook(endpoint_id="shop")
REMOVE_WEBHOOK = of.RemoveWebhook(endpoint_id="shop", reason="the shop is closed")
REDRIVE_WEBHOOK = of.RedriveWebhook(endpoint_id="shop")
WAKE_WEBHOOK = of.WakeWebhook(endpoint_id="shop", position=41)
SETTLE_WEBHOOK = of.SettleWebhook(endpoint_id="shop", delivery=1)

WEBHOOK_REGISTERED = of.WebhookRegistered(
    url="https://shop.example/hooks", types=("payment.recorded", "invoice.approved"), sealed=None
)
WEBHOOK_CHANGED = of.WebhookChanged(url="https://shop.example/new", types=("payment.recorded",))
WEBHOOK_SECRET_ROTATED = of.WebhookSecretRotated(number=2, sealed=None)
WEBHOOK_PAUSED = of.WebhookPaused(reason="the shop moves")
WEBHOOK_RESUMED = of.WebhookResumed(after=40)
WEBHOOK_REMOVED = of.WebhookRemoved(reason="the shop is closed")
WEBHOOK_WOKEN = of.WebhookWoken(position=57)
WEBHOOK_DELIVERY_STARTED = of.WebhookDeliveryStarted(
    endpoint_id="shop", delivery=1, after=40, redo=(), types=("payment.recorded", "invoice.approved")
)
WEBHOOK_DELIVERED = of.WebhookDelivered(delivery=1, events=3, total=3, redone=0, looked_to=56, more=False)
WEBHOOK_FAILED = of.WebhookFailed(
    delivery=1,
    position=41,
    event_id="01943b1e-7a00-7000-8000-000000000041",
    event_type="payment.recorded",
    attempt=1,
    status=503,
    error="https://shop.example/hooks answered 503",
    failing_since=HAPPENED_AT,
    given_up=False,
    unsent=0,
    retry_at=RECORDED_AT,
)
WEBHOOK_REDRIVEN = of.WebhookRedriven(positions=(41, 44))

WEBHOOK_TYPES_NOTED = processes.WebhookTypesNoted(endpoint_id="shop", types=("payment.recorded",))
WEBHOOK_NEWS_NOTED = processes.WebhookNewsNoted(endpoint_id="shop", position=41)

REGISTER_CONNECTOR = connector.RegisterConnector(
    connector_id="crm", tool_type="postgresql", format=connector.ConnectorFormat.DEBEZIUM, sealed="AQIDBA=="
)
ROTATE_CONNECTOR_SECRET = connector.RotateConnectorSecret(connector_id="crm", sealed="BQYHCA==")
PAUSE_CONNECTOR = connector.PauseConnector(connector_id="crm", reason="the database moves")
RESUME_CONNECTOR = connector.ResumeConnector(connector_id="crm", reason="the database has moved")
NAME_PERSONAL_FIELDS = connector.NamePersonalFields(
    connector_id="crm", personal_fields=("email", "name"), person_field="customer_id"
)
REMOVE_CONNECTOR = connector.RemoveConnector(connector_id="crm", reason="the database is closed")
NOTE_REFUSED_CHANGES = connector.NoteRefusedChanges(connector_id="crm", count=2, reason="is larger than 64 KiB as JSON")
INGEST_CHANGE = change.IngestChange(
    connector_id="crm",
    record="0123456789abcdef01234567",
    source_event_type="u",
    op=change.Op.UPDATED,
    database="shop",
    schema_name="public",
    table="orders",
    key='{"id":7}',
    source_position='{"lsn":24023128}',
    payload='{"after":{"customer_id":42,"email":"[personal]","id":7},"before":null,"op":"u"}',
    person="person-crm~42",
    personal='{"/after/email":"ann@shop.example"}',
    naming=2,
)

CONNECTOR_REGISTERED = connector.ConnectorRegistered(tool_type="postgresql", format="debezium", sealed=None)
CONNECTOR_SECRET_ROTATED = connector.ConnectorSecretRotated(number=2, sealed=None)
CONNECTOR_PAUSED = connector.ConnectorPaused(reason="the database moves")
CONNECTOR_RESUMED = connector.ConnectorResumed(reason="the database has moved")
CONNECTOR_PERSONAL_NAMED = connector.ConnectorPersonalNamed(
    number=2, personal_fields=("email", "name"), person_field="customer_id"
)
CONNECTOR_REMOVED = connector.ConnectorRemoved(reason="the database is closed")
CONNECTOR_CHANGES_REFUSED = connector.ConnectorChangesRefused(count=2, total=5, reason="is larger than 64 KiB as JSON")
CHANGE_RECEIVED = change.ChangeReceived(
    connector_id="crm",
    tool_type="postgresql",
    source_event_type="u",
    op="u",
    database="shop",
    schema_name="public",
    table="orders",
    key='{"id":7}',
    source_position='{"lsn":24023128}',
    payload='{"after":{"customer_id":42,"email":"[personal]","id":7},"before":null,"op":"u"}',
    person="person-crm~42",
    personal='{"/after/email":"ann@shop.example"}',
)
