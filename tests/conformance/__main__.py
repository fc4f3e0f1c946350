"""`python -m tests.conformance` is the long form: thousands of requests over the whole description of the API."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from tests.conformance import run, target


@click.command()
@click.option("--examples", default=100, show_default=True, help="Requests for each operation and phase.")
@click.option("--seed", default=1, show_default=True)
@click.option("--phases", default="examples,coverage,fuzzing,stateful", show_default=True)
def main(examples: int, seed: int, phases: str) -> None:
    """Exit with 1 where an answer is not as it is described."""
    with TemporaryDirectory(prefix="factline-") as folder, target(Path(folder)) as found:
        ended = run(found, examples=examples, seed=seed, phases=phases)
    for one in ended:
        click.echo(one.stdout + one.stderr)
    sys.exit(any(one.returncode for one in ended))


main()
