"""`factline agent` runs scripts on its own machine that a server asks for, if their owner has allowed them."""

import logging
import os
import re
import signal
import stat
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from factline.agent import Agent
from factline.client import ServerGone
from factline.scripts import SHELLS
from infra.cli.import_options import Valid
from infra.cli.servers import asking, server_options
from schemas.values import Id

if TYPE_CHECKING:
    from pwd import struct_passwd

_DIGEST = re.compile(r"[0-9a-fA-F]{64}")


@click.command()
@click.option("--device", type=Valid("device", Id), required=True, help="The device that this machine is.")
@click.option("--allow", "digests", multiple=True, metavar="DIGEST", help="The SHA-256 of a script that may run.")
@click.option(
    "--allow-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file of such digests, one a line as sha256sum writes them; read once, at the start.",
)
@click.option(
    "--shell",
    "shells",
    type=click.Choice(list(SHELLS)),
    multiple=True,
    default=("bash",),
    show_default=True,
    help="What scripts may be written for.",
)
@click.option("--user", metavar="NAME", help="Become this user before anything is run; root must name one.")
@click.option(
    "--time-limit",
    type=click.FloatRange(min=1),
    default=600,
    show_default=True,
    metavar="SECONDS",
    help="No script runs longer, whatever the server says.",
)
@click.option(
    "--poll",
    type=click.FloatRange(min=0.1),
    default=5,
    show_default=True,
    metavar="SECONDS",
    help="How often the server is asked for work.",
)
@click.option("--task-kind", metavar="KIND", help="Do tasks of this kind too, as workflows ask for them.")
@click.option("--report-version", is_flag=True, help="Say the version that runs, as the device's agent_version.")
@server_options
def agent(
    *,
    device: str,
    digests: Sequence[str],
    allow_file: Path | None,
    shells: Sequence[str],
    user: str | None,
    time_limit: float,
    poll: float,
    task_kind: str | None,
    report_version: bool,
) -> None:
    """Run the scripts that a server asks of this device, until Ctrl-C; nothing starts it by itself.

    It asks the server for commands of its device (execution.RunScript, execution.RunCommand) and runs only those whose
    text has a digest that is allowed here: sha256sum of the script, byte for byte as the server has it. Whatever else
    is asked for is refused, and that is reported. A script runs in a folder of its own and without the environment of
    the agent; it is ended with all that it began after its time limit, or with the agent. Of its output 65,536
    characters are reported.

    The API key needs the scopes scripts:read and execution:write, and tasks:write with --task-kind. The input of such a
    task is {"shell": "bash", "body": "…"}. With --report-version, which needs fleet:write, a release of the agent sees
    which version this device runs; the agent never replaces itself.

    \b
    factline agent --device web-1 --allow "$(sha256sum < disk.sh | cut -c1-64)"
    factline agent --device web-1 --allow-file /etc/factline/allowed --user factline-agent \\
        --url https://factline.example --api-key-file /etc/factline/agent.key
    factline agent --device web-1 --allow-file allowed --task-kind device.web_1
    factline agent --device web-1 --allow-file allowed --report-version
    """
    allowed = [*map(_digest, digests), *(_listed(allow_file) if allow_file else ())]
    if not allowed:
        raise click.UsageError("no script is allowed: name digests with --allow, or a file of them with --allow-file")
    becoming = _unprivileged(user)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with asking() as client:
        with suppress(ServerGone):
            # a key that is not good is told at once; a server that is away is waited for
            client.get("/v1/me", patience_s=0)
        # what only root may read was read before that is given up
        if becoming is not None:
            _become(becoming)
        worker = Agent(
            client,
            device,
            allowed,
            shells=shells,
            limit_s=time_limit,
            poll_s=poll,
            task_kind=task_kind,
            version=version("factline") if report_version else None,
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: worker.stop())
        click.echo(f"the agent of {device} asks {client.url} every {poll:g} s; scripts allowed: {len(set(allowed))}")
        worker.work()


def _digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise click.BadParameter(
            f"{text!r} is no SHA-256, 64 hexadecimal digits; sha256sum prints it", param_hint="--allow"
        )
    return text.lower()


def _listed(path: Path) -> Sequence[str]:
    """Return the digests of a file, which may stand before names, as sha256sum writes them."""
    try:
        if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise click.UsageError(f"others than its owner may write to {path}: `chmod go-w {path}`")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path} cannot be read: {error}") from error
    return [_digest(line.split()[0]) for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _unprivileged(name: str | None) -> "struct_passwd | None":
    """Return the user to become, None to stay. Raises: UsageError, this would be root, or may not become that user."""
    if name is None:
        if os.geteuid() == 0:
            raise click.UsageError("scripts are not run as root: name an unprivileged user with --user")
        return None
    from pwd import getpwnam  # noqa: PLC0415 - the help of all commands is shown where there is no such module, too

    try:
        user = getpwnam(name)
    except KeyError:
        raise click.UsageError(f"there is no user {name}") from None
    if user.pw_uid == 0:
        raise click.UsageError(f"{name} is root; name an unprivileged user")
    if os.geteuid() == user.pw_uid:
        return None
    if os.geteuid() != 0:
        raise click.UsageError(f"only root can become {name}; start the agent as {name}, and leave --user out")
    return user


def _become(user: "struct_passwd") -> None:
    """Go on as another user, for good."""
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
