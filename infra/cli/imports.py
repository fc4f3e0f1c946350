"""`factline import` brings in invoices, metrics and logs from files, and says what became of every row."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import click
from pydantic import StringConstraints

from infra.cli.import_account import Kind, import_files
from infra.cli.import_invoices import invoices
from infra.cli.import_options import Call, Valid, device_option, say, shared, sink_of
from infra.cli.import_run import FACTS, send_facts
from schemas.envelope import TenantId
from schemas.values import Name
from streams.intake.files.csv import MetricsFile, Series
from streams.intake.files.syslog import SyslogFile
from streams.intake.files.text import TextFile, check

_Unit = Annotated[str, StringConstraints(max_length=32)]


@click.group("import")
def import_() -> None:
    """Bring in invoices, metrics and logs from files.

    The server at FACTLINE_URL takes them (http://127.0.0.1:8080 if it is not set), with the API key in
    FACTLINE_API_KEY; or, with --data-dir, they go into a directory without a server.

    What is imported already is counted as repeated and not recorded again. Rows that are refused are written to
    FILE.refused.csv, with line number and reason; the exit status is then 1. It is 2 where a file or the server
    cannot be used.

    \b
    factline import invoices 2010-12-*.csv --tenant demo
    factline import metrics cpu.csv --tenant demo --device web-1 --metric cpu_percent --unit percent
    factline import logs auth.log --tenant demo --device web-1
    """


import_.add_command(invoices)


@import_.command()
@shared
@device_option
@click.option("--metric", type=Valid("metric", Name), required=True, help="What was measured, like cpu_percent.")
@click.option("--unit", type=Valid("unit", _Unit), default="", help="Like percent or bytes/s.")
def metrics(
    *, files: Sequence[Path], tenant: str, encoding: str, data_dir: Path | None, device: str, metric: str, unit: str
) -> None:
    """Import one metric of one device: CSV with the columns timestamp and value.

    A timestamp without an offset is UTC. A reading is known by device, metric and time: a second one of the same time
    is counted as repeated, whatever its value, and the last one counts. A device that is not known is registered.

    \b
    factline import metrics cpu.csv --tenant demo --device web-1 --metric cpu_percent --unit percent
    """

    def opened(path: Path) -> tuple[TextFile, MetricsFile, int]:
        file = check(path, encoding)
        return file, MetricsFile(file, Series(device, metric, unit)), file.lines - 1

    kind = Kind(open=opened, send=lambda sink: partial(send_facts, sink), batch_items=FACTS, device_id=device)
    import_files(Call(files, TenantId(tenant), encoding, sink_of(data_dir)), kind)


@import_.command()
@shared
@device_option
@click.option(
    "--year",
    type=click.IntRange(1970, 9000),
    help="Of a file's first line; if it is left out, the latest with which the last line is not in the future.",
)
def logs(
    *, files: Sequence[Path], tenant: str, encoding: str, data_dir: Path | None, device: str, year: int | None
) -> None:
    """Import one device's system log: lines like `Dec 10 06:55:46 host program[pid]: message`, or, as newer systems
    write them, `2026-12-10T06:55:46+01:00 host program[pid]: message`.

    Times of the first kind are taken as UTC. They do not say their year: from December to January the next one begins.
    Give --year, so that the same file is known again when it is imported in another year.

    A line's severity is guessed: error where its message has the word error, fatal, panic or segfault; warning where it
    has fail, failed, denied, refused, invalid, illegal, alert or the like; else info. A device that is not known is
    registered.

    Equal lines of one second are lines of their own, also where a log was rotated between them: give its files oldest
    first.

    \b
    factline import logs auth.log --tenant demo --device web-1
    factline import logs auth.log.1 auth.log --tenant demo --device web-1 --year 2025
    """
    now = datetime.now(UTC)

    def opened(path: Path) -> tuple[TextFile, SyslogFile, int]:
        file = check(path, encoding)
        source = SyslogFile(file, device, year, now)
        if year is None:
            say(f"{file.path}: lines that do not say their year begin in {source.first_year}; --year says otherwise")
        return file, source, file.lines

    kind = Kind(open=opened, send=lambda sink: partial(send_facts, sink), batch_items=FACTS, device_id=device)
    import_files(Call(files, TenantId(tenant), encoding, sink_of(data_dir)), kind)
