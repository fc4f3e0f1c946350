"""The identity context consists of tenants, what speaks for them (keys, users, issuers), and their organizations."""

from domain.context import Context
from domain.identity.api_key import API_KEY
from domain.identity.client import CLIENT
from domain.identity.consent import CONSENT
from domain.identity.consent_processes import USER_CONSENTS
from domain.identity.issuer import ISSUER
from domain.identity.organization import ORGANIZATION
from domain.identity.organization_devices import ORGANIZATION_DEVICES
from domain.identity.processes import INVITATION_EXPIRY, TENANT_ONBOARDING
from domain.identity.session import SESSION
from domain.identity.sign_in import SIGN_IN
from domain.identity.sign_in_provider import SIGN_IN_PROVIDER
from domain.identity.signing_key import SIGNING_KEY
from domain.identity.tenant import TENANT
from domain.identity.user import USER

CONTEXT = Context(
    name="identity",
    deciders=(
        TENANT,
        API_KEY,
        USER,
        SESSION,
        SIGN_IN_PROVIDER,
        SIGN_IN,
        ISSUER,
        SIGNING_KEY,
        CLIENT,
        CONSENT,
        ORGANIZATION,
        ORGANIZATION_DEVICES,
    ),
    processes=(INVITATION_EXPIRY, TENANT_ONBOARDING, USER_CONSENTS),
)
