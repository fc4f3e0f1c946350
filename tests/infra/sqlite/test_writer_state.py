"""A worker's own copy gives back every record it was given, also those that no writer of ours wrote."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from domain.catalog import EVENTS
from infra.sqlite.writer_state import Stored, WriterState
from schemas.envelope import Entry, Undecodable
from schemas.kafka_record import KafkaRecord, encode_kafka, kafka_record
from tests.examples import EVENTS as EXAMPLES
from tests.examples import envelope_of

ENVELOPE = envelope_of(EXAMPLES[EVENTS["device.registered"]])._replace(position=1)
RECORD = encode_kafka(ENVELOPE, 1)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[WriterState]:
    with closing(WriterState(tmp_path / "partition-0.sqlite", 0, "log")) as state:
        yield state


def kept(state: WriterState, record: KafkaRecord) -> Entry:
    state.add([Stored(1, record)], 1)
    [entry] = state.read(after=0, limit=10)
    return entry


def test_an_event_is_read_as_it_was_written(state: WriterState) -> None:
    assert kept(state, RECORD) == ENVELOPE
    assert state.read_streams([ENVELOPE.key]) == {ENVELOPE.key: [ENVELOPE]}


@pytest.mark.parametrize(
    "record",
    [
        kafka_record(RECORD.key, RECORD.value, [*RECORD.headers_from("north"), ("ce_id", None)]),
        RECORD._replace(ce_id=b"a\0b"),
        RECORD._replace(ce_time=b""),
    ],
)
def test_a_record_with_headers_that_we_do_not_write_is_undecodable_in_its_place(
    state: WriterState, record: KafkaRecord
) -> None:
    entry = kept(state, record)
    assert isinstance(entry, Undecodable)
    assert (entry.position, entry.raw) == (1, record.value)
