"""Tests have two tiers: one needs only Python, the other needs REQUIRE_ENGINES=1, engines or a browser.

A test belongs to the full tier alone when one of its fixtures asks for `full_tier`, when it is marked `full`, or when
its module, or what that imports, imports a driver of the distributed profile.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

FULL = os.environ.get("REQUIRE_ENGINES") == "1"
DRIVERS = frozenset({"aiokafka", "bson", "cassandra", "confluent_kafka", "faust", "pymongo", "redis"})

_LEFT_OUT = "left out without REQUIRE_ENGINES=1"
_SUMMARY = """\
Left out: {tests} tests of real engines, of the page in a browser, and long ones; also every module that imports a
driver of Kafka, Cassandra, MongoDB or Redis. To run them too, install Java 17, Maven, redis-server, chromium and
chromium-driver, then
  REQUIRE_ENGINES=1 make test
"""


class _NoDrivers(MetaPathFinder):
    """Leaves out whoever imports a driver, so that the quick tier is the same whether the drivers are here or not."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: object = None) -> None:
        if fullname in DRIVERS:
            if any(frame.filename.endswith("conftest.py") for frame in traceback.extract_stack()):
                # it would leave out a whole folder
                raise ImportError(f"a conftest imports {fullname}, which the quick tier has not")
            pytest.skip(_LEFT_OUT, allow_module_level=True)


@pytest.fixture(scope="session")
def full_tier() -> None:
    """Make a test that asks for it, directly or through another fixture, one of the full tier."""


def without(reason: str) -> NoReturn:
    """Fail a test of the full tier that needs what is not here."""
    pytest.fail(f"REQUIRE_ENGINES=1, but {reason}", pytrace=False)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "full: runs with REQUIRE_ENGINES=1 only")
    # a rule that does not hold is nearly always found by few examples
    examples = 100 if FULL else 20
    # a busy machine is not a failure
    settings.register_profile(
        "factline", max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("factline")
    if not FULL:
        sys.meta_path.insert(0, _NoDrivers())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "full_tier" in getattr(item, "fixturenames", ()):
            item.add_marker("full")
        if not FULL and item.get_closest_marker("full"):
            item.add_marker(pytest.mark.skip(reason=_LEFT_OUT))
    # the long ones first, so that no worker waits at the end for another one that has just begun one
    items.sort(key=lambda item: item.get_closest_marker("full") is None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left_out = [report for report in terminalreporter.getreports("skipped") if _LEFT_OUT in report.longreprtext]
    if left_out:
        terminalreporter.section("two tiers of tests")
        terminalreporter.write(_SUMMARY.format(tests=len(left_out)))
