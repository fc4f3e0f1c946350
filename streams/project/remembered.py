"""This is what a comparison remembers for the next one: digests of what the log says, and when a store held it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from projections.rows import Checkpoint
from schemas.envelope import Position, TenantId, Topic
from streams.project.digests import Digest, Group, Piece


class Said(NamedTuple):
    """What the log says of the rows of one group.

    Shape: in each partition that made one of them, the first record that did comes after a place of `starts`.
    `found_at` is when the store was last read and held just this; None where it was not, or where something was
    recorded of the group since.
    """

    digest: Digest
    starts: Sequence[Position]
    found_at: datetime | None


class Remembered(Protocol):
    """Digests by table and group; what is lost costs time, nothing else. Raises: StoreUnavailable."""

    def is_of(self, table: str, origin: str) -> bool:
        """Say if what there is of a table is of this origin: the same log, read by the same code."""

    def begin(self, table: str, origin: str) -> None:
        """Forget what there is of a table; what comes is of this origin."""

    def reached(self, table: str) -> Mapping[tuple[Topic, int], int]:
        """Return how far the log was read for these digests."""

    def cuts(self, table: str) -> Sequence[int]:
        """Return the greatest positions of the segments but the last one, in order."""

    def cut(self, table: str) -> None:
        """Let rows with a greater position than any so far be of a new segment, where the last one has many rows."""

    def add(
        self,
        table: str,
        groups: Mapping[Group, Digest],
        highest: int,
        after: Position,
        until: Sequence[Checkpoint],
    ) -> None:
        """Add the rows of records that come after a place, and say how far the log was read now, in one step.

        Shape: `highest` is the greatest position of these rows.
        """

    def left_out(self, table: str) -> frozenset[Position]:
        """Return the places of records that were passed over."""

    def leave_out(self, table: str, places: Collection[Position]) -> None:
        """Keep which records are passed over, in place of what was kept."""

    def tenants(self, table: str) -> Sequence[TenantId]:
        """Return the tenants of whom the log says something."""

    def said(self, table: str, tenant_id: TenantId) -> Mapping[Piece, Said]:
        """Return what the log says of a tenant."""

    def found(self, table: str, tenant_id: TenantId, digests: Mapping[Piece, Digest], at: datetime) -> None:
        """Keep that the log says this of some pieces, and that the store was read and held it."""
