"""An import says up to when its data goes, so that data of another year is looked for where it is."""

from pathlib import Path

import pytest

from tests.infra.cli.importing import factline, new_data_dir

TOUR = Path(__file__).parents[3] / "docs" / "tour"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_data_dir(tmp_path_factory.mktemp("ends") / "data")


def said(data_dir: Path, *arguments: str) -> str:
    return factline(*arguments, "--tenant", "demo", "--data-dir", data_dir).output


@pytest.mark.parametrize(
    ("arguments", "end"),
    [
        (("invoices", "invoices.csv"), "2014-02-13 11:30:00"),
        (("metrics", "cpu.csv", "--device", "web-1", "--metric", "cpu_percent"), "2014-02-14 15:59:00"),
        (("logs", "auth.log", "--device", "web-1"), "2014-02-14 15:39:33"),
    ],
)
def test_end_is_that_of_the_latest_row_also_where_it_is_imported_again(
    data_dir: Path, arguments: tuple[str, ...], end: str
) -> None:
    kind, file, *options = arguments
    for _ in range(2):
        assert f"\ndata ends on {end} UTC\n" in said(data_dir, kind, str(TOUR / file), *options)


def test_refused_rows_have_no_part_in_it(data_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "cpu.csv"
    file.write_text("timestamp,value\n2014-02-14 10:00:00,much\n")
    answer = said(data_dir, "metrics", str(file), "--device", "web-1", "--metric", "cpu")
    assert "refused: 1" in answer
    assert "data ends" not in answer
