"""An import is often started for a small file, so it loads what it needs and nothing else."""

import subprocess
import sys

import pytest

NEEDLESS = {"domain.catalog", "projections.projection", "streams.project.rebuild", "infra.embedded", "pyarrow"}


@pytest.mark.parametrize("kind", ["invoices", "metrics", "logs"])
def test_an_import_loads_no_other_context_no_view_and_no_other_import(kind: str) -> None:
    others = [f"infra.cli.import_{other}" for other in ("invoices", "metrics", "logs") if other != kind]
    asked = f"import sys, infra.cli.main, infra.cli.import_{kind}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    assert f"infra.cli.import_{kind}" in loaded
    assert NEEDLESS.union(others).isdisjoint(loaded)
