"""A tenant leaves secrets of services outside here; only a worker gets one, with a task that needs it."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from domain.automation.provider_key import AddProviderKey, BaseUrl, RotateProviderKey, provider_key_stream
from domain.operations.task import TaskKind
from projections.credentials import Credentials, provider_secret_of
from read_api.edge.asking import Allowed
from read_api.edge.auth import Caller
from read_api.edge.scopes import may
from schemas.envelope import TenantId
from schemas.sealed import Tampered
from schemas.values import Id, Name
from streams.intake.http.command_docs import KEY, REPLIED
from streams.intake.http.commands import Gate
from streams.intake.http.described import described_body
from streams.intake.http.giving import Giving
from streams.intake.http.tenants import read_body

_LOG = logging.getLogger(__name__)

SECRETS = "secrets:read"
"""What a worker needs to be given secrets with its tasks."""

_SHOWN = 5
_SHOWN_OF_AT_LEAST = 20
# what a header can carry as it is: anything else would only be found when it is used
_Secret = Annotated[str, StringConstraints(min_length=1, max_length=4_000, pattern=r"^[!-~]+$")]
_Managing = Annotated[Caller, Depends(Allowed("automation:write", records="events"))]


class SecretBox(Protocol):
    """Encrypts secrets for a tenant and an id, and opens them again."""

    def seal(self, tenant_id: TenantId, key_id: str, secret: str) -> str:
        """Return the sealed secret, another text each time."""

    def open(self, tenant_id: TenantId, key_id: str, sealed: str) -> str:
        """Return the secret. Raises: Tampered."""


class _Add(BaseModel):
    model_config = ConfigDict(extra="forbid")
    key_id: Id
    provider: Name
    kinds: Annotated[tuple[TaskKind, ...], Field(min_length=1, max_length=20)]
    base_url: BaseUrl | None = None
    secret: _Secret


class _Rotate(BaseModel):
    model_config = ConfigDict(extra="forbid")
    secret: _Secret


def provider_keys_router(gate: Gate, box: SecretBox, fingerprint_key: bytes) -> APIRouter:
    """Shape: `fingerprint_key` is the deployment's."""
    router = APIRouter(tags=["commands"])
    giving = Giving(gate, fingerprint_key)

    @router.post(
        "/v1/secrets",
        summary="Keep a secret for tasks of these kinds; no route shows it again",
        responses=REPLIED,
        openapi_extra={
            **described_body(
                _Add,
                {
                    "key_id": "openai",
                    "provider": "openai",
                    "kinds": ["chat.complete"],
                    "base_url": "https://api.openai.com/v1",
                    "secret": "sk-…",
                },
            ),
            "parameters": [KEY],
        },
    )
    async def add(request: Request, caller: _Managing) -> Response:
        wanted = await read_body(request, _Add)
        sealed = await asyncio.to_thread(box.seal, caller.tenant_id, wanted.key_id, wanted.secret)
        command = AddProviderKey(
            key_id=wanted.key_id,
            provider=wanted.provider,
            kinds=wanted.kinds,
            base_url=wanted.base_url,
            prefix=_prefix(wanted.secret),
            sealed=sealed,
        )
        # of what the caller said: sealed it is another text each time
        said = wanted.model_dump(mode="json")
        return await giving.give(request, caller, command, said)

    @router.post(
        "/v1/secrets/{key_id}",
        summary="Put another secret in the place of the one before, which is forgotten",
        responses=REPLIED,
        openapi_extra={**described_body(_Rotate, {"secret": "sk-…"}), "parameters": [KEY]},
    )
    async def rotate(key_id: Id, request: Request, caller: _Managing) -> Response:
        wanted = await read_body(request, _Rotate)
        sealed = await asyncio.to_thread(box.seal, caller.tenant_id, key_id, wanted.secret)
        command = RotateProviderKey(key_id=key_id, prefix=_prefix(wanted.secret), sealed=sealed)
        return await giving.give(request, caller, command, [key_id, wanted.secret])

    return router


def _prefix(secret: str) -> str:
    """Return what may be shown of a secret, so that it can be told from another one: nothing of a short one."""
    return secret[:_SHOWN] if len(secret) >= _SHOWN_OF_AT_LEAST else ""


def opened(box: SecretBox, tenant_id: TenantId, name: str, sealed: str) -> str | None:
    """Return the secret that was sealed under a name, None where it does not open, which the log says."""
    try:
        return box.open(tenant_id, name, sealed)
    except Tampered as error:
        _LOG.error("the secret of %s of tenant %s does not open: %s", name, tenant_id, error)
        return None


class TaskSecrets:
    """Gives a worker the secret that a task names, where both may have it."""

    def __init__(self, credentials: Credentials, box: SecretBox) -> None:
        self._credentials = credentials
        self._box = box

    async def with_task(self, caller: Caller, kind: str, input_: Any) -> Mapping[str, Any]:
        """Return what goes with a task that is claimed: `provider` where its input names a `provider_key`.

        Shape: it is null where the caller may have no secrets, or the key is not there for tasks of this kind.
        Raises: StoreUnavailable, safe to retry.
        """
        key_id = input_.get("provider_key") if isinstance(input_, dict) else None
        if not isinstance(key_id, str):
            return {}
        if not may(caller, SECRETS):
            return {"provider": None}
        return {"provider": await asyncio.to_thread(self._opened, caller.tenant_id, key_id, kind)}

    def _opened(self, tenant_id: TenantId, key_id: str, kind: str) -> Mapping[str, Any] | None:
        found = provider_secret_of(self._credentials.of_stream(tenant_id, provider_key_stream(key_id)))
        if found is None or kind not in found.kinds:
            return None
        # the tasks beside it are claimed already, and do not need it
        secret = opened(self._box, tenant_id, key_id, found.sealed)
        if secret is None:
            return None
        return {"key_id": key_id, "provider": found.provider, "base_url": found.base_url, "secret": secret}
