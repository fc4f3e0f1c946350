"""No message is without an example, and every example is valid."""

import pytest

from domain import catalog
from domain.message import Command, Event, adapter
from domain.process import PROCESS_EVENTS
from tests import examples
from tests.examples import envelope_of


def test_every_command_has_an_example() -> None:
    assert set(examples.COMMANDS) == set(catalog.COMMANDS.values())


def test_every_event_and_fact_has_an_example() -> None:
    assert set(examples.EVENTS) == set(catalog.EVENTS.values())
    assert set(examples.FACTS) == set(catalog.FACTS)


@pytest.mark.parametrize("command", examples.COMMANDS.values(), ids=lambda command: type(command).__name__)
def test_an_example_of_a_command_sent_as_json_is_the_same_command(command: Command) -> None:
    found = adapter(type(command))
    assert found.validate_json(found.dump_json(command)) == command


@pytest.mark.parametrize("event", examples.EVENTS.values(), ids=lambda event: event.TYPE)
def test_an_example_of_an_event_read_from_the_log_is_the_same_event(event: Event) -> None:
    read = catalog.event_from(envelope_of(event))
    # what is kept apart from an event is not in the log's copy of it
    assert catalog.payload_of(read) == catalog.payload_of(event)
    assert type(read) is type(event)


def test_a_name_in_the_catalog_stands_for_one_class() -> None:
    commands = [command for decider in catalog.DECIDERS for command in decider.commands]
    events = [event for decider in catalog.DECIDERS for event in decider.events]
    events += [event for process in catalog.PROCESSES for event in process.events]
    assert len(commands) == len(catalog.COMMANDS)
    assert len(events) + len(PROCESS_EVENTS) + len(catalog.FACTS) == len(catalog.EVENTS)


@pytest.mark.parametrize(("name", "command"), catalog.COMMANDS.items())
def test_a_command_is_decided_by_the_rules_of_its_streams_category(name: str, command: type[Command]) -> None:
    category = examples.COMMANDS[command].stream.partition("-")[0]
    assert catalog.evolve_for_category(category) is catalog.decider_of(command).evolve
    assert name.endswith(f".{command.__name__}")


def test_processes_listen_to_what_commands_give_and_are_told_apart_from_streams_of_rules() -> None:
    given = {event for decider in catalog.DECIDERS for event in decider.events}
    assert all(set(process.listens) <= given for process in catalog.PROCESSES)
    categories = [decider.category for decider in catalog.DECIDERS] + [process.name for process in catalog.PROCESSES]
    assert len(set(categories)) == len(categories)


def test_a_category_without_rules_has_no_decider() -> None:
    assert catalog.evolve_for_category("not_a_category") is None
