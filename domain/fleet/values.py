"""Devices, their readings and their alerts use these types for their values."""

from typing import Annotated

from pydantic import Field, StringConstraints

from schemas.values import Name

Reading = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A measured number: finite, and never a text that looks like one."""

Metrics = Annotated[dict[Name, Reading], Field(min_length=1, max_length=200)]
"""Readings by metric name."""

Severity = Annotated[str, StringConstraints(to_lower=True, max_length=32, pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
"""A word of the sender's scale, held in lower case. Source: RFC 5424 names eight; other tools have others."""

TagKey = Annotated[str, StringConstraints(max_length=63, pattern=r"^[A-Za-z0-9][A-Za-z0-9_/-]*$")]
