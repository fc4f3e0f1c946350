"""The identity context consists of tenants and the keys that speak for them."""

from domain.context import Context
from domain.identity.api_key import API_KEY
from domain.identity.tenant import TENANT

CONTEXT = Context(name="identity", deciders=(TENANT, API_KEY))
