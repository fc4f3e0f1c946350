"""This reads readings from lines: Prometheus' text exposition, and InfluxDB's line protocol."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from line_protocol_parser import LineFormatError, parse_line
from prometheus_client.parser import text_string_to_metric_families

from streams.intake.files.epochs import epoch_of
from streams.intake.files.metrics.sample import BadReading, How, Sample
from streams.intake.files.text import CUT_OFF, RefusedRow, SourceRow, TextFile

_MAX_NAME = 200
_DEVICES = ("device", "host", "instance")
_UNITS = ("seconds", "bytes", "celsius", "ratio", "meters", "volts", "amperes", "joules", "grams", "percent")
"""What a metric's name ends with says its unit. Source: the naming rules of Prometheus."""

_EXEMPLAR = re.compile(r"\s+#\s*\{[^{}]*\}(?:\s+\S+){1,2}$")
PROMETHEUS_LINE = re.compile(r"[a-zA-Z_:][\w:]*(?:\{.*\})?\s+[-+0-9.eEaAfFiInNtTyY]+(?:\s+-?[0-9.]+)?\s*", re.ASCII)
INFLUX_LINE = re.compile(r"(?:[^\s,\\]|\\.)+(?:,(?:[^\s\\]|\\.)+)? (?:[^\s=\\]|\\.)+=\S.*")


class _Found(NamedTuple):
    """What a line says of one reading; `time` None where it says none."""

    name: str
    labels: Mapping[str, str]
    value: float
    time: str | None
    unit: str = ""


class ExposedLines:
    """Readings of a file, some in each line.

    Shape: a line that says no time is of the file's own time. `left_out` counts fields that are no numbers.
    """

    header = ("line",)

    def __init__(self, file: TextFile, how: How, form: str, written_at: datetime) -> None:
        self.left_out = 0
        self.untimed = 0
        self._file = file
        self._how = how
        self._written_at = written_at
        self._read: Callable[[SourceRow, str], Iterator[Sample | RefusedRow]] = (
            self._prometheus if form == "prometheus" else self._influx
        )

    def samples(self) -> Iterator[Sample | RefusedRow]:
        """Yield the readings of each line, or why one is refused. Raises: UnicodeDecodeError, the file was changed."""
        with self._file.open(newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                text = line.strip()
                if not text or text[0] == "#":
                    continue
                row = SourceRow(number, (text,))
                if not line.endswith("\n"):
                    yield RefusedRow(row, CUT_OFF)
                    continue
                try:
                    yield from self._read(row, text)
                except BadReading as error:
                    yield RefusedRow(row, str(error))

    def _prometheus(self, row: SourceRow, text: str) -> Iterator[Sample | RefusedRow]:
        try:
            # the library would take an exemplar of OpenMetrics for a time
            bare = _EXEMPLAR.sub("", text)
            found = [sample for family in text_string_to_metric_families(bare) for sample in family.samples]
        except ValueError as error:
            raise BadReading(f"the line is no sample of Prometheus: {error}") from error
        for sample in found:
            # the library takes it for milliseconds, as the format says; OpenMetrics has seconds
            raw = None if sample.timestamp is None else f"{float(sample.timestamp) * 1000:.6f}"
            unit = next((unit for unit in _UNITS if f"_{unit}" in sample.name), "")
            yield self._sample(row, _Found(sample.name, sample.labels, float(sample.value), raw, unit))

    def _influx(self, row: SourceRow, text: str) -> Iterator[Sample | RefusedRow]:
        try:
            found: Mapping[str, Any] = parse_line(text)
        except LineFormatError as error:
            hint = "NaN and Inf are no readings" if re.search(r"=[-+]?(?:nan|inf)", text, re.IGNORECASE) else error
            raise BadReading(f"the line is not of the line protocol: {hint}") from error
        for name, value in found["fields"].items():
            if isinstance(value, (str, bool)):
                self.left_out += 1
                continue
            raw = None if found["time"] is None else str(found["time"])
            yield self._sample(row, _Found(f"{found['measurement']}.{name}", found["tags"], float(value), raw))

    def _sample(self, row: SourceRow, found: _Found) -> Sample | RefusedRow:
        labels = dict(found.labels)
        named = (
            next((labels.pop(label) for label in _DEVICES if label in labels), "") if not self._how.device_id else ""
        )
        device = self._how.device_id or named
        metric = found.name
        if labels:
            metric += f"{{{','.join(f'{name}={labels[name]}' for name in sorted(labels))}}}"
        if not device:
            return RefusedRow(row, f"the line does not say which device it is of: {metric}; name it with --device")
        if not math.isfinite(found.value):
            return RefusedRow(row, f"the value is not a finite number: {metric} is {found.value}")
        if len(metric) > _MAX_NAME:
            return RefusedRow(row, f"the metric's name is longer than {_MAX_NAME} characters: {metric[:60]}…")
        try:
            at = self._at(found.time)
        except ValueError as error:
            return RefusedRow(row, f"the time is no number since 1970: {found.time}; {error}")
        return Sample(device, metric, at, found.value, self._how.unit(metric) or found.unit, row)

    def _at(self, raw: str | None) -> datetime:
        if raw is None:
            self.untimed += 1
            return self._written_at
        return epoch_of(raw, self._how.time_unit)
