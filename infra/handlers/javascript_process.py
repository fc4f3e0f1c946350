"""This process runs one script that comes on its standard input, says what came of it, and ends."""

import json
import resource
import sys
from typing import Any

from py_mini_racer import JSOOMException, JSTimeoutException, MiniRacer

_MB = 1_048_576
_OWN_MB = 1_024
"""What Python and V8 may set aside for themselves; they use a tenth of it."""

_NOT_FOR_SCRIPTS = (
    # memory that no limit of V8's counts, and what mini-racer adds to the language
    *("SharedArrayBuffer", "WebAssembly", "Atomics", "FinalizationRegistry", "WeakRef"),
    *("console", "setTimeout", "clearTimeout"),
)


def main() -> None:
    told = json.load(sys.stdin)
    seconds = int(told["timeout_s"]) + 5
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    most = (_OWN_MB + told["memory_mb"]) * _MB
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(limit, (0, 0))
    sys.stdout.write(json.dumps(_said(told)))


def _said(told: dict[str, Any]) -> dict[str, Any]:
    # a JSON text is an expression of JavaScript too
    code, given = json.dumps(told["code"]), json.dumps(told["input"])
    forget = "".join(f"globalThis[{json.dumps(name)}] = undefined;" for name in _NOT_FOR_SCRIPTS)
    # what the script changes of the language, it changes for itself: these names are bound before it runs
    source = f"""(function () {{
        const {{stringify, parse}} = JSON, Text = String;
        try {{
            const made = new Function("input", '"use strict";' + {code});
            {forget}
            return stringify({{value: made(parse({given}))}});
        }} catch (error) {{
            try {{ return stringify({{error: "the script failed: " + Text(error)}}); }}
            catch {{ return '{{"error": "the script failed"}}'; }}
        }}
    }})()"""
    try:
        text = MiniRacer().eval(source, timeout_sec=told["timeout_s"], max_memory=told["memory_mb"] * _MB)
    except JSTimeoutException:
        return {"error": f"the script took longer than {told['timeout_s']:g} s"}
    except JSOOMException:
        return {"error": f"the script needed more than {told['memory_mb']} MB"}
    if not isinstance(text, str) or len(text.encode()) > told["most"]:
        return {"error": f"the script gave more than {told['most'] // 1024} KiB of JSON"}
    said: dict[str, Any] = json.loads(text)
    return said or {"value": None}


if __name__ == "__main__":
    main()
