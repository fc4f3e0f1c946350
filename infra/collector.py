"""This sets Python's garbage collector for a process that moves many small immutable values."""

import gc


def settle_collector() -> None:
    """Leave what start-up made out of every later collection, and collect seldom.

    Rows and envelopes die by reference counting; with Python's defaults the collector took a third of a projector's
    time, and its full runs stopped answers for 50 to 150 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
