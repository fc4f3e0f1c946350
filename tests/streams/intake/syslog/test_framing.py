import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.intake.syslog.framing import MAX_MESSAGE, BadFrame, Frames

MESSAGES = st.binary(min_size=1, max_size=40).map(
    lambda one: b"<13>" + one.replace(b"\n", b"").replace(b"\0", b"").rstrip()
)


@given(
    messages=st.lists(st.tuples(MESSAGES, st.booleans()), max_size=6), cuts=st.lists(st.integers(0, 300), max_size=5)
)
def test_messages_are_cut_as_they_were_sent_wherever_the_packets_end(
    messages: list[tuple[bytes, bool]], cuts: list[int]
) -> None:
    sent = b"".join(f"{len(one)} ".encode() + one if counted else one + b"\n" for one, counted in messages)
    frames, found, last = Frames(), [], 0
    for cut in [*sorted(cuts), len(sent)]:
        found += frames.add(sent[last:cut])
        last = max(last, cut)
    assert [*found, *frames.end()] == [one.rstrip(b"\r") for one, _ in messages]


def test_a_counted_message_may_hold_line_ends() -> None:
    assert Frames().add(b"11 <13>a\nb c\n\n<13>d\n") == [b"<13>a\nb c", b"<13>d"]


def test_a_last_line_need_not_be_ended() -> None:
    frames = Frames()
    assert frames.add(b"<13>a\r\n<13>b") == [b"<13>a"]
    assert frames.end() == [b"<13>b"]


@pytest.mark.parametrize("sent", [b"999999999 <13>a", b"x" * (MAX_MESSAGE + 17)])
def test_what_is_too_long_is_refused(sent: bytes) -> None:
    with pytest.raises(BadFrame, match=r"at most|more than"):
        Frames().add(sent)
