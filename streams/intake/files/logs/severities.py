"""A log line's severity is what the line says, or else a guess from its words."""

import re
from collections.abc import Mapping

SEVERITIES = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")
"""By number. Source: RFC 5424, section 6.2.1."""

FACILITIES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"),
    *("ntp", "audit", "alert", "clock", *(f"local{n}" for n in range(8))),
)
"""By number. Source: RFC 5424, section 6.2.1, in the words of syslog.h."""

_WORDS: Mapping[str, str] = {
    **{name: name for name in SEVERITIES},
    **dict.fromkeys(("emerg", "panic"), "emergency"),
    **dict.fromkeys(("crit", "critical", "fatal", "f"), "critical"),
    **dict.fromkeys(("err", "error", "severe", "failure", "e"), "error"),
    **dict.fromkeys(("warn", "w", "audit failure"), "warning"),
    **dict.fromkeys(("information", "informational", "i", "log", "logalways", "audit success", "default"), "info"),
    # what a German Windows calls them
    "kritisch": "critical",
    "fehler": "error",
    "warnung": "warning",
    "informationen": "info",
    **dict.fromkeys(("verbose", "trace", "fine", "finer", "finest", "d", "dbug"), "debug"),
    **dict.fromkeys((f"{word}{n}" for n in range(1, 9) for word in ("trace", "d")), "debug"),
}

LEVEL_WORD = (
    r"(?:EMERG(?:ENCY)?|PANIC|ALERT|CRIT(?:ICAL)?|FATAL|SEVERE|ERR(?:OR)?|WARN(?:ING)?|NOTICE|INFO(?:RMATION)?|DEBUG"
    r"|VERBOSE|TRACE|FINE(?:R|ST)?)"
)

GUESSES = (
    ("error", re.compile(r"\b(?:errors?|fatal|panic|segfault)\b", re.IGNORECASE)),
    (
        "warning",
        re.compile(
            r"\b(?:warn(?:ing)?|fail(?:ed|s|ure|ures)?|denied|refused|invalid|illegal|alert|abnormally|timed out|"
            r"break-in)\b",
            re.IGNORECASE,
        ),
    ),
)
"""The first expression that a message matches tells its severity, else it is "info".

Shape: a guess, for lines that say none; "failed" alone is a warning, as most such lines are refused logins.
"""


_WITHIN = (
    (("err", "fatal", "panic", "segfault"), *GUESSES[0]),
    (("warn", "fail", "denied", "refused", "invalid", "illegal", "alert", "abnormally", "timed", "break"), *GUESSES[1]),
)
"""What a message has within it that an expression matches; a text is looked for far sooner than a word is."""


def severity_of(message: str) -> str:
    if not message.isascii():
        # an expression that takes no notice of case finds a long s in place of an s
        return next((severity for severity, words in GUESSES if words.search(message)), "info")
    lower = message.lower()
    for parts, severity, words in _WITHIN:
        for part in parts:
            if part in lower:
                if words.search(lower):
                    return severity
                break
    return "info"


def severity_named(word: str) -> str | None:
    """Return what a level is called here: `WARN` and `Warning` are one; None for a word that is no level."""
    return _WORDS.get(word.strip().lower())


def of_priority(priority: int) -> tuple[str, str] | None:
    """Return severity and facility of a syslog priority; None for a number that is none."""
    if priority >= 8 * len(FACILITIES):
        return None
    return SEVERITIES[priority % 8], FACILITIES[priority // 8]
