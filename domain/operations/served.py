"""What was asked of the API is counted by whoever answers, and recorded as facts: many requests in each."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar

from domain.message import Fact, FactRecord, Packed, Said, Unpacked, value

MAX_COUNTS = 2_000
"""Of one record: it is far smaller then than the million bytes that a message on Kafka may have."""


@value
class ServedRequests:
    """Requests of one key to one route with one status.

    Units: `after_us` counts microseconds from the record's time; `ms` is the time until answers began, of all together.
    """

    after_us: int
    key_id: str
    route: str
    status: int
    requests: int
    ms: int


@value
class ServedRecord(FactRecord):
    TYPE: ClassVar = "api.request.served"
    VERSION: ClassVar = 2
    NAME: ClassVar = "ApiRequestServed"
    served: tuple[ServedRequests, ...] = ()


def pack_served(said: Sequence[Said]) -> Iterator[Packed]:
    each = iter(said)
    while some := list(islice(each, MAX_COUNTS)):
        first = min(at_us for at_us, _, _ in some)
        served = [
            {
                "after_us": at_us - first,
                "key_id": fact.key_id,
                "route": fact.route,
                "status": fact.status,
                "requests": fact.requests,
                "ms": fact.ms,
            }
            for at_us, fact, _ in some
        ]
        yield Packed(first, len(served), len(served), {"served": served})


def unpack_served(data: Mapping[str, Any]) -> Iterator[Unpacked]:
    for one in data["served"]:
        yield Unpacked(one["after_us"], {name: one[name] for name in one if name != "after_us"})


@value
class ApiRequestServed(Fact):
    """What a gateway counted of one key, route and status. Shape: `route` is a method and a template of a path."""

    TYPE: ClassVar = "api.request.served"
    CATEGORY: ClassVar = "gateway"
    IS_OURS: ClassVar = True
    RECORD: ClassVar = ServedRecord
    key_id: str
    route: str
    status: int
    requests: int
    ms: int

    pack = staticmethod(pack_served)
    unpack = staticmethod(unpack_served)
