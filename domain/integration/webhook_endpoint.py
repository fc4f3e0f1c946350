"""These are the commands, the events and the state of a webhook endpoint: an address that events are sent to."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, assert_never
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from domain.automation.provider_key import BaseUrl, Sealed
from domain.message import Command, Event, KeptApart, classes_of, known, value
from schemas.envelope import StreamId
from schemas.values import Id, Text


def _of_a_host(url: str) -> str:
    """Return the address. Raises: ValueError, nothing can be sent there, or it says a secret."""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_host = False
    if not has_host:
        raise ValueError("a url needs a host, as in https://shop.example/hooks")
    if "@" in parts.netloc:
        raise ValueError("a url has no user and no password in it; the signature says who sends")
    return url


WebhookUrl = Annotated[BaseUrl, AfterValidator(_of_a_host)]
EndpointId = Annotated[Id, StringConstraints(max_length=100)]
EventType = Annotated[str, StringConstraints(max_length=80, pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$")]
EventTypes = Annotated[tuple[EventType, ...], Field(min_length=1, max_length=200)]
_Number = Annotated[int, Field(strict=True, ge=1)]
LogPosition = Annotated[int, Field(strict=True, ge=0)]


def endpoint_stream(endpoint_id: str) -> StreamId:
    return StreamId(f"webhook_endpoint-{endpoint_id}")


# --- commands


@value
class _OfEndpoint(Command):
    endpoint_id: EndpointId

    @property
    def stream(self) -> StreamId:
        return endpoint_stream(self.endpoint_id)


@value
class RegisterWebhook(_OfEndpoint):
    """Send events of these types to an address from now on. Shape: the server makes the secret and seals it."""

    IS_OURS: ClassVar = True
    url: WebhookUrl
    types: EventTypes
    sealed: Sealed


@value
class ChangeWebhook(_OfEndpoint):
    """Say another address, or other types; what is left out stays."""

    IS_OURS: ClassVar = True
    url: WebhookUrl | None = None
    types: EventTypes | None = None


@value
class RotateWebhookSecret(_OfEndpoint):
    """Sign with another secret from now on; the one before is forgotten."""

    IS_OURS: ClassVar = True
    sealed: Sealed


@value
class PauseWebhook(_OfEndpoint):
    """Send nothing until it is resumed. What goes on is stopped; what happens meanwhile is sent afterwards."""

    reason: Text = ""


@value
class ResumeWebhook(_OfEndpoint):
    """Go on where the endpoint was paused."""


@value
class RemoveWebhook(_OfEndpoint):
    """Send nothing any more, and forget the secret."""

    reason: Text = ""


@value
class RedriveWebhook(_OfEndpoint):
    """Send again what was given up."""


@value
class WakeWebhook(_OfEndpoint):
    """Begin a delivery where none goes on. Shape: `position` is that of an event to send, None to go on as planned."""

    IS_OURS: ClassVar = True
    position: LogPosition | None = None


@value
class SettleWebhook(_OfEndpoint):
    """Take what came of a delivery from its task; `error` is why there is no task."""

    IS_OURS: ClassVar = True
    delivery: _Number
    error: Text | None = None


WebhookCommand = (
    RegisterWebhook
    | ChangeWebhook
    | RotateWebhookSecret
    | PauseWebhook
    | ResumeWebhook
    | RemoveWebhook
    | RedriveWebhook
    | WakeWebhook
    | SettleWebhook
)

# --- events

_Apart = Annotated[str | None, KeptApart()]


@value
class WebhookRegistered(Event):
    TYPE: ClassVar = "webhook.registered"
    url: str
    types: tuple[str, ...]
    sealed: _Apart = None


@value
class WebhookChanged(Event):
    """Shape: all that is said of it from now on."""

    TYPE: ClassVar = "webhook.changed"
    url: str
    types: tuple[str, ...]


@value
class WebhookSecretRotated(Event):
    """Shape: `number` counts the secrets of the endpoint."""

    TYPE: ClassVar = "webhook.secret.rotated"
    number: int
    sealed: _Apart = None


@value
class WebhookPaused(Event):
    TYPE: ClassVar = "webhook.paused"
    reason: str


@value
class WebhookResumed(Event):
    """Shape: `after` is the position after which it goes on, None where nothing waits."""

    TYPE: ClassVar = "webhook.resumed"
    after: int | None


@value
class WebhookRemoved(Event):
    TYPE: ClassVar = "webhook.removed"
    reason: str


@value
class WebhookWoken(Event):
    """There is something to send from this position on, which no delivery that has begun sends."""

    TYPE: ClassVar = "webhook.woken"
    position: int


@value
class WebhookDeliveryStarted(Event):
    """Shape: it sends the events at the positions `redo`, then those of these types after the position `after`."""

    TYPE: ClassVar = "webhook.delivery.started"
    endpoint_id: str
    delivery: int
    after: int | None
    redo: tuple[int, ...]
    types: tuple[str, ...]


@value
class WebhookDelivered(Event):
    """Shape: `events` were sent, the first `redone` of them from `redo`, and `total` so far with these.

    All up to the position `looked_to` was looked at; `more` says that something may wait behind it.
    """

    TYPE: ClassVar = "webhook.delivered"
    delivery: int
    events: int
    total: int
    redone: int
    looked_to: int | None
    more: bool


@value
class WebhookFailed(Event):
    """An event was not taken, or a delivery was not made.

    Shape: `position`, `event_id` and `event_type` are those of the event, None where it came to none. `attempt` counts
    for this event, `failing_since` is when the first attempt failed after the last success. It is tried again at
    `retry_at`, None where it is given up or the endpoint is paused. `unsent` is how many events are given up by now.
    """

    TYPE: ClassVar = "webhook.failed"
    delivery: int
    position: int | None
    event_id: str | None
    event_type: str | None
    attempt: int
    status: int | None
    error: str
    failing_since: datetime
    given_up: bool
    unsent: int
    retry_at: datetime | None


@value
class WebhookRedriven(Event):
    """Shape: the positions of what is sent again."""

    TYPE: ClassVar = "webhook.redriven"
    positions: tuple[int, ...]


WebhookEvent = (
    WebhookRegistered
    | WebhookChanged
    | WebhookSecretRotated
    | WebhookPaused
    | WebhookResumed
    | WebhookRemoved
    | WebhookWoken
    | WebhookDeliveryStarted
    | WebhookDelivered
    | WebhookFailed
    | WebhookRedriven
)

# --- state


class WebhookStatus(StrEnum):
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    REMOVED = "REMOVED"


@value
class Webhook:
    """Shape: `running` is the delivery that goes on, of `deliveries` so far; `sent` counts events.

    What waits are the events after the position `after`, None for none, and those at the positions `redo`. `woken` is
    the position of the first event that the delivery that goes on does not send. `given_up` are positions too. The
    event at `failing` has failed `attempts` times, and comes again at `retry_at`. `interrupted` says that the delivery
    that goes on is stopped, because the endpoint has changed since it began.
    """

    url: str
    types: tuple[str, ...]
    status: WebhookStatus = WebhookStatus.ACTIVE
    secrets: int = 1
    sent: int = 0
    deliveries: int = 0
    running: int | None = None
    interrupted: bool = False
    after: int | None = None
    woken: int | None = None
    redo: tuple[int, ...] = ()
    given_up: tuple[int, ...] = ()
    failing: int | None = None
    attempts: int = 0
    failing_since: datetime | None = None
    retry_at: datetime | None = None

    @property
    def waits(self) -> bool:
        """Return whether there is something to send that no delivery sends now."""
        return self.running is None and (self.after is not None or bool(self.redo))


def evolve_webhook(state: Webhook | None, event: WebhookEvent) -> Webhook:
    if isinstance(event, WebhookRegistered):
        # deliveries and secrets of one that was removed count on: their numbers name tasks and seals
        before = state or Webhook(url="", types=(), secrets=0)
        return Webhook(url=event.url, types=event.types, secrets=before.secrets + 1, deliveries=before.deliveries)
    webhook = known(state)
    match event:
        case WebhookWoken():
            return _woken(webhook, event.position)
        case WebhookDeliveryStarted():
            begun = replace(webhook, running=event.delivery, deliveries=event.delivery, after=event.after)
            return replace(begun, woken=None, retry_at=None, interrupted=False)
        case WebhookDelivered():
            well = replace(webhook, sent=event.total, failing=None, attempts=0, failing_since=None)
            return _ended(replace(well, redo=webhook.redo[event.redone :]), event.looked_to, more=event.more)
        case WebhookFailed():
            return _failed(webhook, event)
        case WebhookRedriven():
            return replace(webhook, redo=webhook.redo + event.positions, given_up=())
        case _:
            managed = _managed(webhook, event)
            # what goes on while it is resumed was stopped before
            is_new = webhook.running is not None and not isinstance(event, WebhookResumed)
            return replace(managed, interrupted=webhook.interrupted or is_new)


def _managed(
    webhook: Webhook, event: WebhookChanged | WebhookSecretRotated | WebhookPaused | WebhookResumed | WebhookRemoved
) -> Webhook:
    match event:
        case WebhookChanged():
            return replace(webhook, url=event.url, types=event.types)
        case WebhookSecretRotated():
            return replace(webhook, secrets=event.number)
        case WebhookPaused():
            return replace(webhook, status=WebhookStatus.PAUSED, retry_at=None)
        case WebhookResumed():
            well = replace(webhook, failing=None, attempts=0, failing_since=None, retry_at=None)
            return replace(well, status=WebhookStatus.ACTIVE)
        case WebhookRemoved():
            return replace(webhook, status=WebhookStatus.REMOVED, retry_at=None)
        case _:
            assert_never(event)


def _woken(webhook: Webhook, position: int) -> Webhook:
    if webhook.running is not None:
        return replace(webhook, woken=position)
    return replace(webhook, after=position - 1)


def _ended(webhook: Webhook, looked_to: int | None, *, more: bool) -> Webhook:
    """Return the state after a delivery that has sent all up to a position; there may be `more` behind that."""
    after = looked_to if more else None
    if webhook.woken is not None and after is None:
        # what was looked at since is not looked at again
        after = max(webhook.woken - 1, looked_to or 0)
    return replace(webhook, running=None, interrupted=False, woken=None, after=after)


def _failed(webhook: Webhook, event: WebhookFailed) -> Webhook:
    failed = replace(
        webhook,
        failing=event.position,
        attempts=event.attempt,
        failing_since=event.failing_since,
        retry_at=event.retry_at,
    )
    if webhook.running is not None:
        # nothing was sent before it: all after where it began waits still
        failed = _ended(failed, failed.after, more=failed.after is not None)
    if not event.given_up or event.position is None:
        return failed
    given_up = replace(failed, given_up=(*failed.given_up, event.position), failing=None, attempts=0)
    if event.position in failed.redo:
        return replace(given_up, redo=tuple(one for one in failed.redo if one != event.position))
    return replace(given_up, after=event.position)


COMMANDS = classes_of(WebhookCommand)
EVENTS = classes_of(WebhookEvent)
