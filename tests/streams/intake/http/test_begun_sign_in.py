"""A begun sign-in is in a cookie that browsers keep, and a bent one is like none."""

import base64

import orjson
import pytest
from joserfc import jwe
from joserfc.jwk import OctKey

from streams.intake.http.begun_sign_in import BegunSignIn, Links, SealedSignIns

KEY = b"k" * 32
SEALED = SealedSignIns(KEY)
TOKEN = "x" * 43
LONGEST = BegunSignIn(
    "t" * 63,
    "p" * 128,
    "https://" + "\N{SNOWMAN}" * 492,
    says_issuer=True,
    state=TOKEN,
    nonce=TOKEN,
    verifier=TOKEN,
    links=Links("u" * 128, "5" * 32, 10**9),
    until=1_800_000_000.123456,
)


def test_what_was_sealed_is_opened() -> None:
    for begun in (LONGEST, LONGEST._replace(links=None)):
        assert SEALED.open(SEALED.seal(begun)) == begun
    assert SealedSignIns(b"o" * 32).open(SEALED.seal(LONGEST)) is None


def test_longest_cookie_is_one_that_browsers_keep() -> None:
    # source: RFC 6265, section 6.1; the name and a sign before it count too
    assert len(f"factline_sign_in={SEALED.seal(LONGEST)}") <= 4_096


@pytest.mark.parametrize(
    "header",
    [
        {"alg": 5, "enc": []},
        {"alg": "dir", "enc": "A256GCM", "crit": 5},
        {"alg": "dir", "enc": "A256GCM", "zip": []},
        {"alg": [], "enc": {}},
        [],
        None,
        "dir",
    ],
    ids=str,
)
def test_header_of_somebody_else_counts_for_nothing(header: object) -> None:
    rest = SEALED.seal(LONGEST).partition(".")[2]
    said = base64.urlsafe_b64encode(orjson.dumps(header)).rstrip(b"=").decode()
    assert SEALED.open(f"{said}.{rest}") is None


@pytest.mark.parametrize(
    "bent", ["", ".", "....", "HEAD", "HEAD.", "HEAD....", "HEAD.a.b.c.d", "HEAD.!.!.!.!", "HEAD..=.=.="]
)
def test_bent_text_counts_for_nothing(bent: str) -> None:
    assert SEALED.open(bent.replace("HEAD", SEALED.seal(LONGEST).partition(".")[0])) is None


@pytest.mark.parametrize("said", [b"", b"{}", orjson.dumps({**LONGEST._asdict(), "links": "ann", "about": {}})])
def test_what_another_version_sealed_counts_for_nothing(said: bytes) -> None:
    text = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, said, OctKey.import_key(KEY))
    assert SEALED.open(text) is None
