"""The tool for a new event writes what was released by hand, writes it once, and says why where it does not."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from domain.catalog import EVENTS
from domain.finance.values import Total
from domain.message import Event, value
from schemas.payload import schema_files
from tests.examples import EVENTS as EXAMPLES
from tests.new_event import CannotWrite, Folders, main, schema_of, write

RELEASED = {(type_, version): text for type_, version, text in schema_files()}
FOLDERS = Folders()

ORDERED_BY_HAND = {"device.registered", "device.updated"}
"""Their classes have the fields in another order: those of a common base first, or those that must be given."""


@value
class Step:
    name: str
    is_done: bool


@value
class PlanMade(Event):
    TYPE: ClassVar = "plan.made"
    VERSION: ClassVar = 2
    first: Step
    others: tuple[Step, ...]
    budget: Total | None
    due_at: datetime
    weights: dict[str, float]


PLAN = PlanMade(
    first=Step(name="dig", is_done=True),
    others=(Step(name="fill", is_done=False),),
    budget=Decimal("2.5"),
    due_at=datetime(2026, 1, 31, tzinfo=UTC),
    weights={"a": 0.5},
)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path, tmp_path)


def without_doc(schema: Any) -> Any:
    """Return a schema without what was written into it for people."""
    if isinstance(schema, dict):
        return {name: without_doc(part) for name, part in schema.items() if name != "doc"}
    return [without_doc(part) for part in schema] if isinstance(schema, list) else schema


def by_name(schema: Any) -> Any:
    return {**schema, "fields": sorted(schema["fields"], key=lambda field: str(field["name"]))}


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_every_released_schema_is_the_one_of_its_class(event: type[Event]) -> None:
    released, derived = without_doc(json.loads(RELEASED[event.TYPE, event.VERSION])), schema_of(event)
    assert by_name(derived) == by_name(released)
    assert (derived == released) is (event.TYPE not in ORDERED_BY_HAND)
    assert list(derived) == list(released)


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_every_released_file_has_the_form_in_which_the_tool_writes(event: type[Event], folders: Folders) -> None:
    text = RELEASED[event.TYPE, event.VERSION]
    assert text == json.dumps(json.loads(text), indent=2) + "\n"
    if event.TYPE not in ORDERED_BY_HAND:
        schema, golden = write(EXAMPLES[event], folders)
        assert json.loads(schema.read_text()) == without_doc(json.loads(text))
        assert golden.read_text() == (FOLDERS.golden / golden.name).read_text()


def test_schema_and_bytes_of_a_new_event_are_written_once(folders: Folders) -> None:
    schema, golden = write(PLAN, folders)
    assert (schema.name, golden.name) == ("plan.made.v2.avsc", "plan.made.v2.hex")
    first, others, budget, due_at, weights = json.loads(schema.read_text())["fields"]
    fields = [{"name": "name", "type": "string"}, {"name": "is_done", "type": "boolean"}]
    assert first == {"name": "first", "type": {"type": "record", "name": "Step", "fields": fields}}
    assert others["type"] == {"type": "array", "items": "Step"}
    assert budget == {
        "name": "budget",
        "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 8}],
        "default": None,
    }
    assert due_at["type"] == {"type": "long", "logicalType": "timestamp-micros"}
    assert weights["type"] == {"type": "map", "values": "double"}
    assert bytes.fromhex(golden.read_text()).startswith(b"\x06dig\x01")
    before = golden.read_text()
    with pytest.raises(CannotWrite, match="is there already"):
        write(replace(PLAN, weights={}), folders)
    schema.unlink()
    with pytest.raises(CannotWrite, match=r"plan\.made\.v2\.hex is there already"):
        write(replace(PLAN, weights={}), folders)
    assert (golden.read_text(), schema.exists()) == (before, False)


def test_a_field_of_a_type_that_avro_does_not_have_is_named(folders: Folders) -> None:
    @value
    class Odd(Event):
        TYPE: ClassVar = "odd"
        names: set[str]

    with pytest.raises(CannotWrite, match=r"Odd\.names: no Avro type for set\[str\]"):
        write(Odd(names=set()), folders)
    assert not list(folders.schemas.iterdir())


@pytest.mark.parametrize(
    ("type_", "said"),
    [("lead.exploded", "no event has the type lead.exploded"), ("device.retired", "is there already")],
)
def test_the_command_says_why_it_writes_nothing(type_: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["new_event", type_])
    with pytest.raises(SystemExit, match=said):
        main()


def test_help_has_an_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["new_event", "--help"])
    with pytest.raises(SystemExit):
        main()
    assert "example: python -m tests.new_event lead.captured" in capsys.readouterr().out
