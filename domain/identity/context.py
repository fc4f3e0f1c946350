"""The identity context consists of tenants, the keys that speak for them, their users and their organizations."""

from domain.context import Context
from domain.identity.api_key import API_KEY
from domain.identity.organization import ORGANIZATION
from domain.identity.organization_devices import ORGANIZATION_DEVICES
from domain.identity.processes import INVITATION_EXPIRY, TENANT_ONBOARDING
from domain.identity.tenant import TENANT
from domain.identity.user import USER

CONTEXT = Context(
    name="identity",
    deciders=(TENANT, API_KEY, USER, ORGANIZATION, ORGANIZATION_DEVICES),
    processes=(INVITATION_EXPIRY, TENANT_ONBOARDING),
)
