"""A script is run here in a folder of its own, for so long and no longer, and what it says is kept up to a limit."""

import os
import selectors
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import NamedTuple

SHELLS: Mapping[str, str] = {"bash": "bash", "python": "python3"}
"""Which program runs the scripts of a shell, where there is one of that name."""

MOST_CHARACTERS = 65_536
"""What a result may hold of the output. Source: command.completed."""

_LOOK_S = 0.1
_CHUNK = 65_536
_LAST_WORD_S = 5.0
_TETHER = """
set -m
"$@" < /dev/null 2>&1 &
script=$!
{ cat > /dev/null; kill -KILL -- -$script; } > /dev/null &
wait $script
code=$?
kill -KILL -- -$script -$!
exit $code
"""
"""Runs a command in a process group of its own, and ends the whole group when the command is over, or when nobody holds
the other end of its standard input any more, as when the agent is killed."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Ran(NamedTuple):
    """How a script ended: with an exit code, or with the error for which it was ended.

    Shape: `output` is what it wrote to its standard output and its standard error, in their order; `truncated` says
    that it was more.
    Units: `duration_ms` is in milliseconds.
    """

    exit_code: int | None
    error: str | None
    output: str
    truncated: bool
    duration_ms: int


def run(shell: str, body: str, *, limit_s: float, meanwhile: Callable[[], str | None]) -> Ran:
    """Run a script and return how that ended; `meanwhile` is asked again and again for a reason to end it.

    Shape: nothing of the environment is handed on, so that no script finds a key in it. All that it began ends with it,
    and with this process, unless it made itself a session of its own.
    """
    began = monotonic()
    folder = Path(tempfile.mkdtemp(prefix="factline-agent-"))
    try:
        (folder / "script").write_text(body, encoding="utf-8")
        bash, program = (shutil.which(name, path=_PATH) for name in ("bash", SHELLS[shell]))
        if bash is None or program is None:
            return Ran(None, f"there is no {SHELLS[shell]} on this device", "", truncated=False, duration_ms=0)
        command = [bash, "-c", _TETHER, "tether", program, str(folder / "script")]
        kept, truncated, error, code = _run(command, folder, began + limit_s, meanwhile, limit_s)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    # a database may not take it, and no reader expects it
    text = kept.decode("utf-8", "replace").replace("\0", "�")
    truncated = truncated or len(text) > MOST_CHARACTERS
    duration_ms = round((monotonic() - began) * 1000)
    return Ran(None if error else code, error, text[:MOST_CHARACTERS], truncated, duration_ms)


def _run(
    command: list[str], folder: Path, until: float, meanwhile: Callable[[], str | None], limit_s: float
) -> tuple[bytes, bool, str | None, int]:
    kept, truncated, error = bytearray(), False, None
    with subprocess.Popen(  # noqa: S603 - whose digest the owner allowed
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # what bash says of its jobs is no output of the script's
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env={"PATH": _PATH, "HOME": str(folder), "LANG": "C.UTF-8"},
        start_new_session=True,
    ) as process:
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        output = process.stdout.fileno()
        os.set_blocking(output, False)
        # not `select`, which fails in a process that has more than 1,024 files open
        waiting = selectors.PollSelector()
        waiting.register(output, selectors.EVENT_READ)
        while True:
            over = process.poll() is not None
            said = waiting.select(0 if over else _LOOK_S)
            some = os.read(output, _CHUNK) if said else None
            if some:
                # what is too much is read all the same, or the script would stand still
                room = 4 * MOST_CHARACTERS - len(kept)
                kept += some[:room]
                truncated = truncated or len(some) > room
            elif over or some == b"":
                break
            error = f"ended after {limit_s:g} s, its time limit" if monotonic() > until else meanwhile()
            if error:
                break
        # the tether ends what still runs
        process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LAST_WORD_S)
        if process.poll() is None:
            process.kill()
        process.stdout.close()
        return bytes(kept), truncated, error, process.wait()
