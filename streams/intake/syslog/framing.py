"""Syslog over TCP says where a message ends by its length before it, or by a line end behind it.

Source: RFC 6587, sections 3.4.1 and 3.4.2; both may come on one connection.
"""

import re

MAX_MESSAGE = 262_144
"""Bytes; who sends more at once is no sender of syslog."""

_COUNT = re.compile(rb"([1-9][0-9]{0,8}) ")
_DIGITS = re.compile(rb"[1-9][0-9]{0,8}")
_ENDS = re.compile(rb"[\n\0]")


class BadFrame(Exception):  # noqa: N818
    """What came is no syslog, and the connection is of no more use; a retry would give the same."""


class Frames:
    """Cuts what comes over one connection into messages."""

    def __init__(self) -> None:
        self._rest = b""

    def add(self, data: bytes) -> list[bytes]:
        """Return the messages that are whole now. Raises: BadFrame, one is longer than MAX_MESSAGE."""
        rest = self._rest + data
        found: list[bytes] = []
        while rest:
            if counted := _COUNT.match(rest):
                length, begin = int(counted[1]), counted.end()
                if length > MAX_MESSAGE:
                    raise BadFrame(f"a message of {length} bytes; at most {MAX_MESSAGE} are taken")
                if len(rest) < begin + length:
                    break
                message, rest = rest[begin : begin + length], rest[begin + length :]
            elif _DIGITS.fullmatch(rest):
                # the count itself is not whole yet
                break
            elif end := _ENDS.search(rest):
                message, rest = rest[: end.start()], rest[end.end() :]
            else:
                break
            if message := message.strip(b"\r\n\0"):
                found.append(message)
        if len(rest) > MAX_MESSAGE + 16:
            raise BadFrame(f"a message of more than {MAX_MESSAGE} bytes")
        self._rest = rest
        return found

    def end(self) -> list[bytes]:
        """Return what is left when the connection is closed: a sender need not end its last line."""
        rest, self._rest = self._rest.strip(b"\r\n\0"), b""
        return [rest] if rest and not _COUNT.match(rest) else []
