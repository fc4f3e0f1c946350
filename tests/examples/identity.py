"""One valid example of every command, event and fact of the identity context."""

from domain.identity import (
    api_key,
    client,
    consent,
    consent_processes,
    issuer,
    organization,
    organization_devices,
    processes,
    session,
    sign_in,
    sign_in_provider,
    signing_key,
    tenant,
    user,
)
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
CHANGE_ROLE = user.ChangeUserRole(user_id="ann", roles=(user.Role.AUDITOR, user.Role.USER))
DISABLE_USER = user.DisableUser(user_id="ann", reason="left the company")
OFFER_PASSWORD = user.OfferPassword(user_id="ann", token_sha256=SHA_1)
SET_PASSWORD = user.SetPassword(user_id="ann", password_hash="$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA")
LINK_IDENTITY = user.LinkIdentity(user_id="ann", provider_id="keycloak", identity_sha256=SHA_1)
UNLINK_IDENTITY = user.UnlinkIdentity(user_id="ann", reason="has another account now")
SET_SIGN_IN_PROVIDER = sign_in_provider.SetSignInProvider(
    provider_id="keycloak",
    name="Acme",
    issuer="https://id.acme.example/realms/acme",
    client_id="factline",
    sealed="c2VhbGVk",
)
REMOVE_SIGN_IN_PROVIDER = sign_in_provider.RemoveSignInProvider(provider_id="keycloak", reason="moved to another one")
END_SIGN_IN = sign_in.EndSignIn(sign_in_id="5f1c2d1e9a7b4c60", provider_id="keycloak", user_id="ann")
START_SESSION = session.StartSession(session_id="s1", user_id="ann", secret_sha256=SHA_1, password=1)
END_SESSION = session.EndSession(session_id="s1", reason="signed out")
TRUST_ISSUER = issuer.TrustIssuer(
    issuer_id="keycloak",
    issuer="https://id.acme.example/realms/acme",
    audiences=("factline",),
    jwks_uri="https://id.acme.example/realms/acme/protocol/openid-connect/certs",
)
DISTRUST_ISSUER = issuer.DistrustIssuer(issuer_id="keycloak", reason="moved to another one")
ROTATE_SIGNING_KEY = signing_key.RotateSigningKey(
    tenant_id="acme", kid="4c1d2e3f5a6b7c8d", x="x" * 43, y="y" * 43, sealed="c2VhbGVk"
)
REGISTER_CLIENT = client.RegisterClient(
    client_id="acme.5f1c2d1e9a7b4c60",
    name="reports",
    kind=client.ClientKind.CONFIDENTIAL,
    redirect_uris=("https://reports.example/signed-in",),
    scopes=("devices:read",),
    secret_sha256=SHA_1,
)
REVOKE_CLIENT = client.RevokeClient(client_id="acme.5f1c2d1e9a7b4c60", reason="its secret leaked")
ROTATE_CLIENT_SECRET = client.RotateClientSecret(
    client_id="acme.5f1c2d1e9a7b4c60", secret_id="9a7b4c605f1c2d1e", secret_sha256=SHA_2
)
END_CLIENT_SECRET = client.EndClientSecret(client_id="acme.5f1c2d1e9a7b4c60", secret_id="first")
GIVE_CONSENT = consent.GiveConsent(
    consent_id="c1",
    client_id="acme.5f1c2d1e9a7b4c60",
    user_id="ann",
    scopes=("devices:read",),
    redirect_uri="https://reports.example/signed-in",
    code_challenge="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    code_sha256=SHA_1,
    password=1,
)
REDEEM_CODE = consent.RedeemCode(consent_id="c1", family_sha256=SHA_1, refresh_sha256=SHA_2)
ROTATE_REFRESH_TOKEN = consent.RotateRefreshToken(consent_id="c1", refresh_sha256=SHA_1)
END_CONSENT = consent.EndConsent(consent_id="c1", reason="the laptop is gone")
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

