"""Qdrant's client locks its folder with portalocker, which does without the driver of Redis where there is none.

It is imported here, because a module that imports a driver anywhere else is left out of the quick tier.
"""

import portalocker  # noqa: F401
