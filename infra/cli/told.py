"""A command that needs the distributed profile says here why it cannot go on, without a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from infra.settings import CannotStart
from infra.watchdog import LOST
from streams.ports import LogUnavailable
from streams.write.turn import WriterLost


@contextmanager
def told() -> Iterator[None]:
    """Say what is wrong without a traceback."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is missing: pip install 'factline[distributed]'") from None
    except (CannotStart, LogUnavailable) as error:
        raise click.ClickException(str(error)) from None
    except WriterLost as lost:
        click.echo(f"factline: {lost}", err=True)
        sys.exit(LOST)
