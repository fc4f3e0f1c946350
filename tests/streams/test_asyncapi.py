"""The AsyncAPI document is valid, and says of every released schema where and how its records are found."""

import gzip
import json
from pathlib import Path
from typing import Any

import fastavro
import pytest
from click.testing import CliRunner
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from infra.cli.main import cli
from schemas.kafka_record import OWN_HEADERS
from schemas.payload import schema_files
from streams.asyncapi import asyncapi
from streams.topics import Topics

# of @asyncapi/specs 6.11.1, Apache-2.0
SCHEMA = json.loads(gzip.decompress(Path(__file__).with_name("asyncapi-3.0.0.schema.json.gz").read_bytes()))


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return asyncapi(Topics("acme", 4), "0.1.0")


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    assert [error.message for error in Draft7Validator(SCHEMA).iter_errors(document)] == []
    broken = {**document, "channels": {"events": {"address": 1}}}
    assert not Draft7Validator(SCHEMA).is_valid(broken)


def test_every_released_schema_is_a_message_of_one_topic(document: dict[str, Any]) -> None:
    messages = document["components"]["messages"]
    assert set(messages) == {f"{type_}.v{version}" for type_, version, _ in schema_files()}
    of_channel = {name: set(channel["messages"]) for name, channel in document["channels"].items()}
    assert of_channel["events"] | of_channel["telemetry"] == set(messages)
    assert not of_channel["events"] & of_channel["telemetry"]
    assert "device.metrics.reported.v2" in of_channel["telemetry"]
    for message in messages.values():
        fastavro.parse_schema(message["payload"]["schema"])


def test_topics_and_partitions_are_those_of_the_deployment(document: dict[str, Any]) -> None:
    bindings = document["channels"]["events"]["bindings"]["kafka"]
    assert (bindings["topic"], bindings["partitions"]) == ("acme.events", 4)
    assert "read_committed" in document["channels"]["events"]["description"]


def test_every_header_that_the_log_writes_is_described(document: dict[str, Any]) -> None:
    headers = document["components"]["messages"]["device.registered.v1"]["headers"]
    assert set(OWN_HEADERS) <= {name.replace("-", "_") for name in headers["properties"]}
    assert "ce_position" in headers["required"]


def test_the_command_line_prints_it() -> None:
    result = CliRunner().invoke(cli, ["asyncapi", "--prefix", "acme"])
    assert result.exit_code == 0
    assert json.loads(result.output)["channels"]["telemetry"]["address"] == "acme.telemetry"
