"""The stand-in reads a compressed body to its end: a client sends a large insert in several frames."""

import gzip
from collections.abc import Callable

import lz4.frame
import pytest
import zstandard

from infra.engines.clickhouse_front import _decompressed

PARTS = (b"first" * 1_000, b"second" * 1_000, b"third")


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("lz4", lz4.frame.compress),
        ("zstd", lambda part: zstandard.ZstdCompressor().compress(part)),
        ("gzip", gzip.compress),
        (None, bytes),
    ],
)
def test_all_frames_of_a_body_are_read(encoding: str | None, compress: Callable[[bytes], bytes]) -> None:
    assert _decompressed(b"".join(map(compress, PARTS)), encoding) == b"".join(PARTS)


def test_a_body_that_ends_within_a_frame_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="ends within"):
        _decompressed(lz4.frame.compress(b"first" * 1_000)[:-6], "lz4")
