"""A cursor says where a list goes on, and is signed for one tenant, one question and one order."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from read_api.edge.problems import Problem
from read_api.edge.tokens import check_log
from schemas.envelope import TenantId

_MAC_BYTES = 16


class Cursors:
    """Makes and reads the cursors of one list. The signature covers who asks, what is asked and in which order.

    Source: RFC 2104 for HMAC.
    """

    def __init__(
        self, secret: bytes, tenant_id: TenantId, path: str, question: Mapping[str, Any], *, log: str = ""
    ) -> None:
        """Shape: `log` is the tag of the log whose places they are; a cursor of an earlier version does not say it."""
        self._secret = secret
        self._log = log
        self._bound = orjson.dumps([tenant_id, path, question], option=orjson.OPT_SORT_KEYS)

    def write(self, after: Sequence[str | int]) -> str:
        place = orjson.dumps(after)
        cursor = base64.urlsafe_b64encode(self._mac(place) + place).decode().rstrip("=")
        return f"{cursor}@{self._log}" if self._log else cursor

    def read(self, cursor: str) -> list[Any]:
        """Return the place a cursor stands for. Raises: Problem, it was not written for this list, or this log."""
        check_log([cursor], self._log)
        cursor = cursor.partition("@")[0]
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        mac, place = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(place)):
            raise Problem(400, "the cursor is not one of this list; start again without it")
        after: list[Any] = orjson.loads(place)
        return after

    def _mac(self, place: bytes) -> bytes:
        # the length keeps bound and place apart
        message = len(self._bound).to_bytes(8, "big") + self._bound + place
        return hmac.new(self._secret, message, hashlib.sha256).digest()[:_MAC_BYTES]
