"""What holds for every test: real engines where one asks for them, and a busy machine is no failure."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.engines"]

settings.register_profile("factline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("factline")
