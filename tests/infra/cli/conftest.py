from pathlib import Path

import pytest

from tests.infra.cli.importing import new_data_dir


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return new_data_dir(tmp_path / "data")
