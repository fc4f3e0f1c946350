"""A long job tells in these steps how far it is; it is apart because the command line loads it for every import."""

from typing import NamedTuple


class Step(NamedTuple):
    """How far a long job is. Units: records of the log."""

    done: int
    total: int
