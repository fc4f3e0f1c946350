"""A model is asked in the format of its provider, its answer streams, and what it took is counted."""

import json
from collections.abc import Iterator, Mapping, Sequence
from threading import Event
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


def asked(server: WebServer, provider: str, given: Mapping[str, Any] = SAID, **more: Any) -> Any:
    return done(CHAT, given, kind="chat.complete", provider=Provider(provider, server.url, SECRET), **more)


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("provider", ANSWERS)
def test_answer_is_put_together_from_its_stream_however_it_is_cut(provider: str, size: int) -> None:
    path, stream = ANSWERS[provider]
    with web_server(lambda _: (200, {}, cut(stream, size))) as server:
        answer = asked(server, provider)
        assert [(sent.method, sent.path) for sent in server.sent] == [("POST", path)]
    output = {"text": "Schönen Tag", "model": "m-1", "finish_reason": "stop", "input_tokens": 12, "output_tokens": 3}
    assert answer == Done(output, ModelUse(provider, "m-1", 12, 3))


class Held(list[bytes]):
    """A stream whose second half comes when the first was shown. Shape: `waited` says if it had to give up."""

    def __init__(self, stream: bytes, before: bytes) -> None:
        at = stream.index(before)
        super().__init__([stream[:at], stream[at:]])
        self.shown = Event()
        self.waited = False

    def __iter__(self) -> Iterator[bytes]:
        yield self[0]
        self.waited = not self.shown.wait(10)
        yield self[1]


@pytest.mark.parametrize("provider", ANSWERS)
def test_words_are_shown_while_the_answer_comes(provider: str) -> None:
    stream = ANSWERS[provider][1]
    # from the beginning of the line that has the second word
    at = stream.rindex(b"\n", 0, stream.index(b"Tag")) + 1
    held, parts = Held(stream, stream[at:]), list[Any]()

    def publish(part: Any) -> None:
        parts.append(part)
        held.shown.set()

    with web_server(lambda _: (200, {}, held)) as server:
        assert asked(server, provider, publish=publish).output["text"] == "Schönen Tag"
    assert not held.waited
    assert parts == [{"text": "Schönen ", "at": 0}, {"text": "Tag", "at": 8}]


def test_words_that_come_together_are_shown_together() -> None:
    words, parts = [f"{n} " for n in range(1_000)], list[Any]()
    said = (
        sse(*({"choices": [{"delta": {"content": word}}]} for word in words)) + OPENAI[OPENAI.index(b"data: [DONE]") :]
    )
    with web_server(lambda _: (200, {}, said)) as server:
        asked(server, "openai", publish=parts.append)
    assert "".join(part["text"] for part in parts) == "".join(words)
    assert [part["at"] for part in parts] == [sum(len(one["text"]) for one in parts[:n]) for n in range(len(parts))]
    assert len(parts) < 50


def test_words_of_an_answer_that_breaks_off_were_shown() -> None:
    parts = list[Any]()
    with web_server(lambda _: (200, {}, OPENAI[: OPENAI.index(b"data: [DONE]")])) as server, pytest.raises(Failed):
        asked(server, "openai", publish=parts.append)
    assert "".join(part["text"] for part in parts) == "Schönen Tag"


def body_sent(provider: str, given: Mapping[str, Any] = SAID) -> tuple[Sent, Any]:
    with web_server(lambda _: (200, {}, ANSWERS[provider][1])) as server:
        asked(server, provider, given)
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


# --- tools

