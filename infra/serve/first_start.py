"""The first gateway of a log registers the operator here, and keeps the operator's key."""

import asyncio
import logging
from collections.abc import Callable

from schemas.envelope import SYSTEM_TENANT, Actor, ActorType
from streams.intake.http.commands import Gate
from streams.intake.http.onboarding import onboard
from streams.intake.live_keys import by_log
from streams.ports import LogReader, LogUnavailable, Overloaded

_LOG = logging.getLogger(__name__)
_FIRST_START = Actor(ActorType.SYSTEM, "first-start")
_AGAIN_S = 2.0


async def first_start(gate: Gate, log: LogReader, keep: Callable[[str], None]) -> None:
    """Give the operator a key where the log has none of it that works; return when there is one.

    Shape: `keep` gets the key before it is good, since no one can be told of it afterwards. Of gateways that start
    together each may give one.
    """
    operator = onboard(SYSTEM_TENANT, "operator of this log", _FIRST_START)
    begun = False
    while True:
        try:
            if not begun:
                if await by_log(log)(SYSTEM_TENANT):
                    return
                keep(operator.api_key)
                begun = True
            # one that was sent and not answered may be decided yet: the same again, until it is answered. That another
            # gateway has registered the operator is no reason to give it no key.
            replies = [await gate.execute(submission) for submission in operator.submissions]
            if replies[-1].refusal is None:
                return
            _LOG.error("the operator could not be given a key: %s", replies[-1].refusal.reason)
        except (LogUnavailable, Overloaded) as error:
            _LOG.warning("the operator has no key yet: %s", error)
        except Exception:  # noqa: BLE001 - a disk that is full, say: nobody else gives it one, and nobody waits for this
            _LOG.exception("the operator has no key yet")
        await asyncio.sleep(_AGAIN_S)
