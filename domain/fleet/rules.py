"""A rule says what a watch looks for in what one device at a time reports."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Annotated, ClassVar, Literal, assert_never

from pydantic import ConfigDict, Field

from domain.fleet.values import Reading, Severity
from domain.message import value
from domain.rejection import invalid
from schemas.values import Name

Seconds = Annotated[int, Field(strict=True, ge=1, le=86_400)]


class _Rule:
    __slots__ = ()
    # as of commands: a field nobody knows is a mistake of the sender
    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")


@value
class Threshold(_Rule):
    """Readings at or beyond a limit, without a break for `for_s` seconds.

    Shape: either `above` or `below`. An open alert goes on until readings are past `clear`, the limit itself where it
    is left out: what swings around the limit is one alert. A silence of more than `gap_s` seconds is a break; left out,
    one of more than three times the usual interval of the device's readings, or of `for_s` until that is known.
    """

    kind: Literal["threshold"] = "threshold"
    metric: Name
    above: Reading | None = None
    below: Reading | None = None
    clear: Reading | None = None
    for_s: Annotated[int, Field(strict=True, ge=0, le=86_400)] = 0
    gap_s: Seconds | None = None


@value
class RateOfChange(_Rule):
    """A reading that differs by `by` or more from one of the `within_s` seconds before; a fall has a negative `by`."""

    kind: Literal["rate_of_change"] = "rate_of_change"
    metric: Name
    by: Reading
    within_s: Seconds


@value
class Failures(_Rule):
    """`count` log lines with the text `contains` in `within_s` seconds of their own time, for each key by itself.

    Shape: the key is the word after the last `key_after` of the line, as in `key_after: " from "`; a line without it,
    and every line where `key_after` is left out, has the key "". A line "message repeated 5 times" counts five times,
    and "last message repeated 5 times" is five more of the device's line before it. A line counts that comes up to
    `late_s` seconds after later ones.
    """

    kind: Literal["failures"] = "failures"
    contains: Name
    key_after: Name | None = None
    count: Annotated[int, Field(strict=True, ge=1, le=10_000)]
    within_s: Seconds
    late_s: Annotated[int, Field(strict=True, ge=0, le=86_400)] = 60


@value
class Anomaly(_Rule):
    """Readings that are further from what is usual for the device and the time of the day than this share of all."""

    kind: Literal["anomaly"] = "anomaly"
    metric: Name
    quantile: Annotated[float, Field(strict=True, ge=0.9, le=0.999_99)] = 0.999


@value
class NoData(_Rule):
    """Nothing was received of a device for `after_s` seconds: no reading of `metric`, or nothing at all without it.

    Shape: a device is missed that was heard of since the watch was defined; one that the watch names, from then on.
    """

    kind: Literal["no_data"] = "no_data"
    metric: Name | None = None
    after_s: Seconds


Rule = Threshold | RateOfChange | Failures | Anomaly | NoData

KINDS: Mapping[str, type[Rule]] = {
    "threshold": Threshold,
    "rate_of_change": RateOfChange,
    "failures": Failures,
    "anomaly": Anomaly,
    "no_data": NoData,
}
FIELDS: Mapping[str, tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(rule) if field.name != "kind") for kind, rule in KINDS.items()
}


@value
class Level:
    """Another limit of the same rule, and how severe it is to reach it."""

    severity: Severity
    limit: Reading


def check_rule(rule: Rule) -> None:
    """Do nothing if a rule says something. Raises: CommandRejected, it does not."""
    if isinstance(rule, RateOfChange) and rule.by == 0:
        raise invalid("a rate of change needs a `by` other than 0; a fall has a negative one")
    if not isinstance(rule, Threshold):
        return
    if (rule.above is None) == (rule.below is None):
        raise invalid("a threshold needs either `above` or `below`")
    if rule.clear is not None and (
        (rule.above is not None and rule.clear > rule.above) or (rule.below is not None and rule.clear < rule.below)
    ):
        raise invalid("`clear` must be on the good side of the limit")


def limit_of(rule: Rule) -> float | None:
    """Return what a level has another value of; None where a rule has no such limit."""
    match rule:
        case Threshold():
            return rule.above if rule.above is not None else rule.below
        case RateOfChange():
            return rule.by
        case Failures():
            return rule.count
        case NoData():
            return rule.after_s
        case Anomaly():
            return None
        case _:
            assert_never(rule)


def at_limit(rule: Rule, limit: float) -> Rule:
    """Return the rule with another limit; `clear` stays as far from it as it was."""
    match rule:
        case Threshold(above=None, below=below, clear=clear):
            return replace(rule, below=limit, clear=None if clear is None else limit + (clear - (below or 0)))
        case Threshold(above=above, clear=clear):
            return replace(rule, above=limit, clear=None if clear is None else limit - ((above or 0) - clear))
        case RateOfChange():
            return replace(rule, by=limit)
        case Failures():
            return replace(rule, count=int(limit))
        case NoData():
            return replace(rule, after_s=int(limit))
        case Anomaly():
            return rule
        case _:
            assert_never(rule)


def check_levels(rule: Rule, levels: tuple[Level, ...]) -> None:
    """Do nothing if each level is reached after the one before it. Raises: CommandRejected, one is not."""
    if len({level.severity for level in levels}) < len(levels):
        raise invalid("each of `levels` needs a severity of its own")
    before = limit_of(rule)
    for level in levels:
        if before is None:
            raise invalid(f"a watch of the kind {rule.kind} has no levels; leave `levels` out")
        down = (isinstance(rule, Threshold) and rule.above is None) or (isinstance(rule, RateOfChange) and rule.by < 0)
        if (level.limit >= before) if down else (level.limit <= before):
            raise invalid(
                f"each of `levels` must be beyond the limit before it; {level.limit:g} is not beyond {before:g}"
            )
        if isinstance(rule, Failures | NoData) and not float(level.limit).is_integer():
            raise invalid(f"the limit of a level must be a whole number here, not {level.limit:g}")
        before = level.limit
