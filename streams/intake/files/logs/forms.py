"""The table of the forms of log lines, in the order in which they are tried."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from streams.intake.files.logs import programs, syslog, web
from streams.intake.files.logs.line import BadLine, Line

Read = Callable[[str], Line | None]
"""Returns what a line says, or None if it is not of this form. Raises: BadLine, it is, and cannot be taken."""


class Form(NamedTuple):
    """Shape: for speed, `begins` has the characters that such a line may begin with, and `has` a text that it has."""

    name: str
    example: str
    begins: str
    read: Read
    has: str = ""


_DIGITS = "0123456789"
_MONTHS = "JFMASONDjfmasond"

FORMS: Sequence[Form] = (
    Form("rfc5424", "<34>1 2026-03-04T17:20:30.003Z web-1 su 4711 ID47 - text", "<", syslog.rfc5424),
    Form("rfc3164", "<34>Mar  4 17:20:30.655 web-1 sshd[4711]: text, with or without <34>",
         "<*." + _DIGITS + _MONTHS, syslog.rfc3164),
    Form("cisco", "29: *Mar  4 2026 17:20:30.655 CET: %SYS-5-CONFIG_I: text, with a host before the %",
         "<*." + _DIGITS + _MONTHS, syslog.cisco, has="%"),
    Form("cbs", "2026-03-04 17:20:30, Info                  CBS    text", _DIGITS, programs.cbs, has=", "),
    Form("nginx-error", "2026/03/04 17:20:30 [error] 4711#0: text", _DIGITS, web.nginx_error, has="#"),
    Form("application", "2026-03-04 17:20:30,655 ERROR text, with or without - name - and [thread] before the level",
         _DIGITS + "[", programs.application),
    Form("mysql", "2026-03-04T17:20:30.655028Z 8 [Warning] [MY-010055] [Server] text", _DIGITS,
         programs.mysql, has=" ["),
    Form("container", "2026-03-04T17:20:30.655028123Z stderr F text, as containerd and CRI-O write it", _DIGITS,
         programs.container, has=" std"),
    Form("klog", "E0304 17:20:30.655028    4711 server.go:12] text", "IWEF", programs.klog),
    Form("bracketed", "[2026-03-04 17:20:30] text", "[", programs.bracketed),
    Form("iso", "2026-03-04T17:20:30.655028123+0200 web-1 sshd[4711]: text", "<" + _DIGITS, syslog.iso),
    Form("iso-basic", "20260304T172030Z web-1 sshd[4711]: text", "<" + _DIGITS, syslog.iso_basic),
    Form("short-unix", "1772637630.655028 web-1 sshd[4711]: text", _DIGITS, syslog.short_unix),
    Form("short-full", "Wed 2026-03-04 17:20:30 CET web-1 sshd[4711]: text", "MTWFS", syslog.short_full),
    Form("ctime", "Wed Mar  4 17:20:30 2026 web-1 sshd[4711]: text", "<MTWFS", syslog.ctime),
    Form("apache-error", "[Wed Mar 04 17:20:30.655028 2026] [core:error] [pid 4711] [client 192.0.2.1:51] text", "[",
         web.apache_error),
    Form("access", '192.0.2.1 - kim [04/Mar/2026:17:20:30 +0100] "GET / HTTP/1.1" 200 512 "referrer" "agent"', "",
         web.access, has=" ["),
)  # fmt: skip
"""Forms of lines; beside them stand records of named fields."""

RECORDS: Mapping[str, str] = {
    "json": '{"@timestamp": "2026-03-04T17:20:30Z", "level": "error", "message": "text"}, as journalctl -o json',
    "logfmt": 'time=2026-03-04T17:20:30Z level=error msg="text"',
    "csv": "a header with TimeCreated, Date and Time or the like, as Windows' events are exported",
}

NAMES = (*(form.name for form in FORMS), *RECORDS)

_ALL = tuple(form for form in FORMS if not form.begins)
_BY_BEGINNING: Mapping[str, Sequence[Form]] = {
    begin: tuple(form for form in FORMS if not form.begins or begin in form.begins)
    for begin in "".join(form.begins for form in FORMS)
}
_OF_NAME: Mapping[str, Read] = {form.name: form.read for form in FORMS}

# most lines of today begin so, and these forms never do
_DATED = re.compile(r"[0-9]{4}([-/])[0-9]{2}\1[0-9]{2}[Tt ][0-9]", re.ASCII)
_UNDATED = frozenset({"rfc3164", "cisco", "iso-basic", "short-unix"})
_OF_DATED = tuple(form for form in _BY_BEGINNING["2"] if form.name not in _UNDATED)


def read_line(text: str, form: str = "") -> Line | None:
    """Return what a line says, in the form that is named or the first that it has; None if it has none.

    Raises: BadLine, it has a form, and cannot be taken.
    """
    if form:
        return _OF_NAME[form](text)
    refusal: BadLine | None = None
    for one in _OF_DATED if _DATED.match(text) else _BY_BEGINNING.get(text[:1], _ALL):
        if one.has not in text:
            continue
        try:
            if (found := one.read(text)) is not None:
                return found
        except BadLine as error:
            refusal = refusal or error
    if refusal is not None:
        raise refusal
    return None
