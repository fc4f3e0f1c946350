"""Real scripts are run, and ended when they take too long, say too much, or leave something behind."""

import os
import resource
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import pytest

from factline.scripts import MOST_CHARACTERS, Ran, run
from tests.waiting import eventually


def ran(body: str, *, shell: str = "bash", limit_s: float = 60, reason: str | None = None) -> Ran:
    return run(shell, body, limit_s=limit_s, meanwhile=lambda: reason)


def is_gone(pid_file: Path) -> bool:
    """Return whether the process is over whose number a script wrote there."""
    stat = Path(f"/proc/{int(pid_file.read_text())}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_script_runs_in_a_process_that_has_many_files_open() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        for _ in range(1_100):
            stack.enter_context(Path(os.devnull).open("rb"))
        assert ran("echo one").output == "one\n"


def test_script_says_what_it_wrote_and_how_it_ended() -> None:
    found = ran("echo one; echo two >&2; echo three; exit 7")
    assert found == Ran(7, None, "one\ntwo\nthree\n", truncated=False, duration_ms=found.duration_ms)
    assert ran("print(6 * 7)", shell="python").output == "42\n"
    assert ran("kill -TERM $$").exit_code == 143


def test_script_gets_a_folder_of_its_own_and_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTLINE_API_KEY", "ak_1.sk_1")
    said = ran("env; pwd; ls; read line; echo read:$line").output
    assert "sk_1" not in said
    folder = next(line.removeprefix("HOME=") for line in said.splitlines() if line.startswith("HOME="))
    assert said.endswith(f"{folder}\nscript\nread:\n")
    assert not Path(folder).exists()


def test_script_that_takes_too_long_is_ended_with_all_that_it_began(tmp_path: Path) -> None:
    began = monotonic()
    found = ran(f"sleep 300 & echo $! > {tmp_path}/child; echo hello; sleep 300", limit_s=1)
    assert monotonic() - began < 60
    assert (found.exit_code, found.error) == (None, "ended after 1 s, its time limit")
    assert eventually(lambda: is_gone(tmp_path / "child"))


def test_what_a_script_leaves_behind_is_ended_with_it(tmp_path: Path) -> None:
    began = monotonic()
    found = ran(f"sleep 300 & echo $! > {tmp_path}/child; echo done")
    assert monotonic() - began < 60
    assert (found.exit_code, found.output) == (0, "done\n")
    assert eventually(lambda: is_gone(tmp_path / "child"))


@pytest.mark.parametrize("body", ["head -c 5000000 /dev/zero | tr '\\0' x", "yes ä | head -n 300000"])
def test_of_too_much_output_the_beginning_is_kept(body: str) -> None:
    found = ran(body)
    assert (found.exit_code, found.truncated, len(found.output)) == (0, True, MOST_CHARACTERS)


def test_output_that_is_no_text_is_kept_as_text() -> None:
    assert ran(r"printf '\377\0a'").output == "��a"


def test_script_is_ended_for_a_reason() -> None:
    assert ran("sleep 300", reason="not wanted any more").error == "not wanted any more"


def test_program_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factline.scripts._PATH", os.devnull)
    assert ran("echo").error == "there is no bash on this device"
