"""These are the operator's commands: `factline projections`, `verify`, `dead-letters` and `tenants`."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import click

from infra.cli.groups import Suggesting
from infra.cli.operations import Answer, Failed, Operator, operator_of, remote_operator
from infra.cli.options import F, data_dir_option, profile_option
from infra.cli.progress import ERR, progress
from infra.cli.servers import is_server_named, server_of_call, server_options
from infra.cli.shown import OUT as _OUT
from infra.cli.shown import json_option, print_json, print_line, print_rows
from infra.cli.shown import table_of as _table

_data_dir = data_dir_option("Where the log and the views are kept; a server that has it open is asked through its API.")
_profile = profile_option("distributed: the log and the stores that the FACTLINE_… variables name.")

_NUMBER = click.IntRange(1, 1_000_000_000)


def _where(command: F) -> F:
    """Let a command be told which views it is about: of a directory, of the distributed profile, or of a server."""
    return _data_dir(_profile(server_options(json_option(command))))


@contextmanager
def _operator(data_dir: Path, profile: str) -> Iterator[Operator]:
    try:
        with _opened(data_dir, profile) as operator:
            yield operator
    except Failed as failed:
        ERR.print(f"factline: {failed}", style="red", highlight=False)
        sys.exit(2)


def _opened(data_dir: Path, profile: str) -> AbstractContextManager[Operator]:
    if is_server_named():
        server = server_of_call()
        return remote_operator(server.url, server.key_or_say_so(), "name another with --url")
    if profile == "embedded":
        return operator_of(data_dir)
    try:
        from infra.cli.operations_distributed import distributed_operator  # noqa: PLC0415, the drivers come with an extra
    except ModuleNotFoundError as error:
        raise Failed(f"{error.name} is missing: pip install 'factline[distributed]'") from error
    return distributed_operator()


def _say(text: str, answer: Answer, *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        _OUT.print(text, markup=False, highlight=False)


@click.group(cls=Suggesting)
def projections() -> None:
    """Look at the views and build them anew."""


@projections.command("list")
@_where
def list_projections(data_dir: Path, profile: str, *, as_json: bool) -> None:
    """Show every projection: its live table, its builds, its state, how far it is behind.

    \b
    factline projections list
    """
    with _operator(data_dir, profile) as operator:
        rows = operator.projections()
        if as_json:
            print_json(rows)
            return
        table = _table(
            "projection", "role", "live", "builds", "state", "behind", "seconds", "streams parked", "records parked"
        )
        for row in rows:
            state = row["state"] + (f": {row['error']}" if row["error"] else "")
            numbers = (
                _known(row["lag_events"], ","),
                _known(row["lag_s"], ".1f"),
                _known(row["parked"]),
                _known(row["parked_records"]),
            )
            table.add_row(
                row["projection"], row["role"], row["live"] or "none", _numbers(row["builds"]), state, *numbers
            )
        _OUT.print(table)


def _known(number: float | None, how: str = "") -> str:
    return "not known" if number is None else format(number, how)


def _numbers(builds: Sequence[str]) -> str:
    return ", ".join(build.rpartition("_v")[2] for build in builds)


@projections.command()
@click.argument("name")
@click.option("--max-rate", type=click.FloatRange(min=0, min_open=True), help="Events a second; else all it can.")
@_where
def rebuild(name: str, max_rate: float | None, data_dir: Path, profile: str, *, as_json: bool) -> None:
    """Build a view anew from the log, beside the live one, and switch to it once it has caught up.

    Before the switch it is compared with the log, which is read a second time for that: a build that differs is not
    switched to. The build before stays: `switch` brings it back, `drop` removes it. Workers that run a changed
    projection are started before it is rebuilt. Nobody else can change the builds of the view meanwhile.

    \b
    factline projections rebuild devices
    factline projections rebuild devices --max-rate 2000
    """
    with _operator(data_dir, profile) as operator, progress(f"rebuilding {name}", "events") as on_step:
        built = operator.rebuild(name, on_step, max_rate=max_rate)
    _say(f"{name} is now answered from {built}", {"projection": name, "live": built}, as_json=as_json)


@projections.command()
@click.argument("name")
@click.argument("build", type=click.IntRange(min=1))
@_where
def switch(name: str, build: int, data_dir: Path, profile: str, *, as_json: bool) -> None:
    """Answer from another build of a view, once it has caught up with the log and equals it.

    \b
    factline projections switch devices 1
    """
    with _operator(data_dir, profile) as operator, progress(f"switching {name}", "events") as on_step:
        live = operator.switch(name, build, on_step)
    _say(f"{name} is now answered from {live}", {"projection": name, "live": live}, as_json=as_json)


@projections.command()
@click.argument("name")
@click.argument("build", type=click.IntRange(min=1))
@_where
def drop(name: str, build: int, data_dir: Path, profile: str, *, as_json: bool) -> None:
    """Remove a build that is not live, with its dead letters.

    \b
    factline projections drop devices 1
    """
    with _operator(data_dir, profile) as operator:
        dropped = operator.drop(name, build)
    _say(f"{dropped} is gone", {"projection": name, "dropped": dropped}, as_json=as_json)


@click.command()
@click.argument("names", nargs=-1)
@click.option("--full", is_flag=True, help="Read the whole log and all rows again, whatever was compared before.")
@_where
def verify(names: tuple[str, ...], data_dir: Path, profile: str, *, full: bool, as_json: bool) -> None:
    """Fold the log and compare every view with it, by day and then row by row; exit status 1 where one differs.

    Views may be written meanwhile: what was recorded until now is compared, once they have read it. What lists are
    filtered and sorted by is compared too. Records that are parked or were discarded are counted, and not missed.

    What the log says is remembered, so that the next time only what was recorded since is read of it. Rows of days of
    which nothing was recorded since they were compared are counted and not read, where the store can count them: the
    answer says how many, and since when.

    \b
    factline verify
    factline verify invoices invoice_facts
    factline verify device_metrics --full
    """
    differs = False
    with _operator(data_dir, profile) as operator:
        for name in names or [row["projection"] for row in operator.projections()]:
            with progress(f"verifying {name}", "events") as on_step:
                verdict = operator.verify(name, on_step, full=full)
            differs |= bool(verdict["differences"] or verdict["moving"])
            if as_json:
                print_line(verdict)
            else:
                _print_verdict(verdict)
    sys.exit(1 if differs else 0)


def _print_verdict(verdict: Answer) -> None:
    parked = f", {verdict['dead_letters']:,} records parked" if verdict["dead_letters"] else ""
    parked += f", {verdict['discarded']:,} discarded" if verdict["discarded"] else ""
    said = f"{verdict['differences']:,} differences" if verdict["differences"] else "no difference"
    _OUT.print(f"{verdict['view']}: {verdict['rows']:,} rows, {said}{parked}", highlight=False)
    # an older server does not say it
    if verdict.get("counted"):
        since = f"they were compared on {verdict['counted_since'][:16].replace('T', ' ')} UTC or later"
        counted = f"{verdict['counted']:,} of them were counted and not read: {since}, and nothing came since"
        _OUT.print(f"  {counted} (--full reads all)", highlight=False)
    if verdict["moving"]:
        moving = f"{verdict['moving']:,} more were written whenever they were looked at"
        _OUT.print(f"  {moving}: verify again when less is recorded", highlight=False)
    for example in verdict["examples"]:
        _OUT.print(f"  {example['tenant_id']} {example['key']}", markup=False, highlight=False)
        _OUT.print(f"    the log says {example['expected']}", markup=False, highlight=False)
        _OUT.print(f"    the view has {example['found']}", markup=False, highlight=False)


@click.group("dead-letters", cls=Suggesting)
def dead_letters() -> None:
    """Look at the records that a view could not take, try them again, or go on without them."""


@dead_letters.command("list")
@_where
def list_dead_letters(data_dir: Path, profile: str, *, as_json: bool) -> None:
    """Show what is parked, and why.

    \b
    factline dead-letters list
    """
    with _operator(data_dir, profile) as operator:
        if as_json:
            for letter in operator.dead_letters():
                print_line(letter)
            return
        table = _table("view", "tenant", "stream", "type", "position", "tries", "reason")
        for letter in operator.dead_letters():
            place = f"{letter['topic']}/{letter['partition']}/{letter['position']}"
            names = (letter["view"], letter["tenant_id"], letter["stream"], letter["type"])
            table.add_row(*names, place, str(letter["attempts"]), letter["reason"])
        _OUT.print(table if table.row_count else "nothing is parked")


@dead_letters.command()
@click.argument("name")
@_where
def retry(name: str, data_dir: Path, profile: str, *, as_json: bool) -> None:
    """Try a projection's parked records again; exit status 1 where some still fail.

    \b
    factline dead-letters retry devices
    """
    with _operator(data_dir, profile) as operator:
        retried = operator.retry(name)
    _say(f"{retried['taken']:,} taken, {retried['still_parked']:,} still parked", retried, as_json=as_json)
    sys.exit(1 if retried["still_parked"] else 0)


@dead_letters.command()
@click.argument("name")
@click.confirmation_option(prompt="The view will never show what these records say. Go on without them?")
@_where
def discard(name: str, data_dir: Path, profile: str, *, as_json: bool) -> None:
    """Forget a projection's parked records; they stay in the log, and a rebuild tries them again.

    \b
    factline dead-letters discard devices --yes
    """
    with _operator(data_dir, profile) as operator:
        discarded = operator.discard(name)
    _say(f"{discarded['discarded']:,} discarded", discarded, as_json=as_json)


@click.group(cls=Suggesting)
def tenants() -> None:
    """Register tenants, give them keys, suspend them and make them active again."""


@tenants.command("list")
@_where
def list_tenants(data_dir: Path, profile: str, *, as_json: bool) -> None:
    """Show every tenant and whether it is active.

    \b
    factline tenants list
    factline tenants list --server operator --json
    """
    with _operator(data_dir, profile) as operator:
        rows = operator.tenants()
    if as_json:
        print_json(rows)
    else:
        print_rows(rows)


@tenants.command()
@click.argument("tenant_id")
@click.option("--name", help="What people call it; the id where it is left out.")
@_where
def add(tenant_id: str, name: str | None, data_dir: Path, profile: str, *, as_json: bool) -> None:
    """Register a tenant and print its first API key, this once.

    A tenant that is registered and has no key that works gets one: what was broken off may be done again.

    \b
    factline tenants add acme --name "Acme Ltd"
    """
    with _operator(data_dir, profile) as operator:
        added = operator.add_tenant(tenant_id, name or tenant_id)
    if not added.registered:
        ERR.print(f"factline: {tenant_id} was registered already and had no key that works: this is one")
    _say(added.api_key, {"tenant_id": tenant_id, **added._asdict()}, as_json=as_json)


@tenants.command("key")
@click.argument("tenant_id")
@_where
def give_key(tenant_id: str, data_dir: Path, profile: str, *, as_json: bool) -> None:
    """Give a tenant one more API key, which may do everything, and print it, this once.

    \b
    factline tenants key acme
    """
    with _operator(data_dir, profile) as operator:
        api_key = operator.give_key(tenant_id)
    _say(api_key, {"tenant_id": tenant_id, "api_key": api_key}, as_json=as_json)


@tenants.command()
@click.argument("tenant_id")
@click.option("--reason", default="", help="Why, for whoever reads the history.")
@_where
def suspend(tenant_id: str, reason: str, data_dir: Path, profile: str, *, as_json: bool) -> None:
    """Let no key of a tenant read or write anything, within a second, until it is reactivated.

    \b
    factline tenants suspend acme --reason unpaid
    """
    with _operator(data_dir, profile) as operator:
        new = operator.suspend_tenant(tenant_id, reason)
    said = f"{tenant_id} is suspended" if new else f"{tenant_id} was not active before; nothing was done"
    _say(said, {"tenant_id": tenant_id, "changed": new}, as_json=as_json)


@tenants.command()
@click.argument("tenant_id")
@click.option("--reason", default="", help="Why, for whoever reads the history.")
@_where
def reactivate(tenant_id: str, reason: str, data_dir: Path, profile: str, *, as_json: bool) -> None:
    """Let the keys of a suspended tenant work again.

    \b
    factline tenants reactivate acme --reason paid
    """
    with _operator(data_dir, profile) as operator:
        new = operator.reactivate_tenant(tenant_id, reason)
    said = f"{tenant_id} is active again" if new else f"{tenant_id} was active before; nothing was done"
    _say(said, {"tenant_id": tenant_id, "changed": new}, as_json=as_json)


@tenants.command()
@click.argument("tenant_id")
@click.option("--events", type=_NUMBER, help="Events that commands may record a day.")
@click.option("--facts", type=_NUMBER, help="Facts of telemetry that it may record a day.")
@click.option("--live", type=_NUMBER, help="Live streams that it may have open at once, at each gateway.")
@click.option("--minute", type=_NUMBER, help="Requests a minute, of all its keys together.")
@click.option("--hour", type=_NUMBER, help="Requests an hour.")
@click.option("--day", type=_NUMBER, help="Requests a day.")
@_where
def quota(tenant_id: str, data_dir: Path, profile: str, *, as_json: bool, **most: int | None) -> None:
    """Say how much a tenant may do, in all; what is left out has no limit, and what was set before is forgotten.

    \b
    factline tenants quota acme --events 10000 --facts 1000000 --live 5 --minute 600
    factline tenants quota acme                       # no limits any more
    """
    wanted = {
        "events_per_day": most["events"],
        "facts_per_day": most["facts"],
        "live_streams": most["live"],
        **{f"requests_per_{window}": most[window] for window in ("minute", "hour", "day")},
    }
    with _operator(data_dir, profile) as operator:
        new = operator.set_quota(tenant_id, wanted)
    said = f"{tenant_id} has this quota now" if new else f"{tenant_id} had this quota before; nothing was done"
    _say(said, {"tenant_id": tenant_id, "changed": new}, as_json=as_json)
