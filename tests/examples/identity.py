"""One valid example of every command, event and fact of the identity context."""

from domain.identity import api_key, processes, tenant, user
from tests.examples.moments import RECORDED_AT

SHA_1, SHA_2 = "a1" * 32, "b2" * 32

REGISTER_TENANT = tenant.RegisterTenant(tenant_id="acme", name="Acme", domain="acme.example", owner_id="ann")
SUSPEND_TENANT = tenant.SuspendTenant(tenant_id="acme", reason="unpaid")
REACTIVATE_TENANT = tenant.ReactivateTenant(tenant_id="acme", reason="paid")
CLOSE_TENANT = tenant.CloseTenant(tenant_id="acme", reason="moved away")
ISSUE_KEY = api_key.IssueApiKey(key_id="k1", secret_sha256=SHA_1, scopes=("devices:read", "commands:write"), name="ci")
ROTATE_KEY = api_key.RotateApiKey(key_id="k1", secret_sha256=SHA_2)
REVOKE_KEY = api_key.RevokeApiKey(key_id="k1", reason="leaked")
INVITE_USER = user.InviteUser(user_id="ann", email="ann@acme.example", roles=(user.Role.ADMIN,))
ACCEPT_INVITATION = user.AcceptInvitation(user_id="ann")
WITHDRAW_INVITATION = user.WithdrawInvitation(user_id="ann", reason="another one came")
EXPIRE_INVITATION = user.ExpireInvitation(user_id="ann")

TENANT_REGISTERED = tenant.TenantRegistered(name="Acme", domain="acme.example", owner_id="ann")
TENANT_SUSPENDED = tenant.TenantSuspended(reason="unpaid")
TENANT_REACTIVATED = tenant.TenantReactivated(reason="paid")
TENANT_CLOSED = tenant.TenantClosed(reason="moved away")
KEY_ISSUED = api_key.ApiKeyIssued(
    key_id="k1", prefix="ak_k1", secret_sha256=SHA_1, scopes=("devices:read", "commands:write"), name="ci"
)
KEY_ROTATED = api_key.ApiKeyRotated(key_id="k1", secret_sha256=SHA_2)
KEY_REVOKED = api_key.ApiKeyRevoked(key_id="k1", reason="leaked")
USER_INVITED = user.UserInvited(
    email="ann@acme.example", roles=("ADMIN",), expires_at=RECORDED_AT + user.INVITATION_LASTS
)
USER_JOINED = user.UserJoined(roles=("ADMIN",))
INVITATION_WITHDRAWN = user.InvitationWithdrawn(reason="another one came")
INVITATION_EXPIRED = user.InvitationExpired(expires_at=RECORDED_AT + user.INVITATION_LASTS)

ONBOARDING_STEP_DONE = processes.OnboardingStepDone(step="first_key")
TENANT_ONBOARDED = processes.TenantOnboarded(steps=("first_key", "invite_owner"))
