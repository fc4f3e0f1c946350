"""A command that asks a server is told here which one it is, and says in one line what the server refused."""

import os
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from factline.client import Client, ServerGone, ServerRefused

F = TypeVar("F", bound=Callable[..., object])

DEFAULT_URL = "http://127.0.0.1:8080"

REFUSED = 3
"""The exit status where the server answered and refused."""

GONE = 4
"""The exit status where no server answered."""

_SAID = "factline.server"


class ServerOf(NamedTuple):
    """Which server is asked, with which key; None where nobody says one."""

    url: str
    api_key: str | None

    def key_or_say_so(self) -> str:
        """Raises: UsageError, there is no key."""
        if not self.api_key or not self.api_key.strip().isascii():
            raise click.UsageError(
                "no API key; set FACTLINE_API_KEY, name a file that holds it with --api-key-file, or a server of"
                f" {config_file()} with --server"
            )
        return self.api_key.strip()


def server_options(command: F) -> F:
    """Let a command be told which server to ask; it finds it with `server_of_call`."""
    for decorate in (
        _option(
            "--server", metavar="NAME", envvar="FACTLINE_SERVER", help="A server that the configuration file names."
        ),
        _option(
            "--api-key-file",
            type=click.Path(path_type=Path, dir_okay=False),
            envvar="FACTLINE_API_KEY_FILE",
            help="The file that holds the API key; else FACTLINE_API_KEY is it.",
        ),
        _option("--url", envvar="FACTLINE_URL", help=f"The server's address.  [default: {DEFAULT_URL}]"),
    ):
        command = decorate(command)
    return command


def _option(name: str, **more: Any) -> Callable[[F], F]:
    def keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        given = ctx.get_parameter_source(str(parameter.name)) is click.core.ParameterSource.COMMANDLINE
        ctx.meta.setdefault(_SAID, {})[parameter.name] = (value, given)

    return click.option(name, expose_value=False, callback=keep, **more)


def is_server_named() -> bool:
    """Return whether the command line itself says which server to ask."""
    return any(given for _, given in _said().values())


def server_of_call() -> ServerOf:
    """Return the server that the options say, else the environment, else the configuration file.

    Shape: a key that the file names goes to no other address than the one beside it.
    Raises: UsageError, one of them is not as it must be.
    """
    said = _said()
    (url, url_given), (key_file, key_given) = said.get("url", (None, False)), said.get("api_key_file", (None, False))
    name, name_given = said.get("server", (None, False))
    if name_given and url_given:
        raise click.UsageError("--server and --url both say which server; leave one of them out")
    key = os.environ.get("FACTLINE_API_KEY")
    named = None
    if name and not url_given:
        named = _named(name)
    elif not (url or key_file or key):
        named = _usual()
    if named is not None:
        key_file, key = key_file if key_given else named.key_file, None
    return ServerOf(url=named.url if named else url or DEFAULT_URL, api_key=_read_key(key_file) if key_file else key)


class _Named(NamedTuple):
    url: str
    key_file: Path | None


def config_file() -> Path:
    """Return where servers are named. Source: XDG Base Directory Specification."""
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(os.environ.get("FACTLINE_CONFIG") or f"{home}/factline/config.toml").expanduser()


def _usual() -> _Named | None:
    name = _config().get("default")
    return None if name is None else _named(str(name))


def _named(name: str) -> _Named:
    path, servers = config_file(), _config().get("servers", {})
    found = servers.get(name) if isinstance(servers, Mapping) else None
    if not isinstance(found, Mapping):
        raise click.UsageError(f"{path} names no server {name!r}; there are: {', '.join(servers) or 'none'}")
    if unknown := found.keys() - {"url", "api_key_file"}:
        raise click.UsageError(f"{path}: a server has url and api_key_file, and not {min(unknown)}")
    key_file = found.get("api_key_file")
    # beside the configuration, where it is no whole path
    return _Named(str(found.get("url", DEFAULT_URL)), path.parent / Path(key_file).expanduser() if key_file else None)


def _config() -> dict[str, Any]:
    path = config_file()
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path} cannot be read: {error}") from error


def _read_key(path: Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise click.UsageError(f"the API key cannot be read: {error}") from error


def _said() -> dict[str, tuple[Any, bool]]:
    said: dict[str, tuple[Any, bool]] = click.get_current_context().meta.get(_SAID, {})
    return said


@contextmanager
def asking(*, patience_s: float = 10.0) -> Iterator[Client]:
    """Give a client of the server of this call; end the program where it refuses, or is not there."""
    try:
        server = server_of_call()
        with Client(server.url, server.key_or_say_so(), patience_s=patience_s) as client:
            yield client
    except ServerRefused as error:
        click.echo(f"factline: {error}", err=True)
        sys.exit(REFUSED)
    except ServerGone as error:
        click.echo(f"factline: {error}; start one with `factline serve`, or name another with --url", err=True)
        sys.exit(GONE)
