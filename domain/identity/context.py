"""The identity context consists of tenants, what speaks for them (keys, users, issuers), and their organizations."""

from domain.context import Context
from domain.identity.api_key import API_KEY
from domain.identity.issuer import ISSUER
from domain.identity.organization import ORGANIZATION
from domain.identity.organization_devices import ORGANIZATION_DEVICES
from domain.identity.processes import INVITATION_EXPIRY, TENANT_ONBOARDING
from domain.identity.session import SESSION
from domain.identity.tenant import TENANT
from domain.identity.user import USER

CONTEXT = Context(
    name="identity",
    deciders=(TENANT, API_KEY, USER, SESSION, ISSUER, ORGANIZATION, ORGANIZATION_DEVICES),
    processes=(INVITATION_EXPIRY, TENANT_ONBOARDING),
)
