"""`factline replay` and `factline log describe`, on the embedded log and on Kafka alike."""

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import fastavro
import pytest
from click.testing import CliRunner, Result

from infra.cli.replay import log_, replay_
from infra.sqlite.event_log import SqliteEventLog
from schemas.avro_file import write_avro_file
from schemas.envelope import Envelope
from streams.ports import Batch
from tests.contracts.event_log import ACME, BOLT, events
from tests.examples import EVENTS, envelope_of

if TYPE_CHECKING:
    from infra.engines.kafka import Kafka

Ask = Callable[..., Result]


@pytest.fixture(params=["embedded", pytest.param("distributed", marks=pytest.mark.full)])
def ask(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Return what runs a command on a log with two events of one tenant and one of another."""
    if request.param == "embedded":
        log: SqliteEventLog | object = SqliteEventLog(tmp_path)
    else:
        from tests.cluster import PARTITIONS, Cluster  # noqa: PLC0415, the drivers come with an extra

        kafka: Kafka = request.getfixturevalue("kafka")
        cluster = Cluster(kafka.bootstrap)
        monkeypatch.setenv("FACTLINE_KAFKA_BOOTSTRAP", kafka.bootstrap)
        monkeypatch.setenv("FACTLINE_TOPIC_PREFIX", cluster.topics.prefix)
        monkeypatch.setenv("FACTLINE_PARTITIONS", str(PARTITIONS))
        log = cluster.open(tmp_path)
    with closing(log) as opened:  # type: ignore[type-var]
        for tenant, stream, count in ((ACME, "device-1", 2), (BOLT, "device-1", 1)):
            opened.append(Batch(events(opened, tenant, stream, count), ()))  # type: ignore[attr-defined, arg-type]

    def run(command: Sequence[str]) -> Result:
        group, *rest = command
        place = ["--profile", request.param, "--data-dir", str(tmp_path)]
        return CliRunner().invoke(replay_ if group == "replay" else log_, [*rest, *place])

    return run


def test_history_is_printed_as_json_lines(ask: Ask) -> None:
    result = ask(["replay", "--tenant", "acme"])
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(line["tenant_id"], line["version"], line["type"]) for line in lines] == [
        ("acme", 1, "device.registered"),
        ("acme", 2, "device.registered"),
    ]
    assert lines[0]["actor"] == {"type": "user", "id": "ann"}
    assert lines[0]["happened_at"] == "2010-12-01T08:26:00Z"


def test_history_is_written_as_an_avro_file(ask: Ask, tmp_path: Path) -> None:
    out = tmp_path / "history.avro"
    result = ask(["replay", "--tenant", "bolt", "--format", "avro", "-o", str(out)])
    assert result.exit_code == 0, result.output
    with out.open("rb") as file:
        [record] = list(fastavro.reader(file))
    assert isinstance(record, dict)
    assert (record["tenant_id"], record["stream"], record["data"]["hostname"]) == ("bolt", "device-1", "web-1")


@pytest.mark.parametrize(
    ("option", "found"),
    [
        (["--stream", "device-2"], 0),
        (["--types", "device.tagged, device.registered"], 2),
        (["--from", "2026-02-01"], 0),
        (["--to", "2026-01-31T08:30:01Z"], 2),
    ],
)
def test_history_is_narrowed(ask: Ask, option: list[str], found: int) -> None:
    assert len(ask(["replay", "--tenant", "acme", *option]).stdout.splitlines()) == found


def test_a_log_is_described(ask: Ask) -> None:
    result = ask(["log", "describe"])
    assert result.exit_code == 0, result.output
    assert "acme" in result.stdout
    assert "bolt" in result.stdout


def test_a_folder_without_a_log_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(replay_, ["--tenant", "acme", "--data-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert f"there is no log in {tmp_path}" in result.output


def test_an_instant_that_is_none_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(replay_, ["--tenant", "acme", "--from", "yesterday", "--data-dir", str(tmp_path)])
    assert "must look like 2026-01-31" in result.output


def test_every_event_type_fits_into_an_avro_file(tmp_path: Path) -> None:
    envelopes: list[Envelope] = [envelope_of(event) for event in EVENTS.values()]
    with (tmp_path / "all.avro").open("wb") as file:
        write_avro_file(file, envelopes)
    with (tmp_path / "all.avro").open("rb") as file:
        found = list(fastavro.reader(file))
    assert [record["data"] for record in found if isinstance(record, dict)] == [e.data for e in envelopes]
