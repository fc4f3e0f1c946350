"""One valid example of every command, event and fact of the identity context."""

from domain.identity import api_key, organization, organization_devices, processes, tenant, user
from tests.examples.moments import RECORDED_AT

SHA_1, SHA_2 = "a1" * 32, "b2" * 32

REGISTER_TENANT = tenant.RegisterTenant(tenant_id="acme", name="Acme", domain="acme.example", owner_id="ann")
SUSPEND_TENANT = tenant.SuspendTenant(tenant_id="acme", reason="unpaid")
REACTIVATE_TENANT = tenant.ReactivateTenant(tenant_id="acme", reason="paid")
SET_QUOTA = tenant.SetQuota(
    tenant_id="acme",
    events_per_day=1_000,
    facts_per_day=1_000_000,
    live_streams=5,
    requests_per_minute=600,
)
CLOSE_TENANT = tenant.CloseTenant(tenant_id="acme", reason="moved away")
LIMITS = api_key.RequestLimits(minute=600, hour=6_000)
ISSUE_KEY = api_key.IssueApiKey(
    key_id="k1", secret_sha256=SHA_1, scopes=("devices:read", "commands:write"), name="ci", limits=LIMITS
)
ROTATE_KEY = api_key.RotateApiKey(key_id="k1", secret_sha256=SHA_2)
REVOKE_KEY = api_key.RevokeApiKey(key_id="k1", reason="leaked")
INVITE_USER = user.InviteUser(user_id="ann", email="ann@acme.example", roles=(user.Role.ADMIN,))
ACCEPT_INVITATION = user.AcceptInvitation(user_id="ann")
WITHDRAW_INVITATION = user.WithdrawInvitation(user_id="ann", reason="another one came")
EXPIRE_INVITATION = user.ExpireInvitation(user_id="ann")
CREATE_ORGANIZATION = organization.CreateOrganization(
    organization_id="org-1", name="North", category="retail", employees=40, contract_start="2026-01-01"
)
UPDATE_ORGANIZATION = organization.UpdateOrganization(organization_id="org-1", employees=50)
ARCHIVE_ORGANIZATION = organization.ArchiveOrganization(organization_id="org-1", reason="contract ended")
ADD_DEVICE = organization_devices.AddDevice(organization_id="org-1", device_id="42")
REMOVE_DEVICE = organization_devices.RemoveDevice(organization_id="org-1", device_id="42")

TENANT_REGISTERED = tenant.TenantRegistered(name="Acme", domain="acme.example", owner_id="ann")
TENANT_SUSPENDED = tenant.TenantSuspended(reason="unpaid")
TENANT_REACTIVATED = tenant.TenantReactivated(reason="paid")
QUOTA_SET = tenant.TenantQuotaSet(
    events_per_day=1_000,
    facts_per_day=1_000_000,
    live_streams=5,
    requests_per_minute=600,
    requests_per_hour=None,
    requests_per_day=None,
)
TENANT_CLOSED = tenant.TenantClosed(reason="moved away")
KEY_ISSUED = api_key.ApiKeyIssued(
    key_id="k1",
    prefix="ak_k1",
    secret_sha256=SHA_1,
    scopes=("devices:read", "commands:write"),
    name="ci",
    limits=LIMITS,
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

ORGANIZATION_CREATED = organization.OrganizationCreated(
    name="North", category="retail", employees=40, contract_start="2026-01-01", contract_end=None
)
ORGANIZATION_UPDATED = organization.OrganizationUpdated(
    name=None, category=None, employees=50, contract_start=None, contract_end=None
)
ORGANIZATION_ARCHIVED = organization.OrganizationArchived(reason="contract ended")
DEVICE_ADDED = organization_devices.OrganizationDeviceAdded(device_id="42", devices=1)
DEVICE_REMOVED = organization_devices.OrganizationDeviceRemoved(device_id="42", devices=0)
