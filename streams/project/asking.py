"""Who only wants to know how things are does not wait for a store or a log that does not answer."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from projections.stores import StoreUnavailable
from streams.ports import LogDamaged, LogUnavailable

T = TypeVar("T")

ANSWER_S = 0.8
"""What is not answered by then is said not to answer: an operator's question takes two seconds at most.

It may ask twice: for the log and the stores, and then for the other workers.
"""

Unanswered = StoreUnavailable | LogUnavailable | LogDamaged


class Askers:
    """Asks several parts at once, each in a thread of its own; one whose answer is late is not asked until it came."""

    def __init__(self, parts: Iterable[str], within_s: float = ANSWER_S) -> None:
        self._within_s = within_s
        self._threads = {part: ThreadPoolExecutor(1, f"ask-{part}") for part in parts}
        self._late: dict[str, Future[Any]] = {}

    def ask(
        self, questions: Mapping[str, Callable[[], T]], within_s: float | None = None
    ) -> Mapping[str, T | Unanswered]:
        """Return the answer of each part, or what it raised; StoreUnavailable where none came in time."""
        deadline = time.monotonic() + (self._within_s if within_s is None else within_s)
        asked: dict[str, Future[T] | None] = {}
        for part, question in questions.items():
            late = self._late.get(part)
            asked[part] = self._threads[part].submit(question) if late is None or late.done() else None
        answers: dict[str, T | Unanswered] = {}
        for part, future in asked.items():
            answers[part] = StoreUnavailable(f"{part} does not answer")
            if future is None:
                continue
            try:
                answers[part] = future.result(max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                if not future.cancel():
                    self._late[part] = future
            except (StoreUnavailable, LogUnavailable, LogDamaged) as error:
                answers[part] = error
        return answers
