"""A record that a newer release wrote is no bad record: whoever meets it waits for an update."""

from projections.operations import UPDATE
from schemas.envelope import Undecodable


class NeedsUpdate(Exception):  # noqa: N818
    """A newer release wrote a record that this one does not know: a retry helps when this process was updated.

    Nothing of the record was skipped or parked: after the update the view goes on with it.
    """

    def __init__(self, who: str, entry: Undecodable) -> None:
        super().__init__(
            f"{who} waits before {entry.topic.value}/{entry.partition}/{entry.position}, of the type {entry.type},"
            f" which a newer release wrote ({entry.reason}); {UPDATE}"
        )
