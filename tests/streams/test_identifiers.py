"""Names are those of the standard library's UUIDs of version 5, which earlier versions put together themselves."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from streams.identifiers import named_uuid

NAMESPACE = uuid.UUID("7d0c2b1e-6a53-5a0e-9b65-3f0f5a6f4c11")


@given(parts=st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_a_name_is_that_of_its_parts(parts: list[str]) -> None:
    assert named_uuid(*parts) == str(uuid.uuid5(NAMESPACE, "\x1f".join(parts)))
