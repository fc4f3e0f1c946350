"""Over HTTP, each reason for which a tool is not executed has a status of its own."""

from typing import Any

from tests.streams.intake.http.ways_in import WaysIn, refused

TOOL = {
    "tool_id": "look",
    "name": "Look",
    "kind": "http.check",
    "parameters": {"properties": {"n": {"type": "integer"}}},
}


def execute(way: WaysIn, execution_id: str, **more: Any) -> Any:
    return way.command("automation.ExecuteTool", {"tool_id": "look", "execution_id": execution_id, **more})


def test_each_refusal_of_a_tool_has_its_status_and_the_limit_says_when_to_come_again(way: WaysIn) -> None:
    assert refused(execute(way, "x1"), 404)["detail"] == "tool look is not known; register it"
    assert way.command("automation.RegisterTool", {**TOOL, "limit_per_minute": 1}).status_code == 200
    fault = refused(execute(way, "x1", parameters={"n": "1"}), 422)
    assert fault["detail"] == 'the parameters of tool look: n: "1" is not of type "integer"'
    assert refused(execute(way, "x1", parent="e1~a~1"), 403)["detail"] == "`parent` is given by the engine"
    assert execute(way, "x1", parameters={"n": 1}).status_code == 200
    assert refused(execute(way, "x1"), 409)["kind"] == "conflict"
    often = execute(way, "x2")
    assert refused(often, 429)["kind"] == "not_now"
    assert 1 <= int(often.headers["Retry-After"]) <= 60
    assert way.command("automation.RetireTool", {"tool_id": "look"}).status_code == 200
    assert refused(execute(way, "x2"), 403)["detail"] == "tool look is retired"


def test_tool_that_cannot_be_is_not_registered(way: WaysIn) -> None:
    for wrong in ({"limit_per_minute": 31}, {"limit_per_minute": 0}, {"kind": "No Kind"}, {"parameters": [1]}):
        refused(way.command("automation.RegisterTool", {**TOOL, **wrong}), 422)
    schema = {"properties": {"n": {"type": "number", "minimum": "one"}}}
    refusal = refused(way.command("automation.RegisterTool", {**TOOL, "parameters": schema}), 422)
    assert 'properties.n.minimum: "one" is not of type "number"' in refusal["detail"]
