"""Every test gets real engines where it asks for them, and a busy machine is not a failure."""

import signal

pytest_plugins = ["tests.tiers", "tests.engines"]

# whoever runs the tests in the background may have them ignore it, and what they start would too
signal.signal(signal.SIGINT, signal.default_int_handler)
