"""Cases of the operations context, which has no documents."""

from tests.projections.documents import Case

CASES: list[Case] = []
