"""What can be asked of tenants and their API keys."""

from typing import Annotated

from pydantic import Field, StringConstraints

from domain.message import Command, value
from schemas.envelope import StreamId
from schemas.values import Id, Name, TenantName, Text

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Scope = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z_]+:(read|write|\*))$")]


@value
class _OfTenant(Command):
    tenant_id: TenantName

    @property
    def stream(self) -> StreamId:
        return StreamId(f"tenant-{self.tenant_id}")


@value
class RegisterTenant(_OfTenant):
    name: Name
    domain: Name | None = None
    owner_id: Id | None = None


@value
class SuspendTenant(_OfTenant):
    reason: Text


@value
class CloseTenant(_OfTenant):
    reason: Text


@value
class _OfApiKey(Command):
    key_id: Id

    @property
    def stream(self) -> StreamId:
        return StreamId(f"api_key-{self.key_id}")


@value
class IssueApiKey(_OfApiKey):
    """The caller makes the secret and sends its hash: the secret itself never enters the system."""

    secret_sha256: Sha256
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=50)]
    name: Name | None = None


@value
class RotateApiKey(_OfApiKey):
    secret_sha256: Sha256


@value
class RevokeApiKey(_OfApiKey):
    reason: Text = ""
