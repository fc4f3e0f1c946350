"""The operations context consists of what the system records about itself."""

from domain.context import Context
from domain.operations.served import ApiRequestServed

CONTEXT = Context(name="operations", deciders=(), facts=(ApiRequestServed,))
