"""The embedded server is killed at random while invoices are imported, and then its log is checked."""

import csv
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from infra.sqlite.event_log import SqliteEventLog
from schemas.envelope import Topic
from tests.chaos.backups import Backed, Backups
from tests.chaos.clock import JumpingClock
from tests.chaos.history import Findings, History, calling, check, read_all, reports, rivals_for, tags_devices
from tests.chaos.invitations import Ended, ends_of, invites
from tests.chaos.keys import Again, used_again, uses_keys_again
from tests.infra.server_process import ServerProcess, factline

INVOICES = Path(__file__).parents[2].parent / "shared" / "data" / "online-retail"
TENANT = "demo"
ROUNDS = 100
_ENDS_WITHIN_S = 60.0
_NO_SERVER = 2

Say = Callable[[str], None]


class Result(NamedTuple):
    """What a run found; `failures` names what must not be, and is empty when all held."""

    seed: int
    kills: int
    killed_while_starting: int
    seconds: float
    imports: int
    imports_given_up: int
    rows: int
    rows_answered: int
    sum_of_files: str
    sum_answered: str
    commands_answered: int
    facts_answered: int
    tries: int
    broken_connections: int
    log: Findings
    keys: Again
    processes: Ended
    backups: Backed
    clock_jumps: int
    rounds_won_once: int
    rounds: int
    verified: bool
    failures: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        found = self.log
        return {
            **self._asdict(),
            "log": found._asdict(),
            "keys": self.keys._asdict(),
            "processes": self.processes._asdict(),
            "backups": self.backups._asdict(),
            "commands": self.commands_answered,
            "facts": self.facts_answered,
            "lost": found.lost,
            "doubled": found.doubled + found.facts_doubled,
            "differences": found.holes
            + found.wrong_answers
            + found.versions_won_twice
            + found.times_fell
            # the totals of these stand first
            + sum(self.keys[2:])
            + sum(self.processes[3:])
            + self.backups.missing,
        }


class Importer:
    """Runs `factline import invoices` on one file after the other, and from the start again, until it is stopped."""

    def __init__(self, files: Sequence[Path], server: ServerProcess) -> None:
        self._files = files
        self._environment = {**os.environ, "FACTLINE_URL": server.address, "FACTLINE_API_KEY": server.api_key}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.imports = 0
        self.given_up = 0
        self.failures: list[str] = []

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """Stop when each file has been imported at least once."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not (self._stop.is_set() and self.imports >= len(self._files)):
            file = self._files[self.imports % len(self._files)]
            ended = self.once(file)
            if ended.returncode == _NO_SERVER and "did not answer" in ended.stderr:
                # it waits a few seconds for a server that was never there; its user starts it again, and so do we
                self.given_up += 1
                continue
            if ended.returncode != 0:
                said = f"{ended.stdout[-500:]} {ended.stderr[-500:]}"
                self.failures.append(f"import of {file.name}: status {ended.returncode}: {said}")
                return
            self.imports += 1

    def once(self, *files: Path) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "infra.cli.main", "import", "invoices", *map(str, files), "--tenant", TENANT]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=self._environment)


def run(*, kills: int, seed: int, folder: Path, files: Sequence[Path], say: Say) -> Result:
    began = time.monotonic()
    chance = random.Random(seed)
    # beside a file the import puts the rows that were refused
    files = [Path(shutil.copy(file, folder)) for file in files]
    history = History()
    clock = JumpingClock(folder / "clock", chance)
    server = ServerProcess(folder / "data", port=free_port(), program=clock.program)
    backups = Backups(server.data_dir, history, chance)
    with server:
        importer = Importer(files, server)
        importer.start()
        with calling([server.address], server.api_key, history, seed=seed) as callers:
            for caller in (
                tags_devices("a"),
                tags_devices("b"),
                reports("meter"),
                uses_keys_again("keys"),
                invites("guest"),
            ):
                callers.start(caller)
            for name in ("one", "two"):
                callers.start(rivals_for("shared", name))
            while_starting = _kill_again_and_again(server, kills, chance, _Trouble(clock, backups), say)
            clock.pass_all()
            importer.finish()
        again = importer.once(*files)
        _wait_for_ends(server, history)
        rounds_won_once = _rounds(server, ROUNDS)
        say("proving")
        verified = factline("verify", "--data-dir", str(server.data_dir))
        rows_answered, sum_answered = _revenue(server)
        status = server.stop()
    rows, sum_of_files = _sum(files)
    with closing(SqliteEventLog(server.data_dir)) as log:
        events = read_all(log, Topic.EVENTS)
        findings = check(history, events, read_all(log, Topic.TELEMETRY))
    keys, processes, backed = used_again(history, events), ends_of(history.invited, events), backups.check()
    failures = [*importer.failures]
    if again.returncode != 0 or "accepted: 0\n" not in again.stderr + again.stdout:
        failures.append(f"a last import of everything: {again.stdout[-300:]} {again.stderr[-300:]}")
    if verified.returncode != 0:
        failures.append(f"verify: {verified.stdout} {verified.stderr}")
    if (rows, sum_of_files) != (rows_answered, sum_answered):
        failures.append(f"files have {rows} rows for {sum_of_files}, revenue has {rows_answered} for {sum_answered}")
    all_found = {**findings._asdict(), **keys._asdict(), **processes._asdict(), **backed._asdict()}
    failures += [f"{name}: {found}" for name, found in all_found.items() if name in _MUST_BE_0 and found]
    if rounds_won_once != ROUNDS:
        failures.append(f"{ROUNDS - rounds_won_once} rounds of two commands were not won by exactly one")
    if status != 0 or "Traceback" in server.errors:
        failures.append(f"the server ended with {status}: {server.errors[-2000:]}")
    return Result(
        seed=seed,
        kills=kills,
        killed_while_starting=while_starting,
        seconds=round(time.monotonic() - began, 1),
        imports=importer.imports,
        imports_given_up=importer.given_up,
        rows=rows,
        rows_answered=rows_answered,
        sum_of_files=str(sum_of_files),
        sum_answered=str(sum_answered),
        commands_answered=len(history.commands),
        facts_answered=len(set(history.facts)),
        tries=history.tries,
        broken_connections=history.broken,
        log=findings,
        keys=keys,
        processes=processes,
        backups=backed,
        clock_jumps=clock.jumps,
        rounds_won_once=rounds_won_once,
        rounds=ROUNDS,
        verified=verified.returncode == 0,
        failures=failures,
    )


_MUST_BE_0 = {
    *("lost", "doubled", "facts_doubled", "holes", "wrong_answers", "versions_won_twice", "times_fell"),
    *Again._fields[2:],
    *Ended._fields[3:],
    "missing",
}


def _wait_for_ends(server: ServerProcess, history: History) -> None:
    """Wait until no invitation is open any more."""
    deadline = time.monotonic() + _ENDS_WITHIN_S
    with server.client() as client:
        while True:
            answer = client.get("/v1/users/filters")
            rows = answer.json()["rows"] if answer.is_success else []
            counts = {row["value"]: row["count"] for row in rows if row["field"] == "status"}
            if sum(counts.values()) >= len(history.invited) and not counts.get("INVITED"):
                return
            assert time.monotonic() < deadline, f"an invitation does not end: {counts}"
            time.sleep(0.2)


class _Trouble(NamedTuple):
    """What happens to the server's machine beside kills."""

    clock: JumpingClock
    backups: Backups

    def make(self, kill: int) -> None:
        self.clock.jump()
        if kill % 3 == 1:
            self.backups.tear()
        if kill % 10 == 2:
            self.backups.take()


