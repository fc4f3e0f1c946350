"""`factline tail` from the command to what the log has."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from domain.catalog import facts_of
from infra.cli.main import cli
from infra.embedded import Embedded
from schemas.envelope import Envelope, Topic


def tail(data_dir: Path, *files: Path, options: tuple[str, ...] = ()) -> Result:
    state = str(data_dir.parent / "state")
    call = ["tail", *map(str, files), "--tenant", "demo", "--data-dir", str(data_dir), "--state", state, "--once"]
    return CliRunner().invoke(cli, [*call, *options])


def lines(data_dir: Path) -> list[tuple[str, str]]:
    with Embedded.open(data_dir) as embedded:
        found = embedded.log.read(Topic.TELEMETRY, 0, after=0, limit=1_000)
    facts = [fact for record in found if isinstance(record, Envelope) for fact in facts_of(record)]
    return [(fact.stream, fact.data["summary"]) for fact in facts]


def test_files_are_followed_from_run_to_run_and_over_a_rotation(data_dir: Path, tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("2026-03-04T17:20:30Z gw p: a\n")
    first = tail(data_dir, log)
    assert (first.exit_code, "accepted: 1" in first.output) == (0, True), first.output
    log.rename(tmp_path / "app.log.1")
    with (tmp_path / "app.log.1").open("a") as old:
        old.write("2026-03-04T17:20:31Z gw p: b\n")
    log.write_text("2026-03-04T17:20:32Z db p: c\nno log line\n")
    second = tail(data_dir, log)
    assert (second.exit_code, "accepted: 2" in second.output) == (1, True), second.output
    assert f"{log}, line 2, is refused: the line is in no form that is known" in second.output
    third = tail(data_dir, log)
    assert (third.exit_code, "rows read: 0" in third.output) == (0, True), third.output
    assert lines(data_dir) == [("device-gw", "a"), ("device-gw", "b"), ("device-db", "c")]


def test_a_state_that_cannot_be_read_is_named(data_dir: Path, tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("2026-03-04T17:20:30Z gw p: a\n")
    tail(data_dir, log)
    [state] = (tmp_path / "state").iterdir()
    state.write_text("{")
    result = tail(data_dir, log)
    assert (result.exit_code, f"{state} is not readable; remove it" in result.output) == (2, True)


@pytest.mark.parametrize("options", [("--format", "csv"), ("--encoding", "utf-16")])
def test_what_cannot_be_followed_is_a_mistake_in_the_call(
    data_dir: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    result = tail(data_dir, tmp_path / "log", options=options)
    assert (result.exit_code, "bring them in with `import logs`" in result.output) == (2, True)


def test_help_shows_examples() -> None:
    assert "factline tail /var/log/auth.log" in CliRunner().invoke(cli, ["tail", "--help"]).output
