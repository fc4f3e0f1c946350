"""What is split at once is read as the reader of CSV reads it, with the same lines."""

import csv
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from streams.intake.files.csv_rows import CsvRows, Layout, Record
from streams.intake.files.text import SourceRow, check

CELLS = st.sampled_from(
    ("", "a", " b ", '"a"', '"a,b"', '"a\nb"', 'a"b', '"a""b"', '"', '"a"b', "ü", "\0", "\x1c\u2028")
)
ENDS = st.sampled_from(("\n", "\r\n", "\r", "\n\n"))
ROWS = st.lists(st.tuples(st.lists(CELLS, max_size=3), ENDS), max_size=8)


def by_the_library(path: Path, delimiter: str) -> list[Record]:
    """Return the rows as one reader of CSV gives them, whose place it tells itself."""
    found: list[Record] = []
    raw: list[str] = []
    with path.open(encoding="utf-8", newline="") as lines:
        reader = csv.reader((raw.append(line) or line for line in lines), delimiter=delimiter, strict=True)  # type: ignore[func-returns-value]
        next(reader)
        while True:
            raw.clear()
            line, problem = reader.line_num + 1, ""
            try:
                cells = next(reader)
            except StopIteration:
                return found
            except csv.Error as error:
                cells = "".join(raw).rstrip("\r\n").split(delimiter)
                problem = f"the row is not readable as CSV: {error}; look at the quotes in it"
            if not problem and cells and len(cells) != 2:
                problem = f"the row has not as many columns as the header: {len(cells)} instead of 2"
            if cells:
                found.append(Record(SourceRow(line, tuple(cells)), problem or None, tuple(raw[1:])))


@given(rows=ROWS, delimiter=st.sampled_from(",;"))
def test_rows_are_those_of_the_library_with_their_lines(rows: list[tuple[list[str], str]], delimiter: str) -> None:
    text = "".join(f"{delimiter.join(cells)}{end}" for cells, end in rows)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        path.write_bytes(f"x{delimiter}y\n{text}\n".encode())
        records = list(CsvRows(check(path, "utf-8"), ("x", "y"), Layout(delimiter)).records())
        assert records == by_the_library(path, delimiter)
