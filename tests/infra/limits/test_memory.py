"""Requests counted in the memory of one process."""

import pytest

from infra.limits.memory import MemoryRateLimiter
from tests.contracts.rate_limiter import RateLimiterContract


class TestMemory(RateLimiterContract):
    @pytest.fixture
    def limiter(self) -> MemoryRateLimiter:
        return MemoryRateLimiter()
