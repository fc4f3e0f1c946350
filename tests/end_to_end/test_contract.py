"""The description of the API is whole, and the server keeps to it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate
from pydantic import ValidationError

from domain.message import adapter
from streams.intake.http.commands import PUBLIC
from tests.conformance import Target, run, target

METHODS = {"get", "post", "put", "patch", "delete"}
OPEN = {
    "/.well-known/oauth-authorization-server/oauth/{tenant_id}",
    "/metrics",
    "/oauth/authorize",
    "/oauth/introspect",
    "/oauth/revoke",
    "/oauth/token",
    "/oauth/{tenant_id}/.well-known/openid-configuration",
    "/oauth/{tenant_id}/jwks.json",
    "/v1/connectors/{connector_id}/events",
    "/v1/ops/alive",
    "/v1/ops/health",
    "/v1/passwords",
    "/v1/sign-in",
    "/v1/sign-in/{tenant_id}",
    "/v1/sign-in/{tenant_id}/{provider_id}",
}
"""What needs no key."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with target(tmp_path_factory.mktemp("contract") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def document(server: Target) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{server.url}/openapi.json", trust_env=False, timeout=60).json()
    return found


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method, path): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method in METHODS
    }


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(ref := node.get("$ref"), str):
            yield ref
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from references(one)


def test_the_description_is_valid_and_names_nothing_that_is_not_there(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"].startswith("3.1")
    for ref in set(references(document)):
        there: Any = document
        for step in ref.removeprefix("#/").split("/"):
            assert step in there, ref
            there = there[step]


def test_every_operation_has_a_name_of_its_own_that_follows_from_its_path(
    operations: dict[tuple[str, str], dict[str, Any]],
) -> None:
    names = [operation["operationId"] for operation in operations.values()]
    assert len({name.lower() for name in names}) == len(names)
    assert operations["get", "/v1/devices/{id}/logs"]["operationId"] == "get_devices_id_logs"
    assert operations["post", "/v1/commands/fleet/RegisterDevice"]["operationId"] == (
        "post_commands_fleet_RegisterDevice"
    )


def test_ways_to_get_a_token_are_described(document: dict[str, Any]) -> None:
    [flows] = [one["flows"] for one in document["components"]["securitySchemes"].values() if one["type"] == "oauth2"]
    assert flows.keys() == {"authorizationCode", "clientCredentials"}
    for flow in flows.values():
        for name in ("authorizationUrl", "tokenUrl", "refreshUrl"):
            assert flow.get(name, "/oauth/token") in document["paths"]
    refusal = document["paths"]["/oauth/token"]["post"]["responses"]["400"]["content"]["application/json"]
    assert refusal["schema"]["required"] == ["error"]
    assert "303" in document["paths"]["/oauth/authorize"]["post"]["responses"]


def test_every_operation_says_who_may_ask_what_it_answers_and_how_it_refuses(
    operations: dict[tuple[str, str], dict[str, Any]],
) -> None:
    for (method, path), operation in operations.items():
        assert bool(operation.get("security")) == (path not in OPEN), path
        answers = operation["responses"]
        done = [answer for status, answer in answers.items() if status.startswith("2")]
        assert done, path
        assert all(body["schema"] for answer in done for body in answer["content"].values()), path
        assert {"400", "500", "503"} <= answers.keys(), path
        if path not in OPEN:
            assert {"401", "403", "429"} <= answers.keys(), path
        if method == "post":
            assert {"413", "415", "422"} <= answers.keys(), path
        assert not {"4XX", "5XX", "default"} & answers.keys(), path


def test_every_command_has_its_own_operation_with_an_example_that_is_taken(
    operations: dict[tuple[str, str], dict[str, Any]],
) -> None:
    for name, command in PUBLIC.items():
        operation = operations["post", f"/v1/commands/{name.replace('.', '/')}"]
        body = operation["requestBody"]["content"]["application/json"]
        assert body["schema"]["$ref"].endswith(f"/{name}")
        assert adapter(command).validate_python(body["example"])
        headers = {one["name"] for one in operation["parameters"] if one["in"] == "header"}
        assert headers >= {"Idempotency-Key", "If-Match", "X-Deadline", "traceparent"}


def whole_numbers(schema: dict[str, Any]) -> Iterator[str]:
    for name, field in schema["properties"].items():
        if "integer" in {one.get("type") for one in (field, *field.get("anyOf", ()))}:
            yield name


@pytest.mark.parametrize("wrong", [True, "5"])
def test_a_whole_number_of_a_command_is_a_number(document: dict[str, Any], wrong: object) -> None:
    checked = 0
    for name, command in PUBLIC.items():
        for field in whole_numbers(document["components"]["schemas"][name]):
            with pytest.raises(ValidationError, match=f"\n{field}\n"):
                adapter(command).validate_python({field: wrong})
            checked += 1
    assert checked > 10


def test_reads_can_wait_for_what_was_written(operations: dict[tuple[str, str], dict[str, Any]]) -> None:
    headers = {one["name"] for one in operations["get", "/v1/devices"]["parameters"] if one["in"] == "header"}
    assert "X-Consistent-With" in headers


@pytest.mark.full
def test_the_server_keeps_to_its_description(server: Target) -> None:
    for ended in run(server, examples=1, seed=1, phases="examples,fuzzing"):
        assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr[-2_000:]
