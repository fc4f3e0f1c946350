"""Each line of the penetration list names tests that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = (ROOT / "docs" / "security.md").read_text(encoding="utf-8").partition("### What an attacker may try")[2]
ROWS = re.findall(r"^\| (?!try |---)(.+) \| (.+) \|$", LIST.partition("\n## ")[0], re.MULTILINE)


def test_every_try_names_its_tests() -> None:
    assert len(ROWS) > 30
    for attack, tests in ROWS:
        files = re.findall(r"`(tests/[\w/]+\.py)`", tests)
        assert files, attack
        sources = {file: (ROOT / file).read_text(encoding="utf-8") for file in files}
        names = re.findall(r"`(test_\w+)`", tests)
        assert names, attack
        for name in names:
            assert any(re.search(rf"^def {name}\(", source, re.MULTILINE) for source in sources.values()), name
