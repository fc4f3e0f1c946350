"""A model is asked in the format of its provider, its answer streams, and what it took is counted."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from factline.worker import Done, Failed, ModelUse, Provider
from infra.handlers.chat import chat_complete
from tests.infra.handlers.kit import LOCAL, done
from tests.infra.handlers.web_server import Answer, Sent, WebServer, web_server

CHAT = chat_complete(LOCAL)
SECRET = "sk-0123456789"
SAID: dict[str, Any] = {
    "provider_key": "mine",
    "model": "m-1",
    "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Guten Tag?"}],
    "temperature": 0,
}


def sse(*events: Any) -> bytes:
    return b"".join(b"event: any\ndata: %b\n\n" % json.dumps(event).encode() for event in events)


OPENAI = (
    sse(
        {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
        {"choices": [{"delta": {"content": "Schönen "}}]},
        {"choices": [{"delta": {"content": "Tag"}}]},
        {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": None},
        {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}},
    )
    + b": a comment\n\ndata: [DONE]\n\n"
)
ANTHROPIC = sse(
    {"type": "message_start", "message": {"usage": {"input_tokens": 12, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Schönen "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Tag"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "stop"}, "usage": {"output_tokens": 3}},
    {"type": "message_stop"},
)
OLLAMA = b"".join(
    json.dumps(line).encode() + b"\n"
    for line in (
        {"message": {"role": "assistant", "content": "Schönen "}, "done": False},
        {"message": {"content": "Tag"}, "done": False},
        {"message": {"content": ""}, "done": True, "done_reason": "stop", "prompt_eval_count": 12, "eval_count": 3},
    )
)
ANSWERS: Mapping[str, tuple[str, bytes]] = {
    "openai": ("/chat/completions", OPENAI),
    "vllm": ("/chat/completions", OPENAI),
    "anthropic": ("/v1/messages", ANTHROPIC),
    "ollama": ("/api/chat", OLLAMA),
}


def cut(stream: bytes, size: int) -> list[bytes]:
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def asked(server: WebServer, provider: str, given: Mapping[str, Any] = SAID) -> Any:
    return done(CHAT, given, kind="chat.complete", provider=Provider(provider, server.url, SECRET))


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("provider", ANSWERS)
def test_answer_is_put_together_from_its_stream_however_it_is_cut(provider: str, size: int) -> None:
    path, stream = ANSWERS[provider]
    with web_server(lambda _: (200, {}, cut(stream, size))) as server:
        answer = asked(server, provider)
        assert [(sent.method, sent.path) for sent in server.sent] == [("POST", path)]
    output = {"text": "Schönen Tag", "model": "m-1", "finish_reason": "stop", "input_tokens": 12, "output_tokens": 3}
    assert answer == Done(output, ModelUse(provider, "m-1", 12, 3))


def body_sent(provider: str) -> tuple[Sent, Any]:
    with web_server(lambda _: (200, {}, ANSWERS[provider][1])) as server:
        asked(server, provider)
        [sent] = server.sent
    return sent, json.loads(sent.body)


def test_openai_is_asked_in_its_format() -> None:
    sent, body = body_sent("openai")
    assert sent.headers["authorization"] == f"Bearer {SECRET}"
    assert body == {
        "model": "m-1",
        "messages": SAID["messages"],
        "max_tokens": 1024,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_anthropic_is_asked_in_its_format() -> None:
    sent, body = body_sent("anthropic")
    assert (sent.headers["x-api-key"], sent.headers["anthropic-version"]) == (SECRET, "2023-06-01")
    assert body == {
        "model": "m-1",
        "system": "Be short.",
        "messages": SAID["messages"][1:],
        "max_tokens": 1024,
        "temperature": 0,
        "stream": True,
    }


def test_ollama_is_asked_in_its_format() -> None:
    _, body = body_sent("ollama")
    assert body == {
        "model": "m-1",
        "messages": SAID["messages"],
        "stream": True,
        "options": {"num_predict": 1024, "temperature": 0},
    }


@pytest.mark.parametrize(
    ("status", "body", "why", "retryable"),
    [
        (401, {"error": {"message": f"no such key: {SECRET}"}}, "openai answered 401: no such key: …$", False),
        (404, {"error": "model 'm-1' not found"}, "openai answered 404: model 'm-1' not found", False),
        (429, {"error": {"message": "slow down"}}, "429: slow down", True),
        (529, {"type": "error", "error": {"type": "overloaded_error"}}, "529: .*overloaded_error", True),
        (502, None, "502", True),
    ],
)
def test_refusal_is_told_in_the_providers_words_without_the_secret(
    status: int, body: Any, why: str, *, retryable: bool
) -> None:
    with (
        web_server(lambda _: (status, {}, json.dumps(body).encode())) as server,
        pytest.raises(Failed, match=why) as failed,
    ):
        asked(server, "openai")
    assert failed.value.retryable is retryable


BROKEN: Sequence[tuple[str, bytes, str]] = [
    ("openai", OPENAI[: OPENAI.index(b"data: [DONE]")], "broke off before its end"),
    ("anthropic", ANTHROPIC[: ANTHROPIC.index(b'data: {"type": "message_stop"')], "broke off before its end"),
    ("ollama", OLLAMA[: OLLAMA.index(b"Tag")], "not of its format"),
    ("openai", sse({"error": {"message": "the model crashed"}}), "openai broke off: the model crashed"),
    ("anthropic", sse({"type": "error", "error": {"message": "overloaded"}}), "anthropic broke off: overloaded"),
    ("ollama", b'{"error": "out of memory"}\n', "ollama broke off: out of memory"),
    ("openai", b"data: <html>\n", "not of its format"),
    ("anthropic", b"data: {}\n", "not of its format"),
]


@pytest.mark.parametrize(("provider", "stream", "why"), BROKEN)
def test_answer_that_breaks_off_is_no_answer_and_may_be_tried_again(provider: str, stream: bytes, why: str) -> None:
    with web_server(lambda _: (200, {}, cut(stream, 50))) as server, pytest.raises(Failed, match=why) as failed:
        asked(server, provider)
    assert failed.value.retryable


def test_answer_that_is_too_long_is_not_read_to_its_end() -> None:
    def answer(_: Sent) -> Answer:
        return 200, {}, [sse({"choices": [{"delta": {"content": "x" * 10_000}}]})] * 1_000

    with web_server(answer) as server, pytest.raises(Failed, match="longer than 48 KiB"):
        asked(server, "openai")


def test_without_a_model_the_task_says_what_to_do() -> None:
    given = {name: value for name, value in SAID.items() if name != "provider_key"}
    with pytest.raises(Failed, match=r"no model is configured: keep a key with `factline provider-keys set") as failed:
        done(CHAT, given)
    assert not failed.value.retryable
    with pytest.raises(Failed, match=r"there is no secret 'mine' for tasks of the kind chat\.complete"):
        done(CHAT, SAID, kind="chat.complete")


@pytest.mark.parametrize(
    "change", [{"messages": []}, {"messages": [{"role": "robot", "content": "x"}]}, {"model": ""}, {"url": "http://x"}]
)
def test_input_that_is_wrong_is_refused(change: Any) -> None:
    with pytest.raises(Failed, match="input"):
        done(CHAT, {**SAID, **change})
