"""`factline import metrics` brings in readings."""

from collections.abc import Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Annotated

import click
from pydantic import StringConstraints

from infra.cli.import_account import Kind, import_files
from infra.cli.import_options import Call, Valid, shared, sink_of, zone_option
from schemas.envelope import TenantId
from schemas.values import Id, Name
from streams.intake.files.epochs import UNITS
from streams.intake.files.metrics.metrics_file import FORMATS, MetricsFile
from streams.intake.files.metrics.sample import How
from streams.intake.files.text import TextFile, check
from streams.intake.importing.run import FACTS, fact_sender

_Unit = Annotated[str, StringConstraints(max_length=32)]


def _units(_context: click.Context, _parameter: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    """Return the units by metric: `celsius=inlet` would read as well the other way, so the metric stands first."""
    units = {}
    for text in given:
        metric, equals, unit = text.rpartition("=")
        units[metric if equals else ""] = unit
    return units


@click.command()
@shared
@click.option("--device", type=Valid("device", Id), help="Where the readings come from.")
@click.option(
    "--metric",
    "metric",
    type=Valid("metric", Name),
    multiple=True,
    help="What was measured, like cpu_percent; once for each --value, in the same order. With --long the column that"
    " names it.",
)
@click.option(
    "--unit",
    "units",
    type=Valid("unit", _Unit),
    multiple=True,
    callback=_units,
    help="Like percent or bytes/s; METRIC=UNIT is that of one metric.",
)
@click.option(
    "--time", "time", default="", help="The column of the time; timestamp, time, datetime, date and ts are found."
)
@click.option(
    "--value", "values", multiple=True, help="A column of readings; value is found, else all others are taken."
)
@click.option("--long", "long", is_flag=True, help="Each row names its metric in a column: metric, name or series.")
@click.option(
    "--time-unit",
    type=click.Choice(["auto", *UNITS]),
    default="auto",
    show_default=True,
    help="Of times that are numbers since 1970; auto tells it by how large they are.",
)
@click.option("--format", "form", type=click.Choice(FORMATS), help="The format; found by the first line if left out.")
@zone_option
def metrics(
    *,
    files: Sequence[Path],
    tenant: str,
    encoding: str,
    data_dir: Path | None,
    device: str | None,
    metric: Sequence[str],
    units: dict[str, str],
    time: str,
    values: Sequence[str],
    long: bool,
    time_unit: str,
    form: str | None,
    zone: tzinfo,
) -> None:
    """Import readings: CSV, Prometheus' text exposition or InfluxDB's line protocol.

    CSV has a header. With the columns timestamp and value it is one metric, --metric. Otherwise each column of numbers
    is a metric of the column's name, or --value names some, and --metric what they are called. With --long each row
    names its metric, and its unit and device where it has columns of that name. An empty cell beside others is no
    reading. Commas, semicolons, tabs or bars between the columns are found, also from Excel's line `sep=;`; where it is
    not a comma, numbers may have a decimal comma.

    A time is an instant like 2026-01-31 08:30:00 or 2026-01-31T08:30:00.123+01:00, or a number since 1970 in seconds,
    milliseconds, microseconds or nanoseconds. Without an offset it is of --timezone, UTC if that is not given. A time
    that the zone's clocks skipped in spring is refused; of an hour that comes twice in autumn the order of the rows
    tells which it is.

    NaN and Inf are no readings and are refused, each with its line. Of several readings of one device, metric and time
    in a file the last one counts; the others are counted as repeated.

    In the lines of Prometheus and InfluxDB, labels and tags are part of the metric's name, like
    http_requests_total{code=200}; device, host or instance is the device, if --device is not given. A line without a
    time is of the time at which the file was written.

    A device that is not known is registered.

    \b
    factline import metrics cpu.csv --tenant demo --device web-1 --metric cpu_percent --unit percent
    factline import metrics rack.csv --tenant demo --device rack-9 --time at --value inlet --value outlet --unit celsius
    factline import metrics all.csv --tenant demo --long --metric sensor --timezone Europe/Berlin
    factline import metrics node.prom --tenant demo --device web-1
    """
    tenant_id = TenantId(tenant)
    how = How(
        device_id=device or "",
        metrics=tuple(metric),
        units=units,
        zone=zone,
        time_unit=time_unit,
        time=time,
        values=tuple(values),
        long=long,
    )

    def open_(path: Path) -> tuple[TextFile, MetricsFile, int]:
        file = check(path, encoding)
        return file, MetricsFile(file, how, form or ""), file.lines - 1

    kind = Kind(
        open=open_,
        send=lambda sink: fact_sender(sink, tenant_id, how.device_id),
        batch_items=FACTS,
        device_id=how.device_id,
    )
    import_files(Call(files, tenant_id, encoding, sink_of(data_dir)), kind)
