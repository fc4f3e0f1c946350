"""Who is invited with an address, and who has joined, is found in the list of users, where addresses are sealed."""

from typing import NamedTuple

from domain.identity.user import UserStatus
from projections.identity.users import PROJECTION as USERS
from projections.keys import KeyFinder
from projections.personal import Opening
from projections.readers import DocumentsReader
from schemas.envelope import TenantId
from streams.intake.http.provider_sign_in import Invited

_MOST = 1_000
"""So many of the newest invitations are looked through; who is invited is in a list of hundreds at most."""


class UsersInList(NamedTuple):
    """Finds users. Shape: the list may be a moment behind the log."""

    documents: DocumentsReader
    keys: KeyFinder

    def invited(self, tenant_id: TenantId, email: str) -> Invited | None:
        """Return the one user who is invited with an address, None where there is none, or are several.

        Raises: StoreUnavailable, safe to retry.
        """
        opening = Opening(self.keys, allowed=True)
        open_ = self.documents.find(
            USERS.name,
            tenant_id,
            filters={"status": UserStatus.INVITED.value},
            sort="invited_at",
            descending=True,
            after=None,
            limit=_MOST,
        )
        found = [
            Invited(user.id, user.version)
            for user in open_
            if is_same_address(str(opening.document(tenant_id, user.fields, ("email",)).get("email")), email)
        ]
        return found[0] if len(found) == 1 else None

    def version_of(self, tenant_id: TenantId, user_id: str) -> int | None:
        """Return the version of the stream of a user who has joined, None where there is none.

        Raises: StoreUnavailable, safe to retry.
        """
        user = self.documents.get(USERS.name, tenant_id, user_id)
        return user.version if user and user.fields.get("status") == UserStatus.ACTIVE.value else None


def is_same_address(one: str, other: str) -> bool:
    # only of ASCII: in other alphabets different letters can have the same small one
    is_plain = one.isascii() and other.isascii()
    return one.lower() == other.lower() if is_plain else one == other
