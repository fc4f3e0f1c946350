"""The identity context consists of tenants and the keys that speak for them."""

from domain.identity.api_key import API_KEY
from domain.identity.tenant import TENANT
from domain.message import Context

CONTEXT = Context(name="identity", deciders=(TENANT, API_KEY))