def _kill_again_and_again(server: ServerProcess, kills: int, chance: random.Random, trouble: _Trouble, say: Say) -> int:
    """Kill the server, most often while it works, sometimes while it starts; return how often it was starting."""
    while_starting = 0
    for kill in range(1, kills + 1):
        trouble.make(kill)
        if chance.random() < 0.2:
            server.kill()
            server.spawn()
            time.sleep(chance.uniform(0.1, 2.0))
            while_starting += 1
        else:
            time.sleep(chance.uniform(0.05, 1.5))
        server.kill()
        server.start()
        say(f"{kill} of {kills} kills")
    return while_starting


def _rounds(server: ServerProcess, rounds: int) -> int:
    """Let two callers want the same version of a device; return how many rounds exactly one of them won."""
    barrier = threading.Barrier(2)
    outcomes: list[list[int]] = [[], []]

    def compete(me: int) -> None:
        with server.client() as client:
            for n in range(1, rounds + 1):
                body = {"device_id": "arena", "key": "winner", "value": f"{me} in {n}"}
                barrier.wait()
                answer = client.post("/v1/commands/fleet/TagDevice", json=body, headers={"If-Match": f'"{n}"'})
                outcomes[me].append(answer.status_code)

    with server.client() as client:
        body = {"device_id": "arena", "hostname": "arena.example"}
        client.post("/v1/commands/fleet/RegisterDevice", json=body).raise_for_status()
    threads = [threading.Thread(target=compete, args=(me,)) for me in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(sorted(pair) == [200, 409] for pair in zip(*outcomes, strict=True))


def _revenue(server: ServerProcess) -> tuple[int, Decimal]:
    with server.client() as client:
        last = _last_position(client)
        answer = client.get("/v1/analytics/revenue", params={"by": "month"}, headers={"X-Consistent-With": last})
        answer.raise_for_status()
        rows = answer.json()["rows"]
    return sum(row["lines"] for row in rows), sum((Decimal(row["revenue"]) for row in rows), Decimal(0))


def _last_position(client: httpx.Client) -> str:
    body = {"device_id": "arena", "key": "winner", "value": "nobody"}
    position: str = client.post("/v1/commands/fleet/TagDevice", json=body).headers["X-Position"]
    return position


def _sum(files: Sequence[Path]) -> tuple[int, Decimal]:
    rows, total = 0, Decimal(0)
    for path in files:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                rows += 1
                total += Decimal(row["Quantity"]) * Decimal(row["UnitPrice"])
    return rows, total


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port
