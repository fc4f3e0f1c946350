"""Requests that write are described here: their headers, and a body with an example, made from a class."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter

from read_api.edge.contract import REF

_AT = "2026-01-31T08:30:00Z"
# of texts with a form of their own, one that has it; the first that fits
_TEXTS = ("EUR", "*", "ann@acme.example", "2026-01-31", "http.check", "0" * 64)
_DECIMAL = "12.50"
_MEANT = {"action_id": "1-1", "hostname": "web-1.example", "severity": "warning", "reason": "a duplicate"}


def header(name: str, description: str, example: str, pattern: str | None = None) -> dict[str, Any]:
    """Return the description of a header that may be left out."""
    schema = {"type": "string"} if pattern is None else {"type": "string", "pattern": pattern}
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": schema,
        "example": example,
    }


def described_body(class_: type[BaseModel], example: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `openapi_extra` of a body that may be left out where nothing of it must be said."""
    schema = class_.model_json_schema(ref_template=REF)
    return {"requestBody": body_of_schema(schema, example, required=bool(schema.get("required")))}


def body_of_schema(schema: Mapping[str, Any], example: Any, *, required: bool = True) -> dict[str, Any]:
    content = {"application/json": {"schema": schema, "example": example}}
    return {"required": required, "content": content}


def schema_of(message: Any) -> dict[str, Any]:
    """Return the JSON schema of a message's class, its definitions beside it."""
    return TypeAdapter(message).json_schema(mode="validation", ref_template=REF)


def named(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema that stands once in the description, under its name."""
    return {"$ref": REF.format(model=name), "$defs": {name: schema}}


def example_of(schema: Mapping[str, Any]) -> Any:
    """Return a value that a schema takes, with what must be there and nothing else."""
    return _example(schema, schema.get("$defs", {}), "")


def _example(schema: Mapping[str, Any], known: Mapping[str, Any], name: str) -> Any:
    if "$ref" in schema:
        schema = known[schema["$ref"].rpartition("/")[2]]
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return _of_choices(choices, known, name)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        fields = schema.get("properties", {})
        needed = [field for field in fields if field in schema.get("required", ()) or "const" in fields[field]]
        return {field: _example(fields[field], known, field) for field in needed}
    if kind == "array":
        return [_example(schema["items"], known, name.removesuffix("s"))] if schema.get("minItems") else []
    return _text(schema, name) if kind == "string" else schema.get("minimum", 1)


def _of_choices(choices: Sequence[Mapping[str, Any]], known: Mapping[str, Any], name: str) -> Any:
    # an exact amount is best written as text
    if {"number", "string"} <= {choice.get("type") for choice in choices}:
        return _DECIMAL
    return _example(next(choice for choice in choices if choice.get("type") != "null"), known, name)


def _text(schema: Mapping[str, Any], name: str) -> str:
    if schema.get("format") == "date-time":
        return _AT
    pattern = schema.get("pattern", "")
    usual = _MEANT.get(name) or f"{name.removesuffix('_id') or 'text'}-1"
    return next(text for text in (usual, *_TEXTS) if re.search(pattern, text))