ROLE_CHANGED = user.UserRoleChanged(roles=("AUDITOR", "USER"))
USER_DISABLED = user.UserDisabled(reason="left the company")
PASSWORD_OFFERED = user.PasswordOffered(expires_at=RECORDED_AT + user.OFFER_LASTS, token_sha256=SHA_1)
PASSWORD_SET = user.PasswordSet(roles=("ADMIN",), number=1, password_hash=SET_PASSWORD.password_hash)
IDENTITY_LINKED = user.IdentityLinked(roles=("ADMIN",), provider_id="keycloak", identity_sha256=SHA_1)
IDENTITY_UNLINKED = user.IdentityUnlinked(provider_id="keycloak", reason="has another account now")
SIGN_IN_PROVIDER_SET = sign_in_provider.SignInProviderSet(
    name="Acme", issuer="https://id.acme.example/realms/acme", client_id="factline", sealed="c2VhbGVk"
)
SIGN_IN_PROVIDER_REMOVED = sign_in_provider.SignInProviderRemoved(reason="moved to another one")
USER_AUTHENTICATED = sign_in.UserAuthenticated(provider_id="keycloak", user_id="ann")
USER_LOGIN_FAILED = sign_in.UserLoginFailed(provider_id="keycloak", reason="unknown")
SESSION_STARTED = session.SessionStarted(
    user_id="ann", expires_at=RECORDED_AT + session.SESSION_LASTS, password=1, secret_sha256=SHA_1
)
SESSION_ENDED = session.SessionEnded(reason="signed out")
ISSUER_TRUSTED = issuer.IssuerTrusted(
    issuer="https://id.acme.example/realms/acme",
    audiences=("factline",),
    jwks_uri=None,
    keys=(issuer.PublicKey(kty="EC", kid="k1", crv="P-256", x="x" * 43, y="y" * 43),),
)
ISSUER_DISTRUSTED = issuer.IssuerDistrusted(reason="moved to another one")
SIGNING_KEY_ROTATED = signing_key.SigningKeyRotated(
    kid="4c1d2e3f5a6b7c8d", x="x" * 43, y="y" * 43, number=1, sealed="c2VhbGVk"
)
CLIENT_REGISTERED = client.ClientRegistered(
    name="reports",
    kind="confidential",
    redirect_uris=("https://reports.example/signed-in",),
    scopes=("devices:read",),
    secret_sha256=SHA_1,
)
CLIENT_REVOKED = client.ClientRevoked(reason="its secret leaked")
CLIENT_SECRET_ROTATED = client.ClientSecretRotated(
    secret_id="9a7b4c605f1c2d1e", place=1, good=("first", "9a7b4c605f1c2d1e"), secret_sha256=SHA_2
)
CLIENT_SECRET_ENDED = client.ClientSecretEnded(secret_id="first", place=0, good=("9a7b4c605f1c2d1e",))
CONSENT_GIVEN = consent.ConsentGiven(
    client_id="acme.5f1c2d1e9a7b4c60",
    user_id="ann",
    scopes=("devices:read",),
    redirect_uri="https://reports.example/signed-in",
    password=1,
    code_expires_at=RECORDED_AT + consent.CODE_LASTS,
    expires_at=RECORDED_AT + consent.CONSENT_LASTS,
    code_challenge="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    code_sha256=SHA_1,
)
CODE_REDEEMED = consent.CodeRedeemed(number=1, family_sha256=SHA_1, refresh_sha256=SHA_2)
REFRESH_TOKEN_ROTATED = consent.RefreshTokenRotated(number=2, refresh_sha256=SHA_1)
CONSENT_ENDED = consent.ConsentEnded(reason="the laptop is gone")

USER_CONSENT_NOTED = consent_processes.UserConsentNoted(consent_id="c1", expires_at=RECORDED_AT + consent.CONSENT_LASTS)
USER_CONSENTS_ENDED = consent_processes.UserConsentsEnded(reason="the user has a new password")

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
