"""Sealed bytes are AES-256-GCM as NIST's own vectors have it, and nothing but the right key and place opens them."""

import secrets
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.sealed import Tampered, new_key, seal, unseal


class Vector(NamedTuple):
    key: bytes
    nonce: bytes
    plain: bytes
    place: bytes
    encrypted: bytes
    tag: bytes


VECTORS = [
    Vector._make(map(bytes.fromhex, vector))
    for vector in (
        (
            "b52c505a37d78eda5dd34f20c22540ea1b58963cf8e5bf8ffa85f9f2492505b4",
            "516c33929df5a3284ff463d7",
            "",
            "",
            "",
            "bdc1ac884d332457a1d2664f168c76f0",
        ),
        (
            "78dc4e0aaf52d935c3c01eea57428f00ca1fd475f5da86a49c8dd73d68c8e223",
            "d79cf22d504cc793c3fb6c8a",
            "",
            "b96baa8c1c75a671bfb2d08d06be5f36",
            "",
            "3e5d486aa2e30b22e040b85723a06e76",
        ),
        (
            "31bdadd96698c204aa9ce1448ea94ae1fb4a9a0b3c9d773b51bb1822666b8f22",
            "0d18e06c7c725ac9e362e1ce",
            "2db5168e932556f8089a0622981d017d",
            "",
            "fa4362189661d163fcd6a56d8bf0405a",
            "d636ac1bbedd5cc3ee727dc2ab4a9489",
        ),
        (
            "92e11dcdaa866f5ce790fd24501f92509aacf4cb8b1339d50c9c1240935dd08b",
            "ac93a1a6145299bde902f21a",
            "2d71bcfa914e4ac045b2aa60955fad24",
            "1e0889016f67601c8ebea4943bc23ad6",
            "8995ae2e6df3dbf96fac7b7137bae67f",
            "eca5aa77d51d4a0a14d9c51e1da474ab",
        ),
        (
            "69b458f2644af9020463b40ee503cdf083d693815e2659051ae0d039e606a970",
            "8d1da8ab5f91ccd09205944b",
            "f3e0e09224256bf21a83a5de8d",
            "036ad5e5494ef817a8af2f5828784a4bfedd1653",
            "c0a62d77e6031bfdc6b13ae217",
            "a794a9aaee48cd92e47761bf1baff0af",
        ),
        (
            "5853c020946b35f2c58ec427152b840420c40029636adcbb027471378cfdde0f",
            "eec313dd07cc1b3e6b068a47",
            "ce7458e56aef9061cb0c42ec2315565e6168f5a6249ffd31610b6d17ab64935e",
            "1389b522c24a774181700553f0246bbabdd38d6f",
            "eadc3b8766a77ded1a58cb727eca2a9790496c298654cda78febf0da16b6903b",
            "3d49a5b32fde7eafcce90079217ffb57",
        ),
    )
]
"""Count 0 of six groups. Source: NIST CAVP, gcmtestvectors, gcmEncryptExtIV256.rsp (CAVS 14.0)."""

KEY = VECTORS[2].key


@pytest.mark.parametrize("vector", VECTORS)
def test_seals_and_opens_what_nist_says(vector: Vector, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = b"\x01" + vector.nonce + vector.encrypted + vector.tag
    assert unseal(vector.key, sealed, vector.place) == vector.plain
    monkeypatch.setattr(secrets, "token_bytes", lambda _: vector.nonce)
    assert seal(vector.key, vector.plain, vector.place) == sealed


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_what_was_sealed_is_opened_and_is_other_bytes_each_time(plain: bytes, place: bytes) -> None:
    key = new_key()
    one, two = seal(key, plain, place), seal(key, plain, place)
    assert one != two
    assert unseal(key, one, place) == unseal(key, two, place) == plain


@given(st.binary(min_size=1, max_size=50), st.data())
def test_change_of_any_bit_is_found(plain: bytes, data: st.DataObject) -> None:
    sealed = bytearray(seal(KEY, plain, b"here"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Tampered):
        unseal(KEY, bytes(sealed), b"here")


@pytest.mark.parametrize("length", [0, 1, 12, 13, 28, 32])
def test_part_of_it_is_refused(length: int) -> None:
    with pytest.raises(Tampered):
        unseal(KEY, seal(KEY, b"plain", b"here")[:length], b"here")


def test_other_key_and_other_place_open_nothing() -> None:
    sealed = seal(KEY, b"plain", b"here")
    for key, place in ((new_key(), b"here"), (KEY, b"there"), (KEY, b"")):
        with pytest.raises(Tampered):
            unseal(key, sealed, place)


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33])
def test_key_of_another_length_is_refused(length: int) -> None:
    for use in (seal, unseal):
        with pytest.raises(ValueError, match="a key has 32 bytes"):
            use(bytes(length), seal(KEY, b"", b""), b"")
