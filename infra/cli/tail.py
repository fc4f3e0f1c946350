"""`factline tail` follows log files and records their lines as they come."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Event
from time import monotonic

import click
import orjson

from infra.cli.import_logs import form_table, log_options
from infra.cli.import_options import say, shared, sink_of
from infra.cli.shown import print_json, wants_json
from schemas.envelope import TenantId
from streams.intake.files.logs.follow import Followed, Place, Read
from streams.intake.files.logs.log_file import How
from streams.intake.files.text import FactRow, FileError, RefusedRow
from streams.intake.importing.run import register_devices, send_facts
from streams.intake.importing.sink import ImportFailed, Sink

_REST_S = 2.0
"""After so long without a new line the last one is taken: nothing goes on with it."""

_POLL_S = 0.5
_AGAIN_S = 5.0
_MOST_SAID = 20


class Places:
    """Where reading stopped, by file, in a folder: each written whole beside, then put in place."""

    def __init__(self, folder: Path, tenant_id: TenantId) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._tenant_id = tenant_id

    def get(self, path: Path) -> Place | None:
        try:
            return Place(*orjson.loads(self._file(path).read_bytes())["place"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise FileError(f"{self._file(path)} is not readable; remove it, and {path} is read anew") from error

    def keep(self, path: Path, place: Place) -> None:
        to = self._file(path)
        new = to.with_suffix(".new")
        with new.open("wb") as file:
            file.write(orjson.dumps({"file": str(path), "tenant": self._tenant_id, "place": list(place)}))
            file.flush()
            os.fsync(file.fileno())
        new.replace(to)

    def _file(self, path: Path) -> Path:
        name = sha256(f"{self._tenant_id}\n{path}".encode()).hexdigest()[:24]
        return self._folder / f"tail-{name}.json"


@dataclass
class _Counts:
    read: int = 0
    accepted: int = 0
    repeated: int = 0
    refused: int = 0


class _Tail:
    """Carries lines to a sink, and keeps how far it came only after the sink has them."""

    def __init__(self, sink: Sink, places: Places, tenant_id: TenantId) -> None:
        self.counts = _Counts()
        self._sink = sink
        self._places = places
        self._tenant_id = tenant_id
        self._known: set[str] = set()

    def take(self, followed: Followed, read: Read) -> None:
        """Record what was read. Raises: ImportFailed, nothing of it is kept as read."""
        for note in read.notes:
            say(f"{followed.path}: {note}")
        if read.facts:
            self._record(read.facts, followed.path)
        for refused in read.refused:
            self._refuse(followed.path, refused)
        self.counts.read += len(read.facts) + len(read.refused)
        self._places.keep(followed.path, read.place)
        followed.place = read.place

    def _record(self, facts: Sequence[FactRow], path: Path) -> None:
        register_devices(self._sink, self._tenant_id, facts, self._known)
        outcome = send_facts(self._sink, facts)
        self.counts.accepted += outcome.accepted
        self.counts.repeated += outcome.repeated
        for refused in outcome.refused:
            self._refuse(path, refused)

    def _refuse(self, path: Path, refused: RefusedRow) -> None:
        self.counts.refused += 1
        if self.counts.refused <= _MOST_SAID:
            more = "; further ones are only counted" if self.counts.refused == _MOST_SAID else ""
            say(f"{path}, line {refused.row.line}, is refused: {refused.reason}{more}")

    def print(self) -> None:
        if wants_json():
            read, *rest = vars(self.counts).items()
            print_json({"rows_read": read[1], **dict(rest)})
            return
        for name, count in vars(self.counts).items():
            click.echo(f"{'rows read' if name == 'read' else name}: {count}")


_HELP = f"""Follow log files: record what they hold and then each line that is added, until Ctrl-C.

How far each file was read is kept in the folder --state, and the next start goes on there. A file that was renamed by
its rotation is read to its end first, then the new one from its beginning; one that was cut short is read anew. A
line that is not whole waits for its end. A line is recorded once, also where the server or this program is stopped in
between. It is another line than one that `factline import logs` has read from the same file: use one of the two.

A stamp without a year is of the year nearest to now. While the server does not answer, lines wait in their files.

\b
{form_table()}

\b
factline tail /var/log/auth.log /var/log/syslog --tenant demo --device web-1
factline tail app.log --tenant demo --device web-1 --state /var/lib/factline-tail --once
"""


@click.command(help=_HELP)
@shared
@log_options
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="FACTLINE_TAIL_STATE",
    default=Path("~/.local/state/factline"),
    show_default=True,
    help="Where it is kept how far each file was read.",
)
@click.option("--once", is_flag=True, help="Read to the end of the files and stop.")
def tail(
    *,
    files: Sequence[Path],
    tenant: str,
    data_dir: Path | None,
    how: How,
    state: Path,
    once: bool,
) -> None:
    tenant_id = TenantId(tenant)
    if how.form == "csv" or "\n".encode(how.encoding) != b"\n":
        raise click.UsageError("rows of CSV and files of UTF-16 cannot be followed; bring them in with `import logs`")
    try:
        places = Places(state.expanduser(), tenant_id)
        paths = [path.absolute() for path in files]
        followed = [Followed(path, how, places.get(path)) for path in paths]
        with sink_of(data_dir).open(tenant_id) as sink, _until_told() as stopped:
            work = _Tail(sink, places, tenant_id)
            try:
                _follow(work, followed, stopped, once=once)
            finally:
                work.print()
    except (FileError, ImportFailed) as error:
        say(f"factline: {error}")
        sys.exit(2)
    sys.exit(1 if once and work.counts.refused else 0)


def _follow(work: _Tail, followed: Sequence[Followed], stopped: Event, *, once: bool) -> None:
    grew_at = {one.path: monotonic() for one in followed}
    while not stopped.is_set():
        idle = True
        for one in followed:
            read = one.step(at_rest=once or monotonic() - grew_at[one.path] >= _REST_S)
            if read is None:
                continue
            idle = False
            grew_at[one.path] = monotonic()
            if not _taken(work, one, read, stopped, once=once):
                return
        if idle and once:
            return
        if idle:
            stopped.wait(_POLL_S)


def _taken(work: _Tail, one: Followed, read: Read, stopped: Event, *, once: bool) -> bool:
    """Record what was read, again and again while the server is away; False if there is no more time for it."""
    while True:
        try:
            work.take(one, read)
        except ImportFailed as error:
            if once:
                raise
            say(f"factline: {error}; the lines wait in {one.path}")
            if stopped.wait(_AGAIN_S):
                return False
        else:
            return True


@contextmanager
def _until_told() -> Iterator[Event]:
    """Give what is set when the program is told to stop."""
    stopped = Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(number, lambda *_: stopped.set()) for number in numbers]
    try:
        yield stopped
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)
