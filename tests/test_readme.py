"""Every command of the README, in its order, in a folder like a fresh clone: the answers are what the text says."""

import re
from pathlib import Path

import pytest

from tests.tour import ROOT, Step, Terminal, clone, free_port, place, steps

README = (ROOT / "README.md").read_text()
NOT_RUN = {
    # this is one of them
    "make test\n",
}


def test_readme_is_one_page() -> None:
    assert len(README.splitlines()) <= 120


def test_commands_are_read_over_several_lines_and_with_their_answers() -> None:
    text = "```text\nno command\n```\nor\n```\na 'x\n# y' \\\n  b\n# one … two\nc  # why\n```\n"
    assert list(steps(text)) == [Step("a 'x\n# y' \\\n  b\n", ["one … two"]), Step("c  # why\n", [])]


def test_answer_has_the_expected_lines_in_their_order() -> None:
    assert place(["a … c", "d…"], "x\na b c\nd\n") is None
    assert place(["a … c", "a"], "a b c\n") == "a"
    assert place(["a … c"], "a b\nc\n") == "a … c"


@pytest.mark.full
def test_every_command_does_what_the_readme_says(tmp_path: Path) -> None:
    port = free_port()
    folder = clone(tmp_path)
    greeting = ""
    with Terminal(folder, {"PORT": str(port)}) as terminal:
        for step in steps(README):
            command = step.command
            if command in NOT_RUN:
                continue
            if command == "make run\n":
                shown = next(other.command for other in steps(README) if other.command.startswith("export"))
                expected = shown.strip().replace("8080", str(port))
                greeting = terminal.start(step._replace(expected=[expected]))
            elif command.startswith("export"):
                printed = re.search(r"^ *(export FACTLINE_URL=.+)$", greeting, re.MULTILINE)
                assert printed is not None
                terminal.run(Step(printed[1], ()))
            elif " -N " in command:
                terminal.start(step)
            else:
                terminal.run(step)
