"""The rows that an import could not take are kept beside their file."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Self, TextIO

from streams.intake.files.text import RefusedRow


class RefusedFile:
    """`FILE.refused.csv` beside a file: made with the first refused row; one of an earlier import is removed."""

    def __init__(self, path: Path, header: Sequence[str]) -> None:
        self.path = path.with_name(f"{path.name}.refused.csv")
        self.problem: str | None = None
        self._header = header
        self._file: TextIO | None = None
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            self.problem = error.strerror

    def add(self, refused: RefusedRow) -> None:
        """Write a row; where the file cannot be written, `problem` says so and the import goes on."""
        if self.problem is not None:
            return
        try:
            if self._file is None:
                self._file = self.path.open("w", encoding="utf-8", newline="")
                csv.writer(self._file).writerow(["line", "reason", *self._header])
            csv.writer(self._file).writerow([refused.row.line, refused.reason, *refused.row.cells])
        except OSError as error:
            self.problem = error.strerror

    @property
    def written(self) -> bool:
        return self._file is not None and self.problem is None

    def close(self) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                self.problem = error.strerror

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
