"""Commands of the documentation are read and run here, as somebody would who types them in."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from shutil import copy
from typing import NamedTuple, Self

ROOT = Path(__file__).parents[1]
WITHIN_S = 120.0
READ_WITHIN_S = 15.0
"""A view has what was recorded, and an alert is raised, within this time."""


class Step(NamedTuple):
    """A command, and what the text says of its answer: `…` stands for anything."""

    command: str
    expected: Sequence[str]


def steps(text: str) -> Iterator[Step]:
    """Yield the commands of all fenced blocks that name no language; a line that begins with `#` is an answer."""
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if language:
            continue
        command, expected = "", list[str]()
        for line in block.splitlines():
            if line.startswith("# ") and not unfinished(command):
                expected.append(line[2:])
                continue
            if command and not unfinished(command):
                yield Step(command, expected)
                command, expected = "", []
            command += line + "\n"
        yield Step(command, expected)


def unfinished(command: str) -> bool:
    """Tell whether a command goes on in the next line."""
    if command.endswith("\\\n"):
        return True
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return True
    return False


def place(expected: Sequence[str], found: str) -> str | None:
    """Return the first expected line that is not in the answer, after those before it; None where all are."""
    at = 0
    for line in expected:
        match = re.compile(".*?".join(re.escape(part) for part in line.split("…"))).search(found, at)
        if match is None:
            return line
        at = match.end()
    return None


def clone(folder: Path) -> Path:
    """Copy what a clone would have, with a virtual environment that runs this copy with the tests' packages."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / name, folder / name)
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    (programs / "activate").write_text(f"export PATH={shlex.quote(str(programs))}:$PATH\n")
    program = f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(folder))} exec {sys.executable} -m infra.cli.main "$@"\n'
    (programs / "factline").write_text(program)
    (programs / "factline").chmod(0o755)
    # what `make run` would have installed is there; last, because make looks at times
    (folder / ".venv" / ".run").touch()
    return folder


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
    return port


class Terminal:
    """A shell in a folder: what is exported stays, and what was started runs until the end."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        told = {name: value for name, value in os.environ.items() if not name.startswith(("FACTLINE_", "PYTHON"))}
        self._folder = folder
        self.environment = {**told, "NO_PROXY": "127.0.0.1", **environment}
        self._running = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def run(self, step: Step) -> str:
        """Run a command to its end; one that only reads is run again until it answers what is expected."""
        if step.command.split()[0] in {".", "export", "eval"}:
            self._export(step.command)
            return ""
        reads = step.command.startswith("curl ") and " -d " not in step.command
        deadline = time.monotonic() + READ_WITHIN_S
        while True:
            done = self._done(step.command)
            missing = place(step.expected, done.stdout)
            if missing is None:
                return done.stdout
            assert reads, f"{step.command}answers not {missing}, but\n{done.stdout}{done.stderr}"
            assert time.monotonic() < deadline, f"{step.command}answers not {missing}, but\n{done.stdout}"
            time.sleep(0.2)

    def start(self, step: Step) -> str:
        """Start a command that does not end by itself, and wait until it has said what is expected."""
        said = self._folder / f"said-{time.monotonic_ns()}"
        with said.open("w") as out:
            command = ["bash", "-c", f"exec {step.command}"]
            child = subprocess.Popen(command, cwd=self._folder, env=self.environment, stdout=out, stderr=out)
        self._running.callback(self._end, child)
        deadline = time.monotonic() + WITHIN_S
        while (missing := place(step.expected, found := said.read_text())) is not None:
            assert child.poll() is None, f"{step.command}ended: {found}"
            assert time.monotonic() < deadline, f"{step.command}says not {missing}, but\n{found}"
            time.sleep(0.1)
        return found

    def _end(self, child: "subprocess.Popen[bytes]") -> None:
        child.send_signal(signal.SIGTERM)
        child.wait(WITHIN_S)

    def _export(self, command: str) -> None:
        done = self._done(f"{command}\nenv -0")
        # what `eval` runs may have failed without the shell's noticing
        assert not done.stderr, done.stderr
        self.environment = dict(entry.split("=", 1) for entry in done.stdout.split("\0") if "=" in entry)

    def _done(self, command: str) -> "subprocess.CompletedProcess[str]":
        shell = ["bash", "-ec", command]
        done = subprocess.run(
            shell, cwd=self._folder, env=self.environment, capture_output=True, text=True, timeout=WITHIN_S, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done
