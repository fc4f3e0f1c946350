"""These are the handlers that ship, by the kind of their tasks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from factline.worker import Done, Failed, Task
from infra.handlers.chat import chat_complete
from infra.handlers.deliver import deliver_webhooks
from infra.handlers.embeddings import embed_text
from infra.handlers.invoice import extract_invoice
from infra.handlers.javascript import script_javascript
from infra.handlers.kinds import DELIVER, KINDS, SCRIPT
from infra.handlers.mail import notify_email
from infra.handlers.outgoing import Outgoing
from infra.handlers.packages import handler_of_package
from infra.handlers.settings import HandlerSettings
from infra.handlers.vectors import vectors_delete, vectors_search, vectors_upsert
from infra.handlers.web import Handler, http_check, http_request
from infra.handlers.webhook import notify_webhook
from infra.outside import Outside
from infra.qdrant.vectors import QdrantVectors
from schemas.json_text import json_text

HandlersOf = Callable[[str], Mapping[str, Handler]]
"""Gives the handlers of a tenant, by the kind of their tasks."""


def handlers(settings: HandlerSettings, kinds: Sequence[str], outside: Outside, vectors: QdrantVectors) -> HandlersOf:
    """Return what gives the handler of each of these kinds for a tenant.

    Raises: BadHandler, that of a package cannot be used.
    """
    # all tenants share its places
    script = script_javascript()
    of_packages = {kind: handler_of_package(kind) for kind in kinds if kind not in KINDS}

    def of(tenant: str) -> Mapping[str, Handler]:
        outgoing = Outgoing(settings.allowed, outside, tenant)
        shipped = {
            "chat.complete": chat_complete(outgoing),
            "csv.extract_invoice": extract_invoice(),
            "embed.text": embed_text(outgoing),
            "http.check": http_check(outgoing),
            "http.request": http_request(outgoing),
            "notify.email": notify_email(settings.mail, outgoing),
            "notify.webhook": notify_webhook(outgoing),
            SCRIPT: script,
            "vectors.delete": vectors_delete(vectors),
            "vectors.search": vectors_search(outgoing, vectors),
            "vectors.upsert": vectors_upsert(outgoing, vectors),
            DELIVER: deliver_webhooks(outgoing),
            **of_packages,
        }
        return {kind: _bounded(shipped[kind]) for kind in kinds}

    return of


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
