"""Short ways to run `factline import` and to read what it printed, refused and recorded."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from click.testing import CliRunner, Result

from domain.catalog import facts_of
from infra.cli.main import cli
from infra.embedded import Embedded
from schemas.envelope import Envelope, Topic

COUNTS = re.compile(r"^(rows read|accepted|repeated|refused|without an answer): (\d+)$", re.MULTILINE)


class Account(dict[str, int]):
    """The counts that an import printed, with its exit status and all that it said."""

    def __init__(self, exit_code: int, output: str) -> None:
        super().__init__((name, int(count)) for name, count in COUNTS.findall(output))
        self.exit_code = exit_code
        self.output = output

    @property
    def adds_up(self) -> bool:
        answered = self["accepted"] + self["repeated"] + self["refused"]
        return self["rows read"] == answered + self.get("without an answer", 0)


def factline(*arguments: object, environment: dict[str, str] | None = None) -> Account:
    settings = {"FACTLINE_API_KEY": None, "FACTLINE_URL": None} | (environment or {})
    result: Result = CliRunner().invoke(cli, ["import", *map(str, arguments)], env=settings)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Account(result.exit_code, result.output)


def counts(*, accepted: int = 0, repeated: int = 0, refused: int = 0) -> dict[str, int]:
    read = accepted + repeated + refused
    return {"rows read": read, "accepted": accepted, "repeated": repeated, "refused": refused}


def import_invoices(data_dir: Path, *files: Path, options: Sequence[str] = ()) -> Account:
    return factline("invoices", *files, "--tenant", "demo", "--data-dir", data_dir, *options)


def events(data_dir: Path, type_: str, topic: Topic = Topic.EVENTS) -> list[Envelope]:
    with Embedded.open(data_dir) as embedded:
        found = embedded.log.read(topic, 0, after=0, limit=1_000_000)
    wanted = [event for event in found if isinstance(event, Envelope) and event.type == type_]
    return wanted if topic is Topic.EVENTS else [fact for record in wanted for fact in facts_of(record)]


def refused_rows(path: Path) -> list[list[str]]:
    with path.with_name(f"{path.name}.refused.csv").open(newline="") as file:
        return list(csv.reader(file))


def new_data_dir(folder: Path) -> Path:
    with Embedded.open(folder) as embedded:
        embedded.first_start()
    return folder
