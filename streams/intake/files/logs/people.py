"""Who a log line speaks of: the user and the address are found by these expressions, by program."""

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple


class Found(NamedTuple):
    user: str = ""
    ip: str = ""


_NOBODY = Found()
_IP = r"(?P<ip>[0-9a-fA-F:.]{3,45}(?:%\w+)?)"

PATTERNS: Sequence[tuple[str, str]] = (
    ("sshd", rf"(?:Accepted|Failed|Postponed) \S+ for (?:invalid user |illegal user )?(?P<user>.*) from {_IP} port"),
    ("sshd", rf"[Ii](?:nvalid|llegal) user (?P<user>.*?) from {_IP}(?: port [0-9]+)?$"),
    ("sshd", r"input_userauth_request: invalid user (?P<user>.*?)(?: \[preauth\])?$"),
    ("sshd", rf"User (?P<user>.*) from {_IP} not allowed"),
    ("sshd", rf"(?:authenticating|invalid) user (?P<user>.*) {_IP} port [0-9]+"),
    ("sshd", rf"(?:Connection (?:closed|reset) by|Disconnected from user (?P<user>\S+)|Disconnected from) {_IP}"),
    ("sshd", rf"(?:Received disconnect|identification string|Connection) from {_IP}"),
    ("sshd", rf"getaddrinfo for \S+ \[{_IP}\] failed"),
    ("sshd", rf"Address {_IP} maps to"),
    ("sudo", r"^ *(?P<user>\S+) : .*TTY="),
    ("su", r"(?:Successful su|FAILED su|FAILED SU) (?:for \S+ by|\(to \S+\)) (?P<user>\S+)"),
    ("su", r"^\(to \S+\) (?P<user>\S+) on "),
    ("su", r"'su \S+' (?:failed|succeeded) for (?P<user>\S+) on "),
    ("cron", r"^\((?P<user>[^)]{1,64})\) [A-Z]+"),
    ("ftpd", rf"connection from {_IP}"),
    ("ftpd", rf"ftp login from \S+ \[{_IP}\], (?P<user>\S+)"),
    ("ftpd", rf"^\[(?P<user>[^]]+)\] (?:OK|FAIL) LOGIN: Client \"{_IP}\""),
    ("login", r"FAILED LOGIN .*\bFOR (?P<user>[^,]+),"),
    ("login", r"LOGIN ON \S+ BY (?P<user>\S+)"),
    ("systemd-logind", r"session \S+ of user (?P<user>\S+?)\.?$"),
    ("useradd", r"new user: name=(?P<user>[^,]+)"),
    ("dovecot", rf"user=<(?P<user>[^>]*)>.*\brip={_IP}"),
    ("postfix", rf"(?:client=\S*|connect from \S*|disconnect from \S*)\[{_IP}\]"),
    ("kernel", rf"\bSRC={_IP}"),
    ("", rf"\brhost={_IP}(?:\s+user=(?P<user>\S+))?"),
    ("", r"session (?:opened|closed) for user (?P<user>[^\s(]+)"),
)
"""Tried in order, those of a line's program and those of any ("", where PAM writes the line); the first one tells."""

_PREFIXES = ("sshd", "sudo", "cron", "postfix", "dovecot")
_NAMES = {"crond": "cron", "vsftpd": "ftpd", "proftpd": "ftpd", "pure-ftpd": "ftpd", "in.ftpd": "ftpd"}
_BY_PROGRAM: dict[str, Sequence[re.Pattern[str]]] = {
    program: [
        re.compile(text, re.IGNORECASE if program == "ftpd" else 0) for of, text in PATTERNS if of in {program, ""}
    ]
    for program in {program for program, _ in PATTERNS}
}


def people_of(program: str, message: str) -> Found:
    """Return the user and the address that a line speaks of, "" for what it does not say."""
    name = program.partition("(")[0].rpartition("/")[2].lower()
    name = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), name)
    expressions = _BY_PROGRAM.get(_NAMES.get(name, name))
    if expressions is None:
        if "rhost=" not in message and "session " not in message:
            return _NOBODY
        expressions = _BY_PROGRAM[""]
    for expression in expressions:
        if found := expression.search(message):
            parts = found.groupdict()
            return Found((parts.get("user") or "").strip()[:200], address(parts.get("ip") or ""))
    return _NOBODY


def address(text: str) -> str:
    """Return an address as it is written shortest, "" for what is none."""
    try:
        return str(ip_address(text.rstrip(".:"))) if text else ""
    except ValueError:
        return ""
