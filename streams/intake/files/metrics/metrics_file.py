"""This reads a file of readings, in any format that it knows, as facts."""

from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime

from pydantic import ValidationError

from domain.fleet.facts import DeviceMetricsReported
from domain.message import adapter
from schemas.values import in_words
from streams.intake.files.metrics.columns import MetricColumns
from streams.intake.files.metrics.exposed import INFLUX_LINE, PROMETHEUS_LINE, ExposedLines
from streams.intake.files.metrics.sample import How, Sample
from streams.intake.files.text import FactRow, RefusedRow, TextFile, changed
from streams.intake.hosts import host_device_id
from streams.intake.remembered import remembered
from streams.ports import FactSubmission

FORMATS = ("csv", "prometheus", "influx")

WINDOW = 20_000
"""Readings that are held back, so that of two of one instant that stand within so many the last one is sent alone."""

_FACT_BYTES = 400


class MetricsFile:
    """One file of readings. Raises: FileError, it lacks a column."""

    def __init__(self, file: TextFile, how: How, form: str = "") -> None:
        self.rows_read = 0
        self.replaced = 0
        self._file = file
        form = form or form_of(file)
        written_at = datetime.fromtimestamp(file.modified_ns / 1e9, UTC)
        self._source = MetricColumns(file, how) if form == "csv" else ExposedLines(file, how, form, written_at)
        self.header: Sequence[str] = self._source.header

    def items(self) -> Generator[FactRow | RefusedRow, None, None]:
        """Yield a fact for each reading, in the order of the file. Raises: FileError, it was changed meanwhile."""
        held: OrderedDict[tuple[str, str, datetime], tuple[Sample, int]] = OrderedDict()
        for sample in self._samples():
            self.rows_read += 1
            if isinstance(sample, RefusedRow):
                yield sample
                continue
            key = (sample.device_id, sample.metric, sample.at)
            before = held.pop(key, None)
            self.replaced += before is not None
            held[key] = (sample, before[1] + 1 if before else 0)
            if len(held) > WINDOW:
                yield _reading(*held.popitem(last=False)[1])
        for one, replaced in held.values():
            yield _reading(one, replaced)

    def _samples(self) -> Iterator[Sample | RefusedRow]:
        try:
            yield from self._source.samples()
        except UnicodeDecodeError as error:
            raise changed(self._file.path) from error

    def notes(self) -> Sequence[str]:
        """Return what there is to say of the readings besides how many were taken, a sentence for each."""
        said = []
        if self.replaced:
            said.append(
                f"readings of an instant that has a later one in the file: {self.replaced}; the last one counts"
            )
        if isinstance(self._source, ExposedLines):
            if self._source.untimed:
                said.append(f"readings without a time, taken as of when the file was written: {self._source.untimed}")
            if self._source.left_out:
                said.append(f"fields that are no numbers, left out: {self._source.left_out}")
        return said


def form_of(file: TextFile) -> str:
    """Return the format of a file, by its first line that says something."""
    with file.open(newline="\n") as lines:
        for line in lines:
            text = line.strip()
            if text.startswith(("# HELP ", "# TYPE ", "# UNIT ")):
                return "prometheus"
            if text and text[0] != "#":
                if PROMETHEUS_LINE.fullmatch(text):
                    return "prometheus"
                return "influx" if INFLUX_LINE.fullmatch(text) else "csv"
    return "csv"


def _reading(sample: Sample, replaced: int) -> FactRow | RefusedRow:
    named = _named(sample.metric, sample.unit)
    if isinstance(named, str):
        return RefusedRow(sample.row, named)
    [metric] = named.metrics
    fact = DeviceMetricsReported(metrics={metric: sample.value}, unit=named.unit)
    # the caller's own id is one already; what a file says is made one
    device_id = host_device_id(sample.device_id)
    return FactRow(FactSubmission(device_id, sample.at, fact), sample.row, _FACT_BYTES, replaced)


@remembered(16_384)
def _named(metric: str, unit: str) -> DeviceMetricsReported | str:
    """Return a reading of 0 of this name and unit as it is recorded, or why none can be: all values are finite."""
    try:
        fact: DeviceMetricsReported = adapter(DeviceMetricsReported).validate_python(
            {"metrics": {metric: 0.0}, "unit": unit}
        )
    except ValidationError as error:
        first = error.errors()[0]
        name, shown = ("the metric's name", metric) if "metrics" in first["loc"] else ("the unit", unit)
        return f"the reading cannot be recorded: {name} {in_words(first['msg'])}: {shown[:60]!r}"
    return fact
