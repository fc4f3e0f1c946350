"""Several commands share these options."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])


def data_dir_option(help_: str) -> Callable[[F], F]:
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="DATA_DIR",
        default="data",
        show_default=True,
        help=help_,
    )


def profile_option(help_: str) -> Callable[[F], F]:
    return click.option(
        "--profile",
        type=click.Choice(["embedded", "distributed"]),
        envvar="FACTLINE_PROFILE",
        default="embedded",
        show_default=True,
        help=help_,
    )
