"""What was made of the texts of files is remembered here, but not of long ones: a file can hold a gigabyte of those."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar, TypeVarTuple

Ts = TypeVarTuple("Ts")
R = TypeVar("R")

LONGEST = 300
"""Characters. Whatever has a use as a name, an amount, a date or an address is shorter."""


def remembered(most: int) -> Callable[[Callable[[*Ts], R]], Callable[[*Ts], R]]:
    """Return a decorator: a function that gives the same for the same remembers its last answers.

    Shape: it is asked again where one of its texts is long.
    """

    def remember(function: Callable[[*Ts], R]) -> Callable[[*Ts], R]:
        known = lru_cache(most)(function)

        @wraps(function)
        def ask(*said: *Ts) -> R:
            for one in said:
                if one.__class__ is str and len(one) > LONGEST:
                    return function(*said)
            return known(*said)

        return ask

    return remember
