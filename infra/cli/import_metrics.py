"""`factline import metrics` brings in readings."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import click
from pydantic import StringConstraints

from infra.cli.import_account import Kind, import_files
from infra.cli.import_options import Call, Valid, device_option, shared, sink_of
from infra.cli.import_run import FACTS, send_facts
from schemas.envelope import TenantId
from schemas.values import Name
from streams.intake.files.csv import MetricsFile, Series
from streams.intake.files.text import TextFile, check

_Unit = Annotated[str, StringConstraints(max_length=32)]


@click.command()
@shared
@device_option
@click.option("--metric", type=Valid("metric", Name), required=True, help="What was measured, like cpu_percent.")
@click.option("--unit", type=Valid("unit", _Unit), default="", help="Like percent or bytes/s.")
def metrics(
    *, files: Sequence[Path], tenant: str, encoding: str, data_dir: Path | None, device: str, metric: str, unit: str
) -> None:
    """Import one metric of one device: CSV with the columns timestamp and value.

    A timestamp without an offset is UTC. A reading is known by device, metric and time: a second one of the same time
    is counted as repeated, whatever its value, and the first one stays. A device that is not known is registered.

    \b
    factline import metrics cpu.csv --tenant demo --device web-1 --metric cpu_percent --unit percent
    """

    def open_(path: Path) -> tuple[TextFile, MetricsFile, int]:
        file = check(path, encoding)
        return file, MetricsFile(file, Series(device, metric, unit)), file.lines - 1

    kind = Kind(open=open_, send=lambda sink: partial(send_facts, sink), batch_items=FACTS, device_id=device)
    import_files(Call(files, TenantId(tenant), encoding, sink_of(data_dir)), kind)
