"""An old payload becomes a new one in steps, one pure function for each, when a rule or a view looks at an old event.

An envelope holds the payload as it was written, so that histories show that and nothing of it is lost.
"""

from collections.abc import Callable, Mapping
from typing import Any

Payload = Mapping[str, Any]
Step = Callable[[Payload], Payload]


def _with_exact_sums(data: Payload) -> Payload:
    # eight decimals held every sum
    lines = [{**line, "exact_price": None} for line in data["lines"]]
    return {**data, "lines": lines, "exact_net": None, "exact_total": None}


def _with_exact_payment(data: Payload) -> Payload:
    return {**data, "exact_amount": None, "exact_paid_total": None}


def _as_series(data: Payload) -> Payload:
    # the one instant of the fact is the time of its record
    unit = data["unit"]
    return {
        "series": [
            {"metric": metric, "unit": unit, "after_us": [0], "values": [reading]}
            for metric, reading in data["metrics"].items()
        ]
    }


def _as_lines(data: Payload) -> Payload:
    return {"lines": [{"after_us": 0, "id": None, **data}]}


def _as_served(data: Payload) -> Payload:
    return {"served": [{"after_us": 0, **data}]}


def _as_heartbeats(data: Payload) -> Payload:
    return {"heartbeats": [{"after_us": 0, **data}]}


def _with_what_watches_do_since(data: Payload) -> Payload:
    new = ("gap_s", "late_s", "after_s", "levels", "again_s", "flap_count", "flap_s", "look_back_s")
    return {**data, **dict.fromkeys(new)}


def _without_limits(data: Payload) -> Payload:
    return {**data, "limits": None}


def _without_history(data: Payload) -> Payload:
    return {**data, "history": None}


def _without_persons(data: Payload) -> Payload:
    return {**data, "person": None, "personal": None}


def _as_it_is(data: Payload) -> Payload:
    return data


STEPS: Mapping[tuple[str, int], Step] = {
    ("agent.execution.started", 1): _without_history,
    ("api.request.served", 1): _as_served,
    ("device.heartbeat", 1): _as_heartbeats,
    ("device.metrics.reported", 1): _as_series,
    ("integration.received", 1): _without_persons,
    ("invoice.received", 1): _with_exact_sums,
    ("log.recorded", 1): _as_lines,
    # the second version has no hash of the secret; that of the first is still what the key is known by
    ("api_key.issued", 1): _as_it_is,
    ("api_key.issued", 2): _without_limits,
    ("api_key.rotated", 1): _as_it_is,
    # the second version has the same fields, of which some are sealed
    ("lead.captured", 1): _as_it_is,
    ("payment.recorded", 1): _with_exact_payment,
    ("payment.refunded", 1): _with_exact_payment,
    ("watch.defined", 1): _with_what_watches_do_since,
}
"""(type, version) -> the function that makes its payload one version newer."""


def to_newest(
    type_: str, version: int, data: Payload, steps: Mapping[tuple[str, int], Step] = STEPS
) -> tuple[int, Payload]:
    """Return the newest version's number and payload."""
    while step := steps.get((type_, version)):
        data = step(data)
        version += 1
    return version, data
