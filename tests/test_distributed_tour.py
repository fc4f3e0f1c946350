"""Every command of docs/distributed.md, in its order, on the engines that the tests started."""

import os
from pathlib import Path

import pytest

from tests.tour import ROOT, Terminal, clone, free_port, steps

TEXT = (ROOT / "docs" / "distributed.md").read_text()
NOT_RUN = ("pip install", "factline engines down")
"""The packages are there, and the engines are those of other tests too."""


@pytest.mark.usefixtures("kafka", "cassandra", "mongo", "redis", "registry", "clickhouse_front")
def test_every_command_does_what_the_text_says(engines_folder: Path, tmp_path: Path) -> None:
    port, own = free_port(), f"tour_{os.getpid()}"
    folder = clone(tmp_path)
    (folder / ".engines").symlink_to(engines_folder)
    apart = {
        "PORT": str(port),
        "FACTLINE_TOPIC_PREFIX": own,
        "FACTLINE_PARTITIONS": "3",
        "FACTLINE_CASSANDRA_KEYSPACE": own,
        "FACTLINE_MONGO_DATABASE": own,
        "PATH": f"{folder / '.venv' / 'bin'}:{os.environ['PATH']}",
    }
    with Terminal(folder, apart) as terminal:
        for step in steps(TEXT):
            if step.command.startswith(NOT_RUN):
                continue
            expected = [line.replace("8080", str(port)) for line in step.expected]
            if step.command.startswith(("factline worker", "factline serve")):
                terminal.start(step._replace(expected=expected))
            else:
                terminal.run(step)
    assert terminal.environment["FACTLINE_PROFILE"] == "distributed"
