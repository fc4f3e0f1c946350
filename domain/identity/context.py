"""The identity context consists of tenants, the keys that speak for them, and their users."""

from domain.context import Context
from domain.identity.api_key import API_KEY
from domain.identity.processes import INVITATION_EXPIRY, TENANT_ONBOARDING
from domain.identity.tenant import TENANT
from domain.identity.user import USER

CONTEXT = Context(name="identity", deciders=(TENANT, API_KEY, USER), processes=(INVITATION_EXPIRY, TENANT_ONBOARDING))
