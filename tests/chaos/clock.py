"""`python -m tests.chaos.clock FILE serve …` runs factline with a clock that is as far ahead as FILE says, in seconds.

The whole process sees it, as it would see an operator or a time server set the machine's clock; only clocks that count
how long something takes go on as they were.
"""

import random
import sys
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import time_machine

_LOOK_S = 0.02
FARTHEST = timedelta(hours=3)


class JumpingClock:
    """Sets the clock of servers that are started by `program`."""

    def __init__(self, file: Path, chance: random.Random) -> None:
        self._file = file
        self._chance = chance
        self.jumps = 0
        self._set(timedelta())

    @property
    def program(self) -> Sequence[str]:
        return (sys.executable, "-m", "tests.chaos.clock", str(self._file))

    def jump(self) -> None:
        """Set the clock anywhere, forward or back."""
        self._set(self._chance.uniform(-1, 1) * FARTHEST)
        self.jumps += 1

    def pass_all(self) -> None:
        """Set the clock ahead of wherever it was, so that all is due in the end that was to be due soon."""
        self._set(FARTHEST + timedelta(minutes=1))
        self.jumps += 1

    def _set(self, ahead: timedelta) -> None:
        # in one step: it is never read half
        written = self._file.with_suffix(".new")
        written.write_text(str(ahead.total_seconds()))
        written.replace(self._file)


def main() -> None:
    file = Path(sys.argv.pop(1))
    ahead_s = float(file.read_text())
    clock = time_machine.travel(time.time() + ahead_s, tick=True).start()

    def follow(ahead_s: float) -> None:
        while True:
            time.sleep(_LOOK_S)
            now_s = float(file.read_text())
            if now_s != ahead_s:
                clock.shift(timedelta(seconds=now_s - ahead_s))
                ahead_s = now_s

    threading.Thread(target=follow, args=(ahead_s,), daemon=True).start()
    # after the clock is set: what is imported may look at it
    from infra.cli.main import main as factline  # noqa: PLC0415

    factline()


if __name__ == "__main__":
    main()
