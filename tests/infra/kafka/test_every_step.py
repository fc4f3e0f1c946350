"""The short form of `python -m tests.chaos processes`."""

from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos import steps

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka


def test_writer_that_is_killed_in_and_after_each_transaction_leaves_each_step_once(
    kafka: "Kafka", tmp_path: Path
) -> None:
    result = steps.run(kafka, folder=tmp_path, say=lambda _text: None, names=["content"])
    assert result.failures == []
    assert result.kills > result.commands
