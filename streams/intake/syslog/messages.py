"""A syslog message becomes a log line of the device that its host is."""

import re
from datetime import datetime, tzinfo
from typing import NamedTuple

from streams.identifiers import new_id
from streams.intake.files.lines import decoded
from streams.intake.files.logs.forms import read_line
from streams.intake.files.logs.instants import Instants, nearest
from streams.intake.files.logs.line import BadLine, Line, Stamp
from streams.intake.files.logs.recorded import log_recorded
from streams.intake.files.logs.records import MAX_CHARACTERS
from streams.intake.files.logs.severities import of_priority
from streams.intake.hosts import host_device_id
from streams.ports import FactSubmission

_PRIORITY = re.compile(r"<([0-9]{1,3})>", re.ASCII)


class Received(NamedTuple):
    """A message as it came. Shape: `sender` is the address that it came from."""

    message: bytes
    sender: str
    at: datetime


class Heard(NamedTuple):
    """A log line and the host that it is of."""

    hostname: str
    fact: FactSubmission


def heard(received: Received, zone: tzinfo) -> Heard:
    """Return the log line that a message is.

    Shape: without a time that can be read it is of the time at which it came, without a host of its sender. What has
    no form of syslog is taken as it is.
    """
    text = decoded(received.message, "utf-8", "replace", 1).text[:MAX_CHARACTERS]
    try:
        line = read_line(text) or _plain(text)
        at = _at(line.when, line.stamp, received.at, zone)
        fact = log_recorded(line)
    except BadLine:
        line, at = _plain(text), received.at
        fact = log_recorded(line)
    hostname = line.host or received.sender
    return Heard(hostname, FactSubmission(host_device_id(hostname), at, fact, new_id()))


def _plain(text: str) -> Line:
    """Return what has no form, or says a time that does not exist: its priority tells its severity all the same."""
    found = _PRIORITY.match(text)
    of = of_priority(int(found[1])) if found else None
    return Line(None, text[found.end() :], severity=of[0]) if found and of else Line(None, text)


def _at(when: Stamp | datetime | None, stamp: str, received_at: datetime, zone: tzinfo) -> datetime:
    if not isinstance(when, Stamp):
        return when or received_at
    instants = Instants(zone, nearest(received_at))
    # of an hour that comes twice it is the one that is now
    instants.of(received_at, "")
    return instants.of(when, stamp)
