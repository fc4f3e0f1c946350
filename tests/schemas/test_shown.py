"""The hash of a secret is in no payload that is shown, whatever form it has."""

import json

import pytest

from schemas.shown import shown, shown_text

HASH = "a1" * 32
ISSUED = {"key_id": "k1", "secret_sha256": HASH, "scopes": ["*"]}
SHOWN = {"key_id": "k1", "secret_sha256": "not shown", "scopes": ["*"]}


def test_payload_is_shown_without_the_hash() -> None:
    assert shown(ISSUED) == SHOWN
    assert ISSUED["secret_sha256"] == HASH


def test_payload_without_one_is_shown_as_it_is() -> None:
    other = {"summary": HASH}
    assert shown(other) == other
    assert shown_text(json.dumps(other)) == json.dumps(other)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_json_is_shown_without_the_hash(separators: tuple[str, str]) -> None:
    assert json.loads(shown_text(json.dumps(ISSUED, separators=separators))) == SHOWN


def test_row_in_a_verdict_is_shown_without_the_hash() -> None:
    assert HASH not in shown_text(str(("k1", ISSUED)))
