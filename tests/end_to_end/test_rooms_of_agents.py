"""What people do in the rooms of workflows, agents, conversations and collections."""

import json
from collections.abc import Iterator

import httpx
import pytest
from selenium.webdriver import Keys

from tests.end_to_end.conftest import Server
from tests.end_to_end.page import Page
from tests.infra.handlers.test_chat import OLLAMA, Held
from tests.infra.handlers.web_server import Sent, web_server
from tests.infra.serve.test_own_worker import LAST_WORD, says

ASK = {"workflow_id": "ask", "nodes": [{"id": "ask", "type": "approval"}]}
OWN = ("automation:own", "conversations:own", "live:own", "personal:read")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a server whose tasks may reach this machine, where the model is."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FACTLINE_ALLOW_NETWORKS", "127.0.0.0/8")
        with Server(tmp_path_factory.mktemp("rooms") / "data") as server:
            yield server


def test_supervisor_approves_what_waits_and_sees_the_graph_go_on(page: Page, server: Server) -> None:
    server.post("/v1/commands/automation/CreateWorkflow", {"workflow_id": "ask", "name": "Ask first"})
    server.command("automation.PublishWorkflow", **ASK)
    server.command("automation.ExecuteWorkflow", workflow_id="ask", execution_id="e-1", input={})
    page.open(server.api_key, "/executions/e-1")
    page.until_text("#thing", "running")
    assert page.one(".graph .node.waiting")
    page.open(server.api_key, "/workflows")
    page.press("Approve", within="#approvals")
    page.fill(note="go on")
    page.press("Approve")
    page.until_text("#approvals", "Nothing waits for a person")
    page.row("#executions", "completed").click()
    page.one(".graph .node.approved, .graph .node.completed")


def test_supervisor_lets_an_agent_use_a_tool_and_reads_what_it_says(page: Page, server: Server) -> None:
    answers = [says(text="I look.", calls=[{"name": "look", "given": {"contains": "well"}}]), says(text="All is well.")]

    def answer(sent: Sent) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, b"all is well" if sent.path == "/health" else answers.pop(0)

    with web_server(answer) as model:
        key = {"key_id": "mine", "provider": "openai", "kinds": ["chat.complete"], "secret": "hush-hush-hush"}
        server.post("/v1/secrets", {**key, "base_url": model.url})
        page.open(server.api_key, "/tools")
        page.press("Register")
        schema = '{"type": "object", "properties": {"contains": {"type": "string"}}, "required": ["contains"]}'
        page.fill(tool_id="look", name="Look", parameters=schema, fixed=f'{{"url": "{model.url}/health"}}')
        page.press("Register")
        page.row("#tools", "Look")
        page.open(server.api_key, "/agents")
        page.press("Register a model")
        page.fill(model_id="small", name="Small", model="m-1", provider_key="mine")
        page.press("Register a model")
        page.row("#models", "Small")
        page.press("Create")
        page.fill(name="First look", prompt="Look at it.", model_id="small", tools="look")
        page.press("Create")
        page.row("#agents", "First look").click()
        page.press("Run")
        page.fill(input="How is it?")
        page.press("Run")
        page.row("#runs", "running").click()
        page.until_text("#steps .status", "proposed")
        assert '"contains":"well"' in page.text("#steps")
        page.press("Approve", within="#steps")
        page.press("Approve")
        page.until_text("#thing", "completed")
        page.until_text("#thing", "All is well.")
        page.until_text("#steps .status", "executed")
    page.open(server.api_key, "/agents")
    page.until_text("#actions", "No agent waits for a person")
    page.row("#tokens", "m-1")


