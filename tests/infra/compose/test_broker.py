"""The broker of docker-compose.yml, against the one that the tests run with."""

from infra.engines import kafka
from tests.infra.compose.compose_file import SERVICES


def test_broker_ends_what_killed_workers_left_open_as_soon_as_the_one_of_the_tests() -> None:
    name = "transaction.abort.timed.out.transaction.cleanup.interval.ms"
    value = SERVICES["kafka"]["environment"][f"KAFKA_{name.replace('.', '_').upper()}"]
    assert f"{name}={value}\n" in kafka.PROPERTIES
