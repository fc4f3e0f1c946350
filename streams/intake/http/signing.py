"""Tokens that this server gives are signed here, with a key of the tenant that is made when it is first needed."""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from joserfc import jws
from joserfc.jwk import ECKey

from domain import catalog
from domain.identity.signing_key import RotateSigningKey
from domain.rejection import Kind
from projections.credentials import Credentials, values_of
from projections.own_issuer import SigningKey, private_key_of, signing_key_stream, signing_keys_of
from projections.sign_in import Parts
from read_api.edge.jws import ES256
from schemas.envelope import Actor, ActorType, TenantId
from streams.identifiers import new_id
from streams.intake.http.accepting import checked
from streams.intake.http.commands import Gate
from streams.intake.http.provider_keys import SecretBox
from streams.ports import OutcomeUnknown, Submission

_OPENED = 256

# how far behind the log a gateway's credentials may be
_LOOKS = 40
_LOOK_S = 0.05

_FIRST_NEED = Actor(ActorType.SYSTEM, "first-token")


class Signing:
    """The signing keys of all tenants.

    Raises: Refused; LogUnavailable, StoreUnavailable or Overloaded, safe to retry.
    """

    def __init__(
        self,
        gate: Gate,
        credentials: Credentials,
        box: SecretBox,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._gate = gate
        self._credentials = credentials
        self._box = box
        self._now = now
        # opening takes 50 ms, and the same key signs thousands of tokens
        self._opened = lru_cache(_OPENED)(self._open)

    async def public_keys(self, tenant_id: TenantId) -> Sequence[SigningKey]:
        """Return the keys by which others know the tenant's tokens; none where it never gave one."""
        return signing_keys_of(await self._parts(tenant_id), self._now())

    async def new_key(self, tenant_id: TenantId) -> RotateSigningKey:
        """Return the command that lets a new key sign the tenant's tokens from then on."""
        return await asyncio.to_thread(self._new_key, tenant_id)

    async def sign(self, tenant_id: TenantId, claims: Mapping[str, Any], typ: str = "at+jwt") -> str:
        """Return a token that says this, signed with the tenant's key; an access token, where nothing else is said.

        Source: RFC 9068, section 2.1.
        """
        private = private_key_of(await self._parts(tenant_id)) or private_key_of(await self._made_first(tenant_id))
        if private is None:
            raise OutcomeUnknown("the first signing key of the tenant is recorded, and not known here yet")
        key = await asyncio.to_thread(self._opened, tenant_id, private.kid, private.sealed)
        header = {"alg": ES256, "kid": private.kid, "typ": typ}
        return jws.serialize_compact(header, orjson.dumps(dict(claims)), key, algorithms=[ES256])

    async def _made_first(self, tenant_id: TenantId) -> Parts:
        """Make the tenant's first key, unless another process was faster, and return what is known of it then."""
        command = await self.new_key(tenant_id)
        name = catalog.name_of(type(command))
        reply = await self._gate.execute(
            Submission(new_id(), tenant_id, name, command, _FIRST_NEED, expected_version=0)
        )
        checked(reply, but=Kind.CONFLICT)
        for _ in range(_LOOKS):
            if private_key_of(parts := await self._parts(tenant_id)):
                return parts
            await asyncio.sleep(_LOOK_S)
        return {}

    def _new_key(self, tenant_id: TenantId) -> RotateSigningKey:
        kid = secrets.token_hex(8)
        made = ECKey.generate_key("P-256").as_dict(private=True)
        sealed = self._box.seal(tenant_id, _sealed_as(kid), orjson.dumps(made).decode())
        return RotateSigningKey(tenant_id=tenant_id, kid=kid, x=str(made["x"]), y=str(made["y"]), sealed=sealed)

    def _open(self, tenant_id: TenantId, kid: str, sealed: str) -> ECKey:
        """Raises: Tampered."""
        return ECKey.import_key(orjson.loads(self._box.open(tenant_id, _sealed_as(kid), sealed)))

    async def _parts(self, tenant_id: TenantId) -> Parts:
        return values_of(await asyncio.to_thread(self._credentials.of_stream, tenant_id, signing_key_stream(tenant_id)))


def _sealed_as(kid: str) -> str:
    # no id of a provider key has a blank, so neither opens as the other
    return f"signing key {kid}"
