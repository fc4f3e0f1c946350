"""A script gives a value, and neither its time nor its memory nor this machine is its own."""

from typing import Any

import pytest

from factline.worker import Failed
from infra.handlers import kinds
from infra.handlers.javascript import script_javascript
from infra.handlers.kinds import HARMLESS, BadKinds, kinds_of
from tests.infra.handlers.kit import done

RUN = script_javascript()


def value_of(code: str, **more: Any) -> Any:
    return done(RUN, {"code": code, **more})["value"]


def test_script_gives_a_value_of_its_input() -> None:
    code = "return {sum: input.rows.map(row => row.n).reduce((a, b) => a + b, 0), ü: '”'}"
    assert value_of(code, input={"rows": [{"n": 1}, {"n": 2}]}) == {"sum": 3, "ü": "”"}


def test_script_has_the_language_and_nothing_of_this_machine() -> None:
    names = [
        "require",
        "process",
        "fetch",
        "setTimeout",
        "WebAssembly",
        "SharedArrayBuffer",
        "console",
        "Deno",
        "XMLHttpRequest",
    ]
    code = "const all = Function('return this')(); return input.filter(name => all[name] !== undefined)"
    assert value_of(code, input=names) == []


def test_scripts_do_not_see_each_other() -> None:
    assert value_of("Function('return this')().left = 1; Object.prototype.x = 1; return 1") == 1
    assert value_of("return [typeof left, typeof ({}).x]") == ["undefined", "undefined"]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("while (true) {}", "took longer than 0.3 s"),
        ("return /(a+)+$/.test('a'.repeat(40) + 'b')", "took longer than 0.3 s"),
        ("throw new TypeError('no such row')", "the script failed: TypeError: no such row"),
        ("throw 'text'", "the script failed: text"),
        ("throw {toString() { throw 1 }}", "the script failed"),
        ("retrun 1", "the script failed: SyntaxError"),
        ("}); (function () { return 1", "the script failed: SyntaxError"),
        ("return 10n", "the script failed: TypeError"),
        ("return 'x'.repeat(70000)", "more than 64 KiB"),
    ],
)
def test_script_that_does_not_end_well_fails_its_task_for_good(code: str, why: str) -> None:
    with pytest.raises(Failed, match=why) as failed:
        value_of(code, timeout_s=0.3)
    assert not failed.value.retryable


@pytest.mark.full
@pytest.mark.parametrize(
    "code",
    [
        "const all = []; while (true) all.push('x'.repeat(1000) + all.length)",
        "const all = []; while (true) all.push(new Uint8Array(50_000_000).fill(1))",
    ],
)
def test_script_that_needs_too_much_memory_is_ended(code: str) -> None:
    # now and then V8 looks for garbage at its limit for so long that its time is over first
    with pytest.raises(Failed, match=r"needed more than 16 MB|allocation failed|took longer than 3 s"):
        value_of(code, memory_mb=16, timeout_s=3)


def test_what_a_script_changes_of_the_language_does_not_change_its_answer() -> None:
    assert value_of("JSON.stringify = () => '1'; String = () => 'x'; return [2]") == [2]


def test_process_has_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONSTARTUP", "/nowhere")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    assert value_of("return 1") == 1


def test_without_v8_nobody_takes_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "script.javascript" in kinds_of(None, HARMLESS)
    monkeypatch.setattr(kinds, "find_spec", lambda _: None)
    assert "script.javascript" not in kinds_of(None, HARMLESS)
    with pytest.raises(BadKinds, match=r"factline\[scripts\]"):
        kinds_of("script.javascript", HARMLESS)
