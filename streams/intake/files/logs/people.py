"""Who a log line speaks of: the user and the address are found by these expressions, by program."""

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple

from streams.intake.remembered import remembered


class Found(NamedTuple):
    user: str = ""
    ip: str = ""


_NOBODY = Found()
_IP = r"(?P<ip>[0-9a-fA-F:.]{3,45}(?:%\w+)?)"

PATTERNS: Sequence[tuple[str, str, str]] = (
    (
        "sshd",
        " for ",
        rf"(?:Accepted|Failed|Postponed) \S+ for (?:invalid user |illegal user )?(?P<user>.*) from {_IP} port",
    ),
    ("sshd", "al", rf"[Ii](?:nvalid|llegal) user (?P<user>.*?) from {_IP}(?: port [0-9]+)?$"),
    ("sshd", "input_", r"input_userauth_request: invalid user (?P<user>.*?)(?: \[preauth\])?$"),
    ("sshd", " not allowed", rf"User (?P<user>.*) from {_IP} not allowed"),
    ("sshd", "ing user ", rf"authenticating user (?P<user>.*) {_IP} port [0-9]+"),
    ("sshd", "invalid user ", rf"invalid user (?P<user>.*) {_IP} port [0-9]+"),
    ("sshd", "from user ", rf"Disconnected from user (?P<user>.*) {_IP}"),
    ("sshd", "onnect", rf"(?:Connection (?:closed|reset) by|Disconnected from) {_IP}"),
    ("sshd", " from ", rf"(?:Received disconnect|identification string|Connection) from {_IP}"),
    ("sshd", "getaddrinfo ", rf"getaddrinfo for \S+ \[{_IP}\] failed"),
    ("sshd", " maps to ", rf"Address {_IP} maps to"),
    ("sudo", "TTY=", r"^ *(?P<user>\S+) : .*TTY="),
    ("su", " su", r"Successful su for \S+ by (?P<user>\S+)"),
    ("su", " su", r"FAILED su (?:for \S+ by|\(to \S+\)) (?P<user>\S+)"),
    ("su", "SU (to ", r"FAILED SU \(to \S+\) (?P<user>\S+)"),
    ("su", "(to ", r"^\(to \S+\) (?P<user>\S+) on "),
    ("su", "'su ", r"'su \S+' (?:failed|succeeded) for (?P<user>\S+) on "),
    ("cron", "(", r"^\((?P<user>[^)]{1,64})\) [A-Z]+"),
    ("ftpd", "onnection from ", rf"connection from {_IP}"),
    ("ftpd", "[", rf"ftp login from \S+ \[{_IP}\], (?P<user>\S+)"),
    ("ftpd", "LOGIN: Client ", rf"^\[(?P<user>[^]]+)\] (?:OK|FAIL) LOGIN: Client \"{_IP}\""),
    ("login", "FAILED LOGIN ", r"FAILED LOGIN .*\bFOR (?P<user>[^,]+),"),
    ("login", "LOGIN ON ", r"LOGIN ON \S+ BY (?P<user>\S+)"),
    ("systemd-logind", " of user ", r"session \S+ of user (?P<user>\S+?)\.?$"),
    ("useradd", "new user", r"new user: name=(?P<user>[^,]+)"),
    ("dovecot", "user=<", rf"user=<(?P<user>[^>]*)>.*\brip={_IP}"),
    ("postfix", "[", rf"(?:client=\S*|connect from \S*|disconnect from \S*)\[{_IP}\]"),
    ("kernel", "SRC=", rf"\bSRC={_IP}"),
    ("", "rhost=", rf"\brhost={_IP}(?:\s+user=(?P<user>\S+))?"),
    ("", "for user ", r"session (?:opened|closed) for user (?P<user>[^\s(]+)"),
)
"""Program, a text that such a line has, and what finds user and address in it.

Shape: tried in order, those of a line's program and those of any ("", where PAM writes the line); the first one tells.
The text is looked for first, because that is quick.
"""

_PREFIXES = ("sshd", "sudo", "cron", "postfix", "dovecot")
_NAMES = {"crond": "cron", "vsftpd": "ftpd", "proftpd": "ftpd", "pure-ftpd": "ftpd", "in.ftpd": "ftpd"}
_BY_PROGRAM: dict[str, Sequence[tuple[str, re.Pattern[str]]]] = {
    program: [
        (text, re.compile(expression, re.IGNORECASE if program == "ftpd" else 0))
        for of, text, expression in PATTERNS
        if of in {program, ""}
    ]
    for program in {program for program, _, _ in PATTERNS}
}


@remembered(1024)
def _patterns_of(program: str) -> Sequence[tuple[str, re.Pattern[str]]]:
    name = program.partition("(")[0].rpartition("/")[2].lower()
    name = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), name)
    return _BY_PROGRAM.get(_NAMES.get(name, name), _BY_PROGRAM[""])


def people_of(program: str, message: str) -> Found:
    """Return the user and the address that a line speaks of, "" for what it does not say."""
    for text, expression in _patterns_of(program):
        if text in message and (found := expression.search(message)):
            names = expression.groupindex
            user = found["user"] if "user" in names else None
            ip = found["ip"] if "ip" in names else None
            return Found((user or "").strip()[:200], address(ip or ""))
    return _NOBODY


@remembered(16_384)
def address(text: str) -> str:
    """Return an address as it is written shortest, "" for what is none."""
    try:
        return str(ip_address(text.rstrip(".:"))) if text else ""
    except ValueError:
        return ""
