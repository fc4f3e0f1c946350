"""What the events of each context set in its documents, a module for each context."""

from typing import Any

from domain.message import Event
from projections.projection import Projection

Case = tuple[Projection, str, Event, dict[str, Any]]
"""A view, the key of the document, an event, and the fields that it sets."""

HAPPENED = "2010-12-01T08:26:00.000000Z"
RECORDED = "2026-01-31T08:30:00.250000Z"
