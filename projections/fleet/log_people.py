"""Who a log line is about is read here of its details, as imports write them."""

import re
from typing import NamedTuple

# user and address behind the process id, a user of several words in quotes
_PEOPLE = re.compile(
    r'(?:pid=\S+(?: |$))?(?:user=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<user>[^\s"]\S*))(?: |$))?(?:ip=(?P<ip>\S+))?'
)


class People(NamedTuple):
    """Shape: "" where the line does not say it."""

    user: str
    ip: str


def people_of(details: str) -> People:
    found = _PEOPLE.match(details)
    return People((found["user"] or found["quoted"] or ""), found["ip"] or "") if found else People("", "")
