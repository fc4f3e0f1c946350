"""This handler runs a script in V8, in a process of its own with a limit of time and memory."""

import asyncio
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from factline.worker import Failed, Task
from infra.handlers.inputs import Input, checked
from infra.handlers.web import Handler
from schemas.json_text import MAX_JSON_BYTES

_PROCESS = Path(__file__).with_name("javascript_process.py")
_AT_ONCE = 2
_STARTING_S = 10
"""A process that says nothing so long after its script's time is ended from outside."""


class Script(Input):
    code: Annotated[str, StringConstraints(min_length=1)]
    input_: Annotated[Any, Field(alias="input")] = None
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 5
    memory_mb: Annotated[int, Field(ge=8, le=256)] = 64


def script_javascript() -> Handler:
    """Return the handler of `script.javascript`.

    Shape: `code` is the body of a function of `input`; what it returns, as JSON, is the output {value}. It has the
    language and nothing of this machine: no files, no network, no modules, no timers.
    """
    turn = asyncio.Semaphore(_AT_ONCE)

    async def run(task: Task) -> Any:
        asked = checked(Script, task.input)
        async with turn:
            said = await _in_a_process(asked)
        if "error" in said:
            raise Failed(said["error"], retryable=False)
        return {"value": said["value"]}

    return run


async def _in_a_process(asked: Script) -> dict[str, Any]:
    # -I and no environment: the process knows no secret of this one, and loads nothing from the folder it is in
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(_PROCESS),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
        cwd="/",
    )
    told = {
        "code": asked.code,
        "input": json.dumps(asked.input_),
        "timeout_s": asked.timeout_s,
        "memory_mb": asked.memory_mb,
        "most": MAX_JSON_BYTES,
    }
    try:
        async with asyncio.timeout(asked.timeout_s + _STARTING_S):
            out, _ = await process.communicate(json.dumps(told).encode())
    except TimeoutError:
        return {"error": f"the script took longer than {asked.timeout_s:g} s"}
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    try:
        said: dict[str, Any] = json.loads(out)
    except ValueError:
        return {"error": f"the script needed more than {asked.memory_mb} MB, or ended V8"}
    return said
