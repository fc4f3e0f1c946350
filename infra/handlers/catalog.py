"""These are the handlers that ship, by the kind of their tasks."""

from collections.abc import Mapping, Sequence
from typing import Any

from factline.worker import Done, Failed, Task
from infra.handlers.chat import chat_complete
from infra.handlers.invoice import extract_invoice
from infra.handlers.javascript import script_javascript
from infra.handlers.kinds import SCRIPT
from infra.handlers.mail import notify_email
from infra.handlers.outgoing import Outgoing
from infra.handlers.settings import HandlerSettings
from infra.handlers.web import Handler, http_check, http_request
from infra.handlers.webhook import notify_webhook
from schemas.json_text import json_text


def handlers(settings: HandlerSettings, kinds: Sequence[str]) -> Mapping[str, Handler]:
    """Return the handler of each of these KINDS."""
    outgoing = Outgoing(settings.allowed)
    shipped = {
        "chat.complete": chat_complete(outgoing),
        "csv.extract_invoice": extract_invoice(),
        "http.check": http_check(outgoing),
        "http.request": http_request(outgoing),
        "notify.email": notify_email(settings.mail),
        "notify.webhook": notify_webhook(outgoing),
        SCRIPT: script_javascript(),
    }
    return {kind: _bounded(shipped[kind]) for kind in kinds}


def _bounded(handler: Handler) -> Handler:
    """Return a handler that fails where its output would not be taken: another attempt would give the same."""

    async def handle(task: Task) -> Any:
        output = await handler(task)
        try:
            json_text(output.output if isinstance(output, Done) else output)
        except ValueError as error:
            raise Failed(f"the output {error}", retryable=False) from error
        return output

    return handle
