"""Secrets of providers are encrypted with AES-256-GCM and keys by scrypt, as the public vectors say."""

import base64

import pytest

from infra.master_key import MasterKey
from infra.provider_secrets import ProviderSecrets, decrypted, encrypted, stretched
from schemas.envelope import TenantId
from schemas.sealed import Tampered
from tests.infra.wycheproof import CASES, Case

ACME, BOLT = TenantId("acme"), TenantId("bolt")
BOX = ProviderSecrets(MasterKey(b"m" * 32))


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.number))
def test_encryption_is_that_of_wycheproof(case: Case) -> None:
    key, iv, aad, plain, hidden, tag = (bytes.fromhex(text) for text in case[2:])
    if case.is_valid:
        assert encrypted(key, iv, plain, aad) == (hidden, tag)
        assert decrypted(key, iv, hidden, tag, aad) == plain
    else:
        with pytest.raises(Tampered):
            decrypted(key, iv, hidden, tag, aad)


RFC_7914 = {
    (b"", b"", 16, 1, 1): """
        77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442
        fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906
    """,
    (b"password", b"NaCl", 1024, 8, 16): """
        fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162
        2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640
    """,
    (b"pleaseletmein", b"SodiumChloride", 16384, 8, 1): """
        7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2
        d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887
    """,
}


@pytest.mark.parametrize("given", RFC_7914)
def test_key_is_that_of_rfc_7914(given: tuple[bytes, bytes, int, int, int]) -> None:
    password, salt, cost, blocks, at_once = given
    made = stretched(password, salt, cost=cost, blocks=blocks, at_once=at_once, length=64)
    assert made == bytes.fromhex(RFC_7914[given])


def test_secret_is_opened_for_the_tenant_and_the_id_that_it_was_sealed_for() -> None:
    sealed = BOX.seal(ACME, "openai", "sk-gehüm")
    assert BOX.open(ACME, "openai", sealed) == "sk-gehüm"
    for tenant, key_id, box in (
        (BOLT, "openai", BOX),
        (ACME, "other", BOX),
        (ACME, "openai", ProviderSecrets(MasterKey(b"n" * 32))),
    ):
        with pytest.raises(Tampered):
            box.open(tenant, key_id, sealed)


def test_sealed_secret_has_a_version_a_salt_of_32_bytes_an_iv_of_16_and_a_tag_of_16() -> None:
    first, second = (base64.b64decode(BOX.seal(ACME, "openai", "secret")) for _ in range(2))
    assert len(first) == 1 + 32 + 16 + 16 + len(b"secret")
    assert first[0] == 1
    assert first[1:33] != second[1:33]
    assert first[33:49] != second[33:49]


# a secret that this version sealed is opened by every later one
KEPT = "AXNbzMevzq3sOPmZ5+mvVD83c1pRCyV1iqLsdSaf2+CGNk8XsOGOYjegiKZQuRYrtiZQwWQyR+5lBFXPthIF0DOZuSNArOsz"


def test_secret_that_was_kept_is_opened() -> None:
    assert BOX.open(ACME, "openai", KEPT) == "sk-kept"


@pytest.mark.parametrize("place", [0, 1, 33, 49, 65, -1])
def test_secret_that_was_changed_anywhere_is_not_opened(place: int) -> None:
    raw = bytearray(base64.b64decode(KEPT))
    raw[place] ^= 1
    with pytest.raises(Tampered):
        BOX.open(ACME, "openai", base64.b64encode(raw).decode())


@pytest.mark.parametrize("sealed", ["", "AQ==", "§"])
def test_what_is_no_sealed_secret_is_not_opened(sealed: str) -> None:
    with pytest.raises(Tampered):
        BOX.open(ACME, "openai", sealed)