SCHEMA: Mapping[str, Any] = {"type": "object", "properties": {"host": {"type": "string"}}, "required": ["host"]}
TWO_CALLS: Sequence[Mapping[str, Any]] = [
    {"id": "c1", "name": "ping", "arguments": {"host": "bücher.example"}},
    {"id": "c2", "name": "now", "arguments": {}},
]
WITH_TOOLS: Mapping[str, Any] = {
    **SAID,
    "tools": [{"name": "ping", "description": "Is a host there?", "parameters": SCHEMA}, {"name": "now"}],
    "messages": [
        *SAID["messages"],
        {"role": "assistant", "tool_calls": TWO_CALLS},
        {"role": "tool", "tool_call_id": "c1", "content": "yes"},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
        {"role": "assistant", "content": "Once more.", "tool_calls": TWO_CALLS[:1]},
        {"role": "tool", "tool_call_id": "c1", "content": "no"},
        {"role": "user", "content": "And now?"},
    ],
}
NO_SCHEMA: Mapping[str, Any] = {"type": "object", "properties": {}}


def openai_delta(index: int | None, **function: str) -> Mapping[str, Any]:
    of = {} if index is None else {"index": index}
    id_ = {"id": function.pop("id"), "type": "function"} if "id" in function else {}
    return {"choices": [{"delta": {"tool_calls": [{**of, **id_, "function": function}]}}]}


