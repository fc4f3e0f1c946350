"""`factline import logs` brings in the lines of log files."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from functools import wraps
from pathlib import Path
from typing import Any, get_args

import click

from infra.cli.import_account import Kind, import_files
from infra.cli.import_options import Call, Valid, say, shared, sink_of, zone_option
from schemas.envelope import TenantId
from schemas.values import Id
from streams.intake.files.lines import Errors
from streams.intake.files.logs.fields import Names
from streams.intake.files.logs.forms import FORMS, NAMES, RECORDS
from streams.intake.files.logs.log_file import How, LogFile, Seen
from streams.intake.importing.run import FACTS, fact_sender

_STANDARD_INPUT = "-"


def form_table() -> str:
    """Return the forms of lines as `--help` shows them."""
    rows = [(form.name, form.example) for form in FORMS]
    return "\n".join(f"  {name:<13} {example}" for name, example in (*rows, *RECORDS.items()))


_HELP = f"""Import log lines, of one device or of many.

A line may have any of these forms; they are tried in this order, for each line anew. --format names one.

\b
{form_table()}

Stamps may have fractions of up to nine digits behind a point or a comma, and offsets as Z, +02, +0200 or +02:00.
Without an offset a time is of --timezone, UTC if it is not given: not the zone of this machine. In the hour that
comes twice in autumn the order of the lines tells which; a time that is skipped in spring is taken as one before it.

A stamp without a year is of the year that puts the file's newest line nearest to the time at which the file was last
written, and at most 26 hours after it. The lines are taken to be in order: a step forward stays in the year, a step
back by up to 45 days is a line that came late, a greater one is a new year. --year names the year of the first such
line; give it, so that the same file is known again when it is imported in another year.

What stands under a line and belongs to it, like a stack trace, is joined to it. A last line without a line end is not
imported: it may not be finished. NUL characters are dropped. Bytes that are not of the encoding are replaced, and
counted. Equal lines are lines of their own, over all files of the call: name rotated files oldest first.

Severity is that of the line: its priority, its level, its status of HTTP. Where it says none, it is guessed: error
where the message has the word error, fatal, panic or segfault; warning where it has fail, failed, denied, refused,
invalid, illegal, alert or the like; else info. The program is kept, and lines are asked for by it:
/v1/logs?program=sshd. User and address are found in the lines of sshd, sudo, su, cron, ftpd, login and some more.

Without --device each line is of the device that its host is: the host's name, with a dash for what a device id may not
hold. A device that is not known is registered. FILE - is the standard input.

\b
factline import logs auth.log --tenant demo --device web-1
factline import logs auth.log.1 auth.log --tenant demo --device web-1 --timezone Europe/Berlin
journalctl -o json | factline import logs - --tenant demo
factline import logs app.jsonl --tenant demo --device web-1 --time-field when --message-field what
"""


def log_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what `import logs` and `tail` are both told of the lines; the command gets it as `how`."""

    @wraps(command)
    def told(
        *,
        encoding: str,
        device: str | None,
        zone: tzinfo,
        errors: Errors,
        form: str | None,
        time_field: str,
        message_field: str,
        **others: Any,
    ) -> None:
        names = Names(time_field, message_field)
        command(how=How(device or "", zone, form or "", names, encoding=encoding, errors=errors), **others)

    decorated: Callable[..., None] = told
    for decorate in (
        click.option("--message-field", default="", help="The field of the message, in JSON lines and CSV."),
        click.option("--time-field", default="", help="The field of the time, like created or event.time."),
        click.option("--format", "form", type=click.Choice(NAMES), help="The form of all lines, from the table."),
        click.option(
            "--errors",
            type=click.Choice(get_args(Errors)),
            default="replace",
            show_default=True,
            help="What becomes of bytes that are not of the encoding; strict refuses their line.",
        ),
        zone_option,
        click.option("--device", type=Valid("device", Id), help="Where all lines come from."),
    ):
        decorated = decorate(decorated)
    return decorated


@click.command(help=_HELP)
@shared
@log_options
@click.option(
    "--year",
    type=click.IntRange(1970, 9000),
    help="Of a file's first line that says no year; worked out if it is left out.",
)
@click.option("--take-last", is_flag=True, help="Take a last line that has no line end: nobody writes to the file.")
def logs(
    *,
    files: Sequence[Path],
    tenant: str,
    data_dir: Path | None,
    how: How,
    year: int | None,
    take_last: bool,
) -> None:
    now, seen, tenant_id = datetime.now(UTC), Seen(), TenantId(tenant)
    how = replace(how, year=year, take_last=take_last)

    with ExitStack() as stack:

        def open_(path: Path) -> tuple[LogFile, LogFile, int]:
            if str(path) == _STANDARD_INPUT:
                opened = stack.enter_context(_spooled())
                # what was piped in has ended
                source = LogFile(Path("standard-input"), replace(how, take_last=True), now, seen, opened=opened)
            else:
                source = LogFile(path, how, now, seen)
            if year is None and source.says_no_year:
                first = source.first_year
                say(f"{source.path}: lines that do not say their year begin in {first}; --year says otherwise")
            return source, source, source.rows

        kind = Kind(
            open=open_,
            send=lambda sink: fact_sender(sink, tenant_id, how.device_id),
            batch_items=FACTS,
            device_id=how.device_id,
        )
        import_files(Call(files, tenant_id, how.encoding, sink_of(data_dir)), kind)


@contextmanager
def _spooled() -> Iterator[Path]:
    """Give the standard input as a file, because it is read twice: for the years, and for its lines."""
    with tempfile.NamedTemporaryFile(prefix="factline-") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        yield Path(file.name)