def test_words_of_an_agent_are_read_while_it_says_them_and_it_is_stopped(page: Page, server: Server) -> None:
    answers = [Held(OLLAMA, LAST_WORD), Held(OLLAMA, LAST_WORD)]
    waiting = iter(answers)
    own = server.post("/v1/keys", {"name": "ann", "scopes": OWN})["api_key"]
    with web_server(lambda _: (200, {}, next(waiting))) as model:
        key = {"key_id": "talks", "provider": "ollama", "kinds": ["chat.complete"], "secret": "hush-hush-hush"}
        server.post("/v1/secrets", {**key, "base_url": model.url})
        for command, body in {
            "RegisterModel": {"model_id": "talks", "name": "T", "model": "m-1", "provider_key": "talks"},
            "CreateAgent": {"agent_id": "polite", "name": "P", "prompt": "Greet.", "model_id": "talks"},
        }.items():
            server.post(f"/v1/commands/automation/{command}", body)
        page.open(own, "/conversations")
        assert "Agents" not in page.text("nav.rail").splitlines()
        page.until_text("#conversations", "No conversations yet")
        page.press("Begin")
        page.fill(agent_id="polite", title="Good <b>manners</b>")
        page.press("Begin")
        page.row("#conversations", "Good <b>manners</b>").click()
        page.until_text("#talk", "Nothing was said yet")
        _say(page, "Guten <i>Tag</i>?")
        page.until_text("#talk .coming", "Schönen")
        assert "Tag" not in page.text("#talk .coming")
        answers[0].shown.set()
        page.until_text("#talk li.agent:not(.coming)", "Schönen Tag")
        assert page.text("#talk li.person p:last-child") == "Guten <i>Tag</i>?"
        _say(page, "And now?")
        page.until_text("#talk .coming", "Schönen")
        page.press("Stop")
        page.until_text("#talk .error", "There is no answer: stopped")
        answers[1].shown.set()
    # whoever manages the agents sees it, and who is typing in it
    conversation = page.browser.current_url.removeprefix(server.address)
    page.open(server.api_key, conversation)
    page.until_text("#talk", "Schönen Tag")
    _typed_by(page, server, own, conversation.split("/")[-1])
    page.press("Archive")
    page.press("Archive")
    page.until_text("#thing .status", "archived")
    page.until(lambda: not page.all("#talk textarea") or None, "something can still be said")


def _say(page: Page, words: str) -> None:
    page.one("#talk textarea").send_keys(words, Keys.ENTER)


def _typed_by(page: Page, server: Server, key: str, conversation_id: str) -> None:
    headers = {"X-API-Key": key}

    def is_seen() -> bool | None:
        # who listens a moment later does not hear it
        httpx.post(f"{server.address}/v1/conversations/{conversation_id}/typing", headers=headers, timeout=10)
        return "types" in page.text("#talk .typist") or None

    page.until(is_seen, "nobody types")


def test_documents_are_put_into_a_collection_and_taken_out(page: Page, server: Server) -> None:
    made = json.dumps({"model": "m-1", "embeddings": [[1.0, 0.0]], "prompt_eval_count": 4}).encode()
    with web_server(lambda _: (200, {}, made)) as model:
        key = {"key_id": "vectors", "provider": "ollama", "kinds": ["vectors.upsert"], "secret": "hush-hush-hush"}
        server.post("/v1/secrets", {**key, "base_url": model.url})
        page.open(server.api_key, "/collections")
        page.until_text("#collections", "No collections yet")
        page.press("Create")
        about = {"name": "Our <b>handbook</b>", "model": "m-1", "provider_key": "vectors"}
        page.fill(collection_id="handbook", dimensions="2", **about)
        page.press("Create")
        page.row("#collections", "Our <b>handbook</b>").click()
        page.until_text("#documents", "No documents yet")
        page.press("Put a document")
        page.fill(id="page-7", text="Switch it off.")
        page.press("Put a document")
        page.row("#documents", "page-7")
    page.press("Delete", within="#documents")
    page.press("Delete")
    page.until_text("#documents .status", "deleted")
    page.press("Archive")
    page.press("Archive")
    page.until_text("#thing .status", "archived")
    assert not {"Put a document", "Change"} & page.buttons()
