"""Groups of commands: one names the command that was probably meant, and one loads a command when it is asked for."""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click


class Suggesting(click.Group):
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if near := get_close_matches(args[0], self.list_commands(ctx), 1):
                error.message += f" Did you mean {near[0]!r}?"
            raise


# groups within a group are of its kind
Suggesting.group_class = Suggesting


class Lazy(Suggesting):
    """Loads a command's module when it is asked for: the engines take a second, and --help should not.

    Shape: `modules` gives the module of a command's name, and what the command is called there.
    """

    def __init__(self, *args: Any, modules: Mapping[str, tuple[str, str]], **others: Any) -> None:
        super().__init__(*args, **others)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *self._modules])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._modules:
            return super().get_command(ctx, cmd_name)
        module, name = self._modules[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command
