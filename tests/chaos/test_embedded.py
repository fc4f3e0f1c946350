"""The short form of `python -m tests.chaos embedded`."""

from pathlib import Path

import pytest

from tests.chaos import embedded


@pytest.mark.full
def test_nothing_answered_is_lost_or_doubled_when_the_server_is_killed(tmp_path: Path) -> None:
    files = sorted(embedded.INVOICES.glob("*.csv"))[:2]
    if not files:
        pytest.skip(f"no invoices in {embedded.INVOICES}")
    result = embedded.run(kills=3, seed=7, folder=tmp_path, files=files, say=lambda _text: None)
    assert result.failures == []
    assert result.commands_answered > 0
    assert result.facts_answered > 0
    assert result.broken_connections > 0
    assert result.keys.repeated > 0
    assert result.processes.expired > 0
    assert result.clock_jumps > 0
    assert result.backups.whole > 0
