"""A rule says what a watch looks for in the readings or log lines of one device at a time."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from domain.fleet.values import Reading
from domain.message import value
from schemas.values import Name

Seconds = Annotated[int, Field(ge=1, le=86_400)]


class _Rule:
    __slots__ = ()
    # as of commands: a field nobody knows is a mistake of the sender
    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")


@value
class Threshold(_Rule):
    """Readings at or beyond a limit, without a break for `for_s` seconds.

    Shape: either `above` or `below`. An open alert goes on until readings are past `clear`, the limit itself where it
    is left out: what swings around the limit is one alert.
    """

    kind: Literal["threshold"] = "threshold"
    metric: Name
    above: Reading | None = None
    below: Reading | None = None
    clear: Reading | None = None
    for_s: Annotated[int, Field(ge=0, le=86_400)] = 0


@value
class RateOfChange(_Rule):
    """A reading that differs by `by` or more from one of the `within_s` seconds before; a fall has a negative `by`."""

    kind: Literal["rate_of_change"] = "rate_of_change"
    metric: Name
    by: Reading
    within_s: Seconds


@value
class Failures(_Rule):
    """`count` log lines with the text `contains` in `within_s` seconds, for each key by itself.

    Shape: the key is the word after the last `key_after` of the line, as in `key_after: " from "`; a line without it,
    and every line where `key_after` is left out, has the key "". A line "message repeated 5 times" counts five times.
    """

    kind: Literal["failures"] = "failures"
    contains: Name
    key_after: Name | None = None
    count: Annotated[int, Field(ge=1, le=10_000)]
    within_s: Seconds


@value
class Anomaly(_Rule):
    """A reading that is more unusual than this share of all that the same device reported before."""

    kind: Literal["anomaly"] = "anomaly"
    metric: Name
    quantile: Annotated[float, Field(ge=0.9, le=0.999_99)] = 0.999


Rule = Threshold | RateOfChange | Failures | Anomaly

KINDS: Mapping[str, type[Rule]] = {
    "threshold": Threshold,
    "rate_of_change": RateOfChange,
    "failures": Failures,
    "anomaly": Anomaly,
}
FIELDS: Mapping[str, tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(rule) if field.name != "kind") for kind, rule in KINDS.items()
}
