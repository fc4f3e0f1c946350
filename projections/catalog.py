"""All projections in one tuple."""

from collections.abc import Sequence

from projections.ports import Role
from projections.projection import Projection

PROJECTIONS: tuple[Projection, ...] = ()


def of_role(role: Role) -> Sequence[Projection]:
    return tuple(projection for projection in PROJECTIONS if projection.role is role)
