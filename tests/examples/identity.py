"""One valid example of every command, event and fact of the identity context."""

from domain.identity.api_key import ApiKeyIssued, ApiKeyRevoked, ApiKeyRotated, IssueApiKey, RevokeApiKey, RotateApiKey
from domain.identity.tenant import (
    CloseTenant,
    RegisterTenant,
    SuspendTenant,
    TenantClosed,
    TenantRegistered,
    TenantSuspended,
)

SHA_1, SHA_2 = "a1" * 32, "b2" * 32

REGISTER_TENANT = RegisterTenant(tenant_id="acme", name="Acme", domain="acme.example", owner_id="ann")
SUSPEND_TENANT = SuspendTenant(tenant_id="acme", reason="unpaid")
CLOSE_TENANT = CloseTenant(tenant_id="acme", reason="moved away")
ISSUE_KEY = IssueApiKey(key_id="k1", secret_sha256=SHA_1, scopes=("devices:read", "commands:write"), name="ci")
ROTATE_KEY = RotateApiKey(key_id="k1", secret_sha256=SHA_2)
REVOKE_KEY = RevokeApiKey(key_id="k1", reason="leaked")

TENANT_REGISTERED = TenantRegistered(name="Acme", domain="acme.example", owner_id="ann")
TENANT_SUSPENDED = TenantSuspended(reason="unpaid")
TENANT_CLOSED = TenantClosed(reason="moved away")
KEY_ISSUED = ApiKeyIssued(
    key_id="k1", prefix="ak_k1", secret_sha256=SHA_1, scopes=("devices:read", "commands:write"), name="ci"
)
KEY_ROTATED = ApiKeyRotated(key_id="k1", secret_sha256=SHA_2)
KEY_REVOKED = ApiKeyRevoked(key_id="k1", reason="leaked")
