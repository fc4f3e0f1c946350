"""This reads readings from CSV files, as the facts that they are."""

from collections.abc import Generator
from typing import NamedTuple

from domain.fleet.facts import DeviceMetricsReported
from streams.intake.files.cells import BadCell, instant, reading
from streams.intake.files.csv_rows import CsvRows
from streams.intake.files.text import FactRow, RefusedRow, TextFile
from streams.ports import FactSubmission

METRIC_COLUMNS = ("timestamp", "value")

_FACT_BYTES = 400


class Series(NamedTuple):
    """What the readings of a file are of."""

    device_id: str
    metric: str
    unit: str


class MetricsFile:
    """Readings, one a row. Raises: FileError, a column is missing."""

    def __init__(self, file: TextFile, series: Series) -> None:
        self._rows = CsvRows(file, METRIC_COLUMNS)
        self._series = series
        self.header = self._rows.header
        self.rows_read = 0

    def items(self) -> Generator[FactRow | RefusedRow, None, None]:
        """Yield a fact for each row, in order. Raises: FileError, the file was changed in the meantime."""
        device_id, metric, unit = self._series
        at_place, value_place = self._rows.places
        for record in self._rows.records():
            self.rows_read += 1
            row = record.row
            if record.problem:
                yield RefusedRow(row, record.problem)
                continue
            try:
                at = instant("timestamp", row.cells[at_place])
                value = reading("value", row.cells[value_place])
            except BadCell as error:
                yield RefusedRow(row, str(error))
                continue
            fact = DeviceMetricsReported(metrics={metric: value}, unit=unit)
            yield FactRow(FactSubmission(device_id, at, fact), row, _FACT_BYTES)
