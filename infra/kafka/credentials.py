"""A gateway knows from this topic who may ask; writers write it in the transactions of the events it follows from."""

from collections.abc import Iterator, Mapping, Sequence

from infra.kafka.followed_topic import FollowedTopic
from projections.credentials import STATUS, Credential, Part, credentials_of, status_of, tenant_stream
from schemas.envelope import StreamId, TenantId

FILLED = b"filled"
"""The key of the record that says, in each partition, that the events of earlier versions are in the topic."""

_KEYS = (b"api_key-", b"api_key.")
_TENANTS = (b"tenant-", b"tenant.")


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

    def status_of(self, tenant_id: TenantId) -> str | None:
        name = part_name(Part(tenant_stream(tenant_id), tenant_id, STATUS, b""))
        found = list(_parts(self._topic.find([name])))
        return status_of(found[0]) if found else None


def _parts(records: Mapping[bytes, bytes]) -> Iterator[Part]:
    for name, value in records.items():
        stream, tenant, part = name.decode().split("|")
        yield Part(StreamId(stream), TenantId(tenant), part, value)
