"""The command line: `factline serve`, imports, and what an operator does."""

import sys
from pathlib import Path

import click

from infra.data_dir import DataDirError

_DATA_DIR = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="DATA_DIR",
    default="data",
    show_default=True,
    help="Where the log and the views are kept.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="factline")
def cli() -> None:
    """Event-sourced history for services, analysts, auditors and dashboards.

    \b
    factline serve                                  start the server on 127.0.0.1:8080
    factline import invoices FILE --tenant demo     bring in your own data
    factline verify                                 prove that every view equals the log
    """


@cli.command()
@_DATA_DIR
@click.option("--port", type=click.IntRange(0, 65535), envvar="PORT", default=8080, show_default=True)
def serve(data_dir: Path, port: int) -> None:
    """Start the embedded server; Ctrl-C stops it, and the next start has lost nothing.

    \b
    factline serve
    PORT=9000 DATA_DIR=/var/lib/factline factline serve
    """
    from infra.server import serve as run  # noqa: PLC0415 - the engine takes a second to load; --help should not

    sys.exit(run(data_dir, port=port))


def main() -> None:
    """Run the command line; a known error is one line and exit status 2."""
    try:
        cli()
    except DataDirError as error:
        print(f"factline: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
