"""This folds a stream's events up to some moment, to show what was known of a thing at that moment."""

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from domain.catalog import event_from, evolve_for_category
from schemas.canonical_json import canonical_json
from schemas.envelope import Envelope, category_of


def state_at(events: Sequence[Envelope]) -> dict[str, Any] | None:
    """Return the state after a stream's events, the first to the last wanted, or None where there is no rule for it.

    Shape: JSON-like; amounts are decimal strings, a status is its name; no events give None.
    Raises: KeyError or ValueError, an event that no released rule knows.
    """
    if not events:
        return None
    evolve = evolve_for_category(category_of(events[0].stream))
    if evolve is None:
        return None
    state: Any = None
    for envelope in events:
        state = evolve(state, event_from(envelope))
    plain: dict[str, Any] = json.loads(canonical_json(_shown(state) | _derived(state)))
    return plain


def _shown(state: Any) -> dict[str, Any]:
    # a field without a repr is there for the rules only
    hidden = {one.name for one in fields(state) if not one.repr}
    return {name: value for name, value in asdict(state).items() if name not in hidden}


def _derived(state: Any) -> dict[str, Any]:
    return {name: getattr(state, name) for name, member in vars(type(state)).items() if isinstance(member, property)}
