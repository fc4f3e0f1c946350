"""Some of the cases of Wycheproof's AES-GCM with keys of 256 bits, written anew.

Source: github.com/C2SP/wycheproof, testvectors/aes_gcm_test.json; the numbers are its `tcId`.
"""

from typing import NamedTuple


class Case(NamedTuple):
    number: int
    is_valid: bool
    key: str
    iv: str
    aad: str
    msg: str
    ct: str
    tag: str


CASES = (
    Case(
        91,
        is_valid=True,
        key="92ace3e348cd821092cd921aa3546374299ab46209691bc28b8752d17f123c20",
        iv="00112233445566778899aabb",
        aad="00000000ffffffff",
        msg="00010203040506070809",
        ct="e27abdd2d2a53d2f136b",
        tag="9a4a2579529301bcfb71c78d4060f52c",
    ),
    Case(
        130,
        is_valid=False,
        key="000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        iv="505152535455565758595a5b",
        aad="",
        msg="202122232425262728292a2b2c2d2e2f",
        ct="b2061457c0759fc1749f174ee1ccadfa",
        tag="9de8fef6d8ab1bf1bf887232eab590dd",
    ),
    Case(
        149,
        is_valid=False,
        key="000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        iv="505152535455565758595a5b",
        aad="",
        msg="202122232425262728292a2b2c2d2e2f",
        ct="b2061457c0759fc1749f174ee1ccadfa",
        tag="9de8fef6d8ab1bf1be887232eab590dd",
    ),
    Case(
        152,
        is_valid=False,
        key="000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        iv="505152535455565758595a5b",
        aad="",
        msg="202122232425262728292a2b2c2d2e2f",
        ct="b2061457c0759fc1749f174ee1ccadfa",
        tag="631701092754e40e40778dcd154a6f22",
    ),
    Case(
        153,
        is_valid=False,
        key="000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        iv="505152535455565758595a5b",
        aad="",
        msg="202122232425262728292a2b2c2d2e2f",
        ct="b2061457c0759fc1749f174ee1ccadfa",
        tag="00000000000000000000000000000000",
    ),
    Case(
        154,
        is_valid=False,
        key="000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        iv="505152535455565758595a5b",
        aad="",
        msg="202122232425262728292a2b2c2d2e2f",
        ct="b2061457c0759fc1749f174ee1ccadfa",
        tag="ffffffffffffffffffffffffffffffff",
    ),
    Case(
        240,
        is_valid=True,
        key="00112233445566778899aabbccddeeff102132435465768798a9bacbdcedfe0f",
        iv="5c2ea9b695fcf6e264b96074d6bfa572",
        aad="",
        msg="00000000000000000000000000000000000000000000000000000000000000000000000000000000",
        ct="28e1c5232f4ee8161dbe4c036309e0b3254e9212bef0a93431ce5e5604c8f6a73c18a3183018b770",
        tag="d5808a1bd11a01129bf3c6919aff2339",
    ),
    Case(
        242,
        is_valid=True,
        key="00112233445566778899aabbccddeeff102132435465768798a9bacbdcedfe0f",
        iv="ce20a7e870696a5e68533c465bad2ba1",
        aad="",
        msg="00000000000000000000000000000000000000000000000000000000000000000000000000000000",
        ct="4f4350565d91d9aa8c5f4048550492ad6d6fdabf66da5d1e2af7bfe1a8aadaa0baa3de38a41d9713",
        tag="155da6441ec071ef2d8e6cffbacc1c7c",
    ),
    Case(
        243,
        is_valid=True,
        key="00112233445566778899aabbccddeeff102132435465768798a9bacbdcedfe0f",
        iv="918e3c19dbdfee2db18156c5b93f3d75",
        aad="",
        msg="00000000000000000000000000000000000000000000000000000000000000000000000000000000",
        ct="8316a53167b6de1a7575700693ffef274f4350565d91d9aa8c5f4048550492ad6d6fdabf66da5d1e",
        tag="6c574aa6a2490cc3b2f2f8f0ffbc56c4",
    ),
    Case(
        248,
        is_valid=True,
        key="00112233445566778899aabbccddeeff102132435465768798a9bacbdcedfe0f",
        iv="d10e631943cd3bdababab2bbd13951c0",
        aad="",
        msg="00000000000000000000000000000000000000000000000000000000000000000000000000000000",
        ct="d60196c2d14fcf30c0991d2721ddc52d385f407a16691dade82c9023c855fd8e2e8fbb562102f018",
        tag="877e15d9889e69a99fcc6d727465c391",
    ),
    Case(
        252,
        is_valid=True,
        key="00112233445566778899aabbccddeeff102132435465768798a9bacbdcedfe0f",
        iv="00000000000000000000000000000000",
        aad="",
        msg="8d74f1c97243d362577ff376c393d2dc",
        ct="265c42e2b96ea1de9c24f7182e337390",
        tag="00000000000000000000000000000000",
    ),
    Case(
        254,
        is_valid=True,
        key="b4cd11db0b3e0b9b34eafd9fe027746976379155e76116afde1b96d21298e34f",
        iv="00c49f4ebb07393f07ebc3825f7b0830",
        aad="",
        msg="",
        ct="",
        tag="306fe8c9645cc849823e333a685b90b2",
    ),
    Case(
        255,
        is_valid=True,
        key="b7797eb0c1a6089ad5452d81fdb14828c040ddc4589c32b565aad8cb4de3e4a0",
        iv="0ad570d8863918fe89124e09d125a271",
        aad="",
        msg="ed",
        ct="3f",
        tag="fd8f593b83314e33c5a72efbeb7095e8",
    ),
    Case(
        257,
        is_valid=True,
        key="e7f7a48df99edd92b81f508618aa96526b279debd9ddb292d385ddbae80b2259",
        iv="7ee376910f08f497aa6c3aa7113697fd",
        aad="",
        msg="5e51dbbb861b5ec60751c0996e00527f",
        ct="469478d448f7e97d755541aa09ad95b0",
        tag="254ada5cf662d90c5e11b2bd9c4db4c4",
    ),
    Case(
        258,
        is_valid=True,
        key="4f84782bfbb64a973c3de3dcfa3430367fd68bc0b4c3b31e5d7c8141ba3e6a67",
        iv="5d1bde6fa0994b33efd8f23f531248a7",
        aad="",
        msg="78cb6650a1908a842101ea85804fed00cc56fbdafafba0ef4d1ca607dcae57b6",
        ct="cb960201fa5ad41d41d1c2c8037c71d52b72e76b16b589d71b976627c9734c9d",
        tag="8dfce16467c3a6ebb3e7242c9a551962",
    ),
)
