"""This reads readings from CSV: one metric a file, a column for each, or a row for each with its name."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from streams.intake.files.cells import BadCell, reading, reading_with_comma
from streams.intake.files.csv_rows import CsvRows, Record, header_of, layout_of
from streams.intake.files.metrics.sample import BadReading, How, Instants, Sample
from streams.intake.files.text import FileError, RefusedRow, TextFile

TIMES = ("timestamp", "time", "datetime", "date", "ts", "@timestamp", "_time")
_PERFMON = "(PDH-CSV "
"""So the column of times begins where Windows' Performance Monitor wrote the file; its dates have the month first."""

_MONTH_FIRST = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4}) (.*)", re.ASCII)
_NAMES = ("metric", "name", "metric_name", "series")
_DEVICES = ("device", "device_id", "host", "instance")


class _Columns(NamedTuple):
    """The columns of a file; "" for one that it has not. Shape: a column of `values` may have a metric's own name."""

    time: str
    values: tuple[str, ...]
    metrics: tuple[str, ...]
    name: str = ""
    unit: str = ""
    device: str = ""


class MetricColumns:
    """Readings of a CSV file. Raises: FileError, it has not the columns that it needs."""

    def __init__(self, file: TextFile, how: How) -> None:
        self._how = how
        layout = layout_of(file)
        self.header = header_of(file, layout)
        self._reading = reading if layout.delimiter == "," else reading_with_comma
        self._columns = columns = _columns(file, how, self.header)
        named = (columns.name, columns.unit, columns.device)
        read = (columns.time, *columns.values, *(name for name in named if name))
        self._rows = CsvRows(file, read, layout)
        self._time_place = self.header.index(columns.time)
        self._value_places = tuple(self.header.index(name) for name in columns.values)
        self._named_places = tuple(self.header.index(name) if name else None for name in named)
        self._units = {metric: how.unit(metric) for metric in columns.metrics}
        self._month_first = columns.time.startswith(_PERFMON)

    def samples(self) -> Iterator[Sample | RefusedRow]:
        """Yield the readings of each row, or why one is refused. Raises: FileError, the file was changed meanwhile."""
        instants = Instants(self._how)
        for record in self._rows.records():
            if record.problem:
                yield RefusedRow(record.row, record.problem)
            else:
                yield from self._of_row(record, instants)

    def _of_row(self, record: Record, instants: Instants) -> Iterator[Sample | RefusedRow]:
        columns, row = self._columns, record.row
        cells = row.cells
        name_place, unit_place, device_place = self._named_places
        device = self._how.device_id or ("" if device_place is None else cells[device_place].strip())
        metrics = columns.metrics if name_place is None else (cells[name_place].strip(),)
        if not device or not metrics[0]:
            yield RefusedRow(row, "the row does not say what it is of: its device or its metric is empty")
            return
        try:
            series = (device,) if name_place is None else (device, metrics[0])
            at = instants.of(columns.time, self._time(cells[self._time_place]), *series)
        except BadReading as error:
            yield RefusedRow(row, str(error))
            return
        for column, place, metric in zip(columns.values, self._value_places, metrics, strict=True):
            text = cells[place]
            # an empty cell beside others is a reading that was not made
            if len(metrics) > 1 and not text.strip():
                continue
            try:
                value = self._reading(column, text)
            except BadCell as error:
                yield RefusedRow(row, str(error))
                continue
            if (unit := self._units.get(metric)) is None:
                unit = self._how.unit(metric)
            if not unit and unit_place is not None:
                unit = cells[unit_place].strip()
            yield Sample(device, metric, at, value, unit, row)

    def _time(self, text: str) -> str:
        found = _MONTH_FIRST.fullmatch(text.strip()) if self._month_first else None
        return f"{found[3]}-{found[1]:0>2}-{found[2]:0>2} {found[4]}" if found else text


def _columns(file: TextFile, how: How, header: Sequence[str]) -> _Columns:
    time = how.time or _found(header, TIMES) or next((name for name in header if name.startswith(_PERFMON)), "")
    if not time:
        raise FileError(f"{file.path} has no column of times; {_there(header)}; name one with --time")
    device = "" if how.device_id else _found(header, _DEVICES)
    if not how.device_id and not device:
        raise FileError(f"{file.path} does not say which device it is of; {_there(header)}; name it with --device")
    if how.long:
        return _long(file, how, header, _Columns(time, (), (), device=device))
    values = how.values or _values(how, header, {time, device})
    if not values:
        raise FileError(f"{file.path} has no column of values; {_there(header)}; name one with --value")
    if how.metrics and len(how.metrics) != len(values):
        raise FileError(
            f"{file.path} has {len(values)} columns of values ({', '.join(values)}) and {len(how.metrics)} are named by"
            " --metric; give as many, in the same order"
        )
    if not how.metrics and values == ("value",):
        raise FileError(f"{file.path} does not say what it measures; name it with --metric")
    return _Columns(time, tuple(values), how.metrics or tuple(values), device=device)


def _long(file: TextFile, how: How, header: Sequence[str], columns: _Columns) -> _Columns:
    name = how.metrics[0] if how.metrics else _found(header, _NAMES)
    if not name:
        raise FileError(f"{file.path} has no column that names the metric; {_there(header)}; name one with --metric")
    value = how.values or ("value",)
    unit = "" if how.units else _found(header, ("unit",))
    return columns._replace(values=value[:1], metrics=(), name=name, unit=unit)


def _values(how: How, header: Sequence[str], others: set[str]) -> tuple[str, ...]:
    """Return the column of the one metric that was named, or all that are left."""
    if "value" in header:
        return ("value",)
    rest = tuple(name for name in header if name and name not in others and name != "unit")
    return rest if len(how.metrics) in {0, len(rest)} else ("value",)


def _found(header: Sequence[str], names: Sequence[str]) -> str:
    lower = {name.lower(): name for name in reversed(header)}
    return next((lower[name] for name in names if name in lower), "")


def _there(header: Sequence[str]) -> str:
    return f"its columns are {', '.join(header)[:200]}"