OPENAI_END = sse(
    {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
    {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}},
)
CALLING: Mapping[str, bytes] = {
    "openai": sse(
        {"choices": [{"delta": {"role": "assistant", "content": "Let me see."}}]},
        openai_delta(0, id="c1", name="ping", arguments=""),
        openai_delta(0, arguments='{"host": "b\u00fccher'),
        openai_delta(1, id="c2", name="now", arguments=""),
        openai_delta(0, arguments='.example"}'),
    )
    + OPENAI_END
    + b"data: [DONE]\n\n",
    "anthropic": sse(
        {"type": "message_start", "message": {"usage": {"input_tokens": 12, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Let me see."}},
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "tool_use", "id": "c1", "name": "ping", "input": {}},
        },
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"host": '}},
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": '"bücher.example"}'},
        },
        {"type": "content_block_stop", "index": 1},
        {
            "type": "content_block_start",
            "index": 2,
            "content_block": {"type": "tool_use", "id": "c2", "name": "now", "input": {}},
        },
        {"type": "content_block_stop", "index": 2},
        {"type": "message_delta", "delta": {"stop_reason": "tool_calls"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ),
    "ollama": b"".join(
        json.dumps(line).encode() + b"\n"
        for line in (
            {"message": {"role": "assistant", "content": "Let me see."}, "done": False},
            {
                "message": {
                    "content": "",
                    "tool_calls": [{"function": {"name": "ping", "arguments": {"host": "bücher.example"}}}],
                },
                "done": False,
            },
            {"message": {"content": "", "tool_calls": [{"function": {"name": "now"}}]}, "done": False},
            {"message": {}, "done": True, "done_reason": "tool_calls", "prompt_eval_count": 12, "eval_count": 3},
        )
    ),
}


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("provider", CALLING)
def test_calls_of_tools_are_put_together_from_the_stream_however_it_is_cut(provider: str, size: int) -> None:
    with web_server(lambda _: (200, {}, cut(CALLING[provider], size))) as server:
        output = asked(server, provider, WITH_TOOLS).output
    calls = output.pop("tool_calls")
    assert output == {
        "text": "Let me see.",
        "model": "m-1",
        "finish_reason": "tool_calls",
        "input_tokens": 12,
        "output_tokens": 3,
    }
    ids = {"c1": "call_0", "c2": "call_1"} if provider == "ollama" else {"c1": "c1", "c2": "c2"}
    assert calls == [{**call, "id": ids[call["id"]]} for call in TWO_CALLS]


def test_openai_gets_tools_and_their_answers_in_its_format() -> None:
    _, body = body_sent("openai", WITH_TOOLS)
    assert body["tools"] == [
        {
            "type": "function",
            "function": {"name": "ping", "description": "Is a host there?", "parameters": SCHEMA},
        },
        {"type": "function", "function": {"name": "now", "description": "", "parameters": NO_SCHEMA}},
    ]
    ping = {
        "id": "c1",
        "type": "function",
        "function": {"name": "ping", "arguments": '{"host":"bücher.example"}'},
    }
    now = {"id": "c2", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    assert body["messages"] == [
        *SAID["messages"],
        {"role": "assistant", "content": None, "tool_calls": [ping, now]},
        {"role": "tool", "tool_call_id": "c1", "content": "yes"},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
        {"role": "assistant", "content": "Once more.", "tool_calls": [ping]},
        {"role": "tool", "tool_call_id": "c1", "content": "no"},
        {"role": "user", "content": "And now?"},
    ]


def test_anthropic_gets_tools_and_their_answers_in_its_format() -> None:
    _, body = body_sent("anthropic", WITH_TOOLS)
    assert body["tools"] == [
        {"name": "ping", "description": "Is a host there?", "input_schema": SCHEMA},
        {"name": "now", "description": "", "input_schema": NO_SCHEMA},
    ]
    ping = {"type": "tool_use", "id": "c1", "name": "ping", "input": {"host": "bücher.example"}}
    now = {"type": "tool_use", "id": "c2", "name": "now", "input": {}}

    def result(id_: str, content: str) -> Mapping[str, Any]:
        return {"type": "tool_result", "tool_use_id": id_, "content": content}

    assert body["messages"] == [
        SAID["messages"][1],
        {"role": "assistant", "content": [ping, now]},
        {"role": "user", "content": [result("c1", "yes"), result("c2", "")]},
        {"role": "assistant", "content": [{"type": "text", "text": "Once more."}, ping]},
        {"role": "user", "content": [result("c1", "no")]},
        {"role": "user", "content": "And now?"},
    ]


def test_ollama_gets_tools_and_their_answers_in_its_format() -> None:
    _, body = body_sent("ollama", WITH_TOOLS)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["ping", "now"]
    ping = {"function": {"name": "ping", "arguments": {"host": "bücher.example"}}}
    now = {"function": {"name": "now", "arguments": {}}}
    assert body["messages"] == [
        *SAID["messages"],
        {"role": "assistant", "content": "", "tool_calls": [ping, now]},
        {"role": "tool", "content": "yes", "tool_name": "ping"},
        {"role": "tool", "content": "", "tool_name": "now"},
        {"role": "assistant", "content": "Once more.", "tool_calls": [ping]},
        {"role": "tool", "content": "no", "tool_name": "ping"},
        {"role": "user", "content": "And now?"},
    ]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("ping", '{"host": '), ("ping", "[1]"), ("ping", "null"), ("", "{}"), ("no such name", "{}")],
)
def test_call_that_is_none_may_be_better_another_time(name: str, arguments: str) -> None:
    stream = sse(openai_delta(None, id="c1", name=name, arguments=arguments)) + OPENAI_END + b"data: [DONE]\n"
    with (
        web_server(lambda _: (200, {}, stream)) as server,
        pytest.raises(
            Failed, match=r"openai asked for (the tool '.*' with what is no|a tool by a name that none may have)"
        ) as failed,
    ):
        asked(server, "openai", WITH_TOOLS)
    assert failed.value.retryable


def test_calls_that_are_too_long_are_not_read_to_their_end() -> None:
    parts = [sse(openai_delta(0, id="c1", name="ping", arguments="x" * 10_000))] * 1_000
    with (
        web_server(lambda _: (200, {}, parts)) as server,
        pytest.raises(Failed, match="longer than 48 KiB") as failed,
    ):
        asked(server, "openai", WITH_TOOLS)
    assert not failed.value.retryable


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
    "change",
    [
        {"messages": []},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"messages": [{"role": "user", "content": ""}]},
        {"messages": [{"role": "user", "content": "x", "tool_calls": TWO_CALLS}]},
        {"messages": [{"role": "user", "content": "x", "tool_call_id": "c1"}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "tool", "content": "x", "tool_call_id": "c1"}]},
        {"tools": [{"name": "a.b"}]},
        {"model": ""},
        {"url": "http://x"},
    ],
)
def test_input_that_is_wrong_is_refused(change: Any) -> None:
    with pytest.raises(Failed, match="input"):
        done(CHAT, {**SAID, **change})
