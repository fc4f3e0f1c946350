"""A process of which a part is from another release does not start."""

import pytest

from infra import release
from infra.release import HalfRelease, check_release, missing_parts

SCHEMAS = [("device.moved", 1), ("device.moved", 2)]


def test_this_release_is_whole() -> None:
    check_release()


def test_whole_release_lacks_nothing() -> None:
    assert missing_parts(SCHEMAS, {"device.moved": 2}, [("device.moved", 1)]) == []


def test_each_missing_part_is_named() -> None:
    assert missing_parts(SCHEMAS, {"device.moved": 2}, []) == ["the step from device.moved v1 to v2"]
    assert missing_parts(SCHEMAS, {"device.moved": 1}, []) == ["the class of device.moved v2"]
    assert missing_parts(SCHEMAS, {}, []) == ["the class of device.moved v2"]
    assert missing_parts(SCHEMAS[:1], {"device.moved": 2}, [("device.moved", 1)]) == ["the schema of device.moved v2"]


def test_process_with_a_schema_that_has_no_class_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "schema_files", lambda: iter([("device.moved", 1, "{}")]))
    with pytest.raises(HalfRelease, match=r"it lacks .*the class of device.moved v1.*: install one release whole"):
        check_release()
