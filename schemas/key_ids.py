"""The id of an API key begins with a tag of its tenant, so that no two tenants have the same one."""

import hashlib

from schemas.envelope import TenantId

_TAG_BYTES = 6


def key_tag(tenant_id: TenantId) -> str:
    """Return what the id of each of a tenant's keys begins with. Units: 48 bits, which no two tenants share."""
    return f"{hashlib.blake2b(tenant_id.encode(), digest_size=_TAG_BYTES).hexdigest()}-"


def has_tag(key_id: str, tenant_id: TenantId) -> bool:
    """Tell if the id says that the key is this tenant's; ids of before there were tags say nothing."""
    return key_id.startswith(key_tag(tenant_id))
