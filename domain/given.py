"""A rule that needs more than the command and its stream finds it here: the time, who asks, and other streams."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from schemas.envelope import Actor, StreamId


class Given(NamedTuple):
    """What is given to `decide` beside the command and the state.

    Shape: `made_by` is who recorded the stream's first event, None where there is none yet; `streams` holds the states
    of the streams that the decider's `reads` named, None for one without events.
    Units: `now` is UTC.
    """

    now: datetime
    actor: Actor
    made_by: Actor | None
    streams: Mapping[StreamId, Any]
