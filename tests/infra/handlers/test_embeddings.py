"""A model makes vectors in the format of its provider, and what it took is counted."""

import json
from typing import Any

import pytest

from factline.worker import Done, Failed, ModelUse, Provider
from infra.handlers.embeddings import embed_text
from tests.infra.handlers.kit import LOCAL, done
from tests.infra.handlers.web_server import Answer, Sent, web_server

EMBED = embed_text(LOCAL)
SECRET = "sk-0123456789"
SAID: dict[str, Any] = {"provider_key": "mine", "model": "m-1", "texts": ["a pump", "a fan"]}
VECTORS = [[1.0, 0.0], [0.25, -0.5]]
OPENAI = {
    "data": [{"index": 1, "embedding": VECTORS[1]}, {"index": 0, "embedding": VECTORS[0]}],
    "usage": {"prompt_tokens": 4, "total_tokens": 4},
}
OLLAMA = {"model": "m-1", "embeddings": VECTORS, "prompt_eval_count": 4}


def asked(provider: str, answer: Any, status: int = 200) -> tuple[Any, Sent]:
    def answered(_: Sent) -> Answer:
        return status, {}, answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    with web_server(answered) as server:
        output = done(EMBED, SAID, kind="embed.text", provider=Provider(provider, server.url, SECRET))
        [sent] = server.sent
        return output, sent


@pytest.mark.parametrize(
    ("provider", "answer", "path", "more"),
    [
        ("openai", OPENAI, "/embeddings", {"encoding_format": "float"}),
        ("vllm", OPENAI, "/embeddings", {"encoding_format": "float"}),
        ("ollama", OLLAMA, "/api/embed", {"truncate": False}),
    ],
)
def test_provider_is_asked_in_its_format_and_vectors_come_in_the_order_of_the_texts(
    provider: str, answer: Any, path: str, more: Any
) -> None:
    output, sent = asked(provider, answer)
    assert (sent.method, sent.path, sent.headers["authorization"]) == ("POST", path, f"Bearer {SECRET}")
    assert json.loads(sent.body) == {"model": "m-1", "input": SAID["texts"], **more}
    assert output == Done(
        {"vectors": VECTORS, "model": "m-1", "dimensions": 2, "input_tokens": 4}, ModelUse(provider, "m-1", 4, 0)
    )


@pytest.mark.parametrize(
    ("status", "retryable"), [(400, False), (401, False), (408, True), (429, True), (500, True), (503, True)]
)
def test_refusal_is_told_in_the_providers_words_without_the_secret(status: int, retryable: bool) -> None:  # noqa: FBT001
    with pytest.raises(Failed, match=f"openai answered {status}: no such key: …$") as failed:
        asked("openai", {"error": {"message": f"no such key: {SECRET}"}}, status)
    assert failed.value.retryable is retryable


@pytest.mark.parametrize(
    ("provider", "answer", "why"),
    [
        ("openai", b"<html>", "no JSON"),
        ("openai", [], "not of its format"),
        ("openai", {"data": [{"embedding": [1.0]}]}, "not of its format"),
        ("openai", {"data": [{"index": 0, "embedding": ["x"]}, {"index": 1, "embedding": [1.0]}]}, "not of its format"),
        ("ollama", {"embeddings": [[1.0], []]}, "not of its format"),
        ("ollama", {"embeddings": [[1.0, 2.0]]}, "gave 1 vectors for 2 texts"),
        ("ollama", {"embeddings": [[1.0, 2.0], [1.0]]}, "of other sizes"),
    ],
)
def test_answer_that_is_none_may_be_tried_again(provider: str, answer: Any, why: str) -> None:
    with pytest.raises(Failed, match=why) as failed:
        asked(provider, answer)
    assert failed.value.retryable


def test_without_a_model_the_task_says_what_to_do() -> None:
    given = {name: value for name, value in SAID.items() if name != "provider_key"}
    with pytest.raises(Failed, match=r"no model is configured: .* --kind embed\.text`") as failed:
        done(EMBED, given, kind="embed.text")
    assert not failed.value.retryable
    with pytest.raises(Failed, match=r"there is no secret 'mine' for tasks of the kind embed\.text"):
        done(EMBED, SAID, kind="embed.text")
    with pytest.raises(Failed, match="Anthropic has no model that makes vectors") as failed:
        done(EMBED, SAID, provider=Provider("anthropic", None, SECRET))
    assert not failed.value.retryable


@pytest.mark.parametrize(
    "change", [{"texts": []}, {"texts": [""]}, {"texts": ["x"] * 101}, {"model": ""}, {"url": "x"}]
)
def test_input_that_is_wrong_is_refused(change: Any) -> None:
    with pytest.raises(Failed, match="input"):
        done(EMBED, {**SAID, **change})
