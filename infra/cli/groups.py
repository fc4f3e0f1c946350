"""A group of commands names the one that was probably meant where there is none of a name."""

from difflib import get_close_matches

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
