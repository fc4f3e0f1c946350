"""`factline demo` fills a tenant with a small business of our own making, so that every view has something to show."""

import sys

import click

from infra.cli.demo_fill import CannotBegin, Filling
from infra.cli.progress import progress
from infra.cli.servers import REFUSED, asking, server_options
from infra.cli.shown import json_option, print_json, print_rows


@click.command()
@click.option(
    "--speed",
    type=click.FloatRange(min=0.1),
    metavar="RECORDS",
    help="So many commands and facts a second, to look on; else as fast as the server takes them.",
)
@json_option
@server_options
def demo(*, speed: float | None, as_json: bool) -> None:
    """Fill a tenant with the story of a small business, so that every view has something to show.

    Organizations and users, devices with readings, logs and alerts, scripts and schedules, leads, quotes, invoices,
    payments, budgets, content on platforms, and workflows: some completed, one failed, one waiting for an approval.
    All of it is invented, and its ids begin with demo- (invoices with DEMO-).

    A key of all scopes is needed, of a tenant that is there for it: what is recorded stays. Run again it records
    nothing twice, and goes on where it was stopped. The exit status is 1 where a part of it was refused.

    \b
    factline demo
    factline demo --speed 10                        # to look on at http://127.0.0.1:8080/
    factline demo --server production --json
    """
    with asking(patience_s=120.0) as client, progress("demo", "records") as on_step:
        filling = Filling(client, speed, on_step)
        try:
            filling.fill()
        except CannotBegin as error:
            click.echo(f"factline: {error}", err=True)
            sys.exit(REFUSED)
    rows = [
        {
            "what": kind,
            "things": len(count.things) or count.recorded + count.before,
            "recorded": count.recorded,
            "recorded before": count.before,
        }
        for kind, count in sorted(filling.counts.items())
    ]
    if as_json:
        print_json({"rows": rows, "refused": filling.refused, "unseen": filling.unseen})
    else:
        print_rows(rows)
        _tell(filling, client.url)
    sys.exit(1 if filling.refused or filling.unseen else 0)


def _tell(filling: Filling, url: str) -> None:
    recorded = sum(count.recorded for count in filling.counts.values())
    before = sum(count.before for count in filling.counts.values())
    if before:
        click.echo(f"{before} of these were there before, and are not recorded twice")
    click.echo(f"recorded: {recorded}; look at {url}/" if recorded else "nothing new was recorded")
    for refusal in filling.refused:
        click.echo(f"refused: {refusal}", err=True)
    for path in filling.unseen:
        click.echo(f"{path} does not show yet what was recorded; run this again to go on", err=True)
