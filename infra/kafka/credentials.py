"""A gateway knows from this topic who may ask; writers write it in the transactions of the events it follows from."""

from collections.abc import Iterator, Mapping, Sequence

from infra.kafka.followed_topic import FollowedTopic
from projections.credentials import (
    NO_QUOTA,
    QUOTA,
    STATUS,
    Credential,
    Part,
    Quota,
    TrustedIssuer,
    credentials_of,
    issuers_of,
    quota_of,
    sign_in_providers_of,
    status_of,
    tenant_stream,
)
from projections.sign_in import Provider
from schemas.envelope import StreamId, TenantId

FILLED = b"filled"
"""The key of the record that says, in each partition, that the events of earlier versions are in the topic."""

# what follows the dash in ASCII ends the range
_KEYS = (b"api_key-", b"api_key.")
_TENANTS = (b"tenant-", b"tenant.")
_ISSUERS = (b"issuer-", b"issuer.")
_PROVIDERS = (b"sign_in_provider-", b"sign_in_provider.")


def part_name(part: Part) -> bytes:
    # the stream first: a key is looked for by its id, in all tenants
    return "|".join(part[:3]).encode()


class KafkaCredentials:
    """Credentials of a gateway. Any thread may ask."""

    def __init__(self, topic: FollowedTopic) -> None:
        self._topic = topic

    def find(self, key_id: str) -> Sequence[Credential]:
        stream = f"api_key-{key_id}".encode()
        # what follows the bar in ASCII ends the range
        return credentials_of(_parts(self._topic.between(stream + b"|", stream + b"}")))

    def of_tenant(self, tenant_id: TenantId) -> Sequence[Credential]:
        return credentials_of(part for part in _parts(self._topic.between(*_KEYS)) if part.tenant_id == tenant_id)

    def tenants(self) -> Mapping[TenantId, str]:
        parts = _parts(self._topic.between(*_TENANTS))
        return {part.tenant_id: status_of(part) for part in parts if part.name == STATUS}

    def issuers(self, tenant_id: TenantId) -> Sequence[TrustedIssuer]:
        return issuers_of(part for part in _parts(self._topic.between(*_ISSUERS)) if part.tenant_id == tenant_id)

    def sign_in_providers(self, tenant_id: TenantId) -> Sequence[Provider]:
        parts = _parts(self._topic.between(*_PROVIDERS))
        return sign_in_providers_of(part for part in parts if part.tenant_id == tenant_id)

    def of_stream(self, tenant_id: TenantId, stream: StreamId) -> Sequence[Part]:
        start = f"{stream}|{tenant_id}".encode()
        return list(_parts(self._topic.between(start + b"|", start + b"}")))

    def status_of(self, tenant_id: TenantId) -> str | None:
        found = self._part_of(tenant_id, STATUS)
        return status_of(found) if found else None

    def quota_of(self, tenant_id: TenantId) -> Quota:
        found = self._part_of(tenant_id, QUOTA)
        return quota_of(found) if found else NO_QUOTA

    def _part_of(self, tenant_id: TenantId, name: str) -> Part | None:
        found = list(_parts(self._topic.find([part_name(Part(tenant_stream(tenant_id), tenant_id, name, b""))])))
        return found[0] if found else None


def _parts(records: Mapping[bytes, bytes]) -> Iterator[Part]:
    for name, value in records.items():
        stream, tenant, part = name.decode().split("|")
        yield Part(StreamId(stream), TenantId(tenant), part, value)
