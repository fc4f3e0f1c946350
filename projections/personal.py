"""Personal fields are opened here when somebody reads them, with the keys that there are.

Histories and documents keep them sealed; docs/adr/0031 says why. Whoever may not see them gets MASKED instead.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from projections.keys import KeyFinder, KeysUnusable
from schemas.envelope import Envelope, TenantId
from schemas.personal import (
    ERASED,
    Keys,
    Origin,
    filled_fields,
    is_personal,
    open_field,
    open_payload,
    personal_fields,
    subjects,
)
from schemas.sealed import Tampered

MASKED: Final = "[masked]"
"""Stands where a personal field is not shown to a caller."""

DAMAGED: Final = "[damaged]"
"""Stands where a personal field is not as it was sealed."""

_SEALED, _TYPE, _SUBJECT = "sealed", "type", "subject"


def origin_of(envelope: Envelope) -> Origin:
    return Origin(envelope.tenant_id, envelope.stream, envelope.type, envelope.schema_version)


def opened(envelope: Envelope, keys: KeyFinder) -> Envelope:
    """Return an event with its personal fields open, or ERASED.

    Raises: StoreUnavailable, safe to retry; KeysUnusable; Tampered; BadPayload.
    """
    if not personal_fields(envelope.type, envelope.schema_version):
        return envelope
    origin = origin_of(envelope)
    found = keys.find(subjects(origin, envelope.data))
    return envelope._replace(data=open_payload(origin, envelope.data, found))


def kept_in_document(envelope: Envelope, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of a document with those of the event that are sealed told apart from open texts.

    Shape: such a field is {"sealed": text, "type": of the event, "subject": whose it is}; its name is the event's.
    """
    if not personal_fields(envelope.type, envelope.schema_version):
        return fields
    kept = dict(fields)
    for name, (_, subject) in filled_fields(origin_of(envelope), envelope.data):
        if kept.get(name) is not None:
            kept[name] = {_SEALED: kept[name], _TYPE: envelope.type, _SUBJECT: subject}
    return kept


class Opening:
    """Opens what one caller reads; `allowed` says if personal fields are shown to the caller."""

    def __init__(self, keys: KeyFinder, *, allowed: bool) -> None:
        self._keys = keys
        self._allowed = allowed

    def payload(self, origin: Origin, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a payload as it is shown. Raises: StoreUnavailable, safe to retry."""
        # facts are many and have none; of a version that is not known here, nothing can be opened
        if not is_personal(origin):
            return data
        marked = [name for name in personal_fields(origin.type, origin.schema_version) if data.get(name) is not None]
        if not self._allowed:
            return {**data, **dict.fromkeys(marked, MASKED)}
        try:
            return open_payload(origin, data, self._keys.find(subjects(origin, data)))
        except (ValueError, KeysUnusable):
            return {**data, **dict.fromkeys(marked, DAMAGED)}

    def event(self, envelope: Envelope) -> Envelope:
        return envelope._replace(data=self.payload(origin_of(envelope), envelope.data))

    def document(self, tenant_id: TenantId, fields: Mapping[str, Any], personal: Collection[str]) -> Mapping[str, Any]:
        """Return a document's fields as they are shown; `personal` are those that may be sealed."""
        sealed = {name: fields[name] for name in personal if isinstance(fields.get(name), Mapping)}
        if not sealed:
            return fields
        if not self._allowed:
            return {**fields, **dict.fromkeys(sealed, MASKED)}
        try:
            keys = self._keys.find({(tenant_id, str(field[_SUBJECT])) for field in sealed.values()})
        except KeysUnusable:
            return {**fields, **dict.fromkeys(sealed, DAMAGED)}
        return {**fields, **{name: _open(tenant_id, name, field, keys) for name, field in sealed.items()}}


def _open(tenant_id: TenantId, name: str, field: Mapping[str, Any], keys: Keys) -> str:
    subject = (tenant_id, str(field[_SUBJECT]))
    key = keys.get(subject)
    if key is None:
        return ERASED
    try:
        return open_field(field[_TYPE], name, subject, key, field[_SEALED])
    except Tampered:
        return DAMAGED
