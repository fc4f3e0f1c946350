"""Schemathesis sends what the description of the API allows, and what it does not, to a server of the embedded profile.

What is not checked, schemathesis.toml says. The live feed is left out, because it has no end to wait for.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from infra.data_dir import operator_key
from infra.embedded import Embedded
from infra.serve.embedded import create_app
from projections.credentials import RateLimits
from tests.streams.intake.http.ways_in import served

_HERE = Path(__file__).parent
_OPERATOR = "^/v1/(operator|tenants)"
_WAIT_S = 0.1
_ENDLESS = "/v1/live"
_MANY = RateLimits(100_000, 1_000_000, 10_000_000)


class Target(NamedTuple):
    """A server, with the key of a tenant and that of the operator."""

    url: str
    tenant_key: str
    operator_key: str


@contextmanager
def target(folder: Path) -> Iterator[Target]:
    """Serve a new data directory of the demo tenant."""
    with Embedded.open(folder) as embedded:
        tenant_key = embedded.first_start()
        embedded.views.catch_up()
        of_operator = operator_key(folder)
        assert tenant_key
        assert of_operator
        # nearly every answer would be 429 otherwise
        app = create_app(embedded, host_metrics=False, usual_limits=_MANY)
        # invented tokens are ahead of the log: nobody waits for them as long as for real ones
        app.state.answers.consistency_wait_s = _WAIT_S
        with served(app) as client:
            # it is made when it is first asked for, and Schemathesis waits no more than ten seconds for it
            assert client.get("/openapi.json", timeout=120).is_success
            yield Target(str(client.base_url).rstrip("/"), tenant_key, of_operator)


def run(target: Target, *, examples: int, seed: int, phases: str) -> "list[subprocess.CompletedProcess[str]]":
    """Send each operation so many generated requests, of both keys; return how each of the two runs ended."""
    return [
        _run(target.url, key, ("--max-examples", str(examples), "--seed", str(seed), "--phases", phases, *which))
        for key, which in (
            (target.tenant_key, ("--exclude-path-regex", _OPERATOR, "--exclude-path", _ENDLESS)),
            (target.operator_key, ("--include-path-regex", _OPERATOR)),
        )
    ]


def _run(url: str, key: str, options: tuple[str, ...]) -> "subprocess.CompletedProcess[str]":
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(_HERE / "schemathesis.toml")),
        *("run", f"{url}/openapi.json", "--header", f"X-API-Key: {key}", "--generation-database", "none", *options),
    ]
    # what it keeps for itself is not for this folder
    with TemporaryDirectory(prefix="schemathesis-") as folder:
        environment = {
            **os.environ,
            "SCHEMATHESIS_HOOKS": "tests.conformance.hooks",
            "PYTHONPATH": str(_HERE.parents[1]),
        }
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
