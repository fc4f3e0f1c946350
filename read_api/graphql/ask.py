"""A GraphQL request is read, bounded, validated and answered here."""

import logging
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from anyio import to_thread
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    execute,
    get_operation_ast,
    parse,
    validate,
)

from read_api.edge.problems import Problem, problem_of
from read_api.edge.problems import document as problem_document
from read_api.graphql.context import Context
from read_api.graphql.meter import COUNTED
from read_api.graphql.schema import schema

_LOG = logging.getLogger(__name__)

MOST_TOKENS = 1_000
MOST_DEPTH = 10
MOST_FIELDS = 1_000
_DEPTH_OF_SCHEMA = 10
_MOST_FAULTS = 10

_UNFORESEEN = "an unexpected error; the server's log says more"


class BadQuery(Exception):  # noqa: N818
    """A query that is not asked at all; a retry gives the same answer. Shape: `faults` are GraphQL's own errors."""

    def __init__(self, *faults: GraphQLError) -> None:
        super().__init__(*faults)
        self.faults = faults


async def answer(
    context: Context, query: str, variables: Mapping[str, Any] | None, operation: str | None
) -> Mapping[str, Any]:
    """Return the response: `data`, and `errors` where parts of it could not be read. Raises: BadQuery."""
    document = await to_thread.run_sync(read_query, query)
    if is_subscription(document, operation):
        raise BadQuery(GraphQLError("a subscription goes over WebSocket, with the protocol graphql-transport-ws"))
    ask = partial(
        execute,
        schema(),
        document,
        context_value=context,
        variable_values=dict(variables or {}),
        operation_name=operation,
        middleware=COUNTED,
    )
    # the schema waits for nothing, and is long
    done = await to_thread.run_sync(ask) if _is_of_the_schema(document, operation) else ask()
    result = done if isinstance(done, ExecutionResult) else await done
    if context.meter.stopped:
        raise BadQuery(GraphQLError(context.meter.stopped.detail))
    if result.data is None and result.errors and all(error.path is None for error in result.errors):
        # not begun: variables that do not fit, or no operation of that name
        raise BadQuery(*result.errors)
    as_of = {name: read._asdict() for name, read in context.as_of().items()}
    errors = {"errors": list(map(told, result.errors))} if result.errors else {}
    return {**errors, "data": result.data, "extensions": {"as_of": as_of}}


def is_subscription(document: DocumentNode, operation: str | None) -> bool:
    found = get_operation_ast(document, operation)
    return found is not None and found.operation is OperationType.SUBSCRIPTION


def _is_of_the_schema(document: DocumentNode, operation: str | None) -> bool:
    """Say whether the schema is asked for, and nothing beside it. Raises: BadQuery, it is asked for beside others."""
    found = get_operation_ast(document, operation)
    if found is None:
        return False
    names = set(_names(found.selection_set, _fragments(document))) - {"__typename"}
    of_schema = {name for name in names if name.startswith("__")}
    if of_schema and names != of_schema:
        raise BadQuery(GraphQLError("ask for the schema in a request of its own"))
    return bool(of_schema)


def _names(of: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]) -> Iterator[str]:
    for one in of.selections:
        if isinstance(one, FieldNode):
            yield one.name.value
        elif isinstance(one, FragmentSpreadNode):
            yield from _names(fragments[one.name.value].selection_set, fragments)
        elif isinstance(one, InlineFragmentNode):
            yield from _names(one.selection_set, fragments)


def refusal(bad: BadQuery) -> Problem:
    """Return the problem of a query that is not asked. Shape: each fault is said as GraphQL and as problems do."""
    return Problem(
        422,
        "; ".join(fault.message for fault in bad.faults),
        errors=[{**fault.formatted, "where": _where(fault), "what": fault.message} for fault in bad.faults],
    )


def _where(fault: GraphQLError) -> str:
    return ", ".join(f"line {at.line}, column {at.column}" for at in fault.locations or ())


def told(error: GraphQLError) -> Mapping[str, Any]:
    """Return an error as it is sent: as GraphQL has it, with the problem that it is over REST beside."""
    original = error.original_error
    if original is None:
        return error.formatted
    problem = problem_of(original)
    if problem is None:
        _LOG.error("a field of a GraphQL query could not be answered", exc_info=original)
        return {**error.formatted, "message": _UNFORESEEN, "extensions": {"status": 500}}
    return {**error.formatted, "message": problem.detail, "extensions": problem_document(problem)}


def read_query(query: str) -> DocumentNode:
    """Return a query that may be executed. Raises: BadQuery."""
    try:
        document = parse(query, max_tokens=MOST_TOKENS)
    except GraphQLError as error:
        raise BadQuery(error) from None
    # before all else: what is too deep or expands to too much would take long to validate
    _measure(document)
    if faults := validate(schema(), document, max_errors=_MOST_FAULTS):
        raise BadQuery(*faults)
    return document


def _measure(document: DocumentNode) -> None:
    """Do nothing where no operation is too deep, or has too many fields with all fragments put in. Raises: BadQuery."""
    fragments = _fragments(document)
    for operation in document.definitions:
        if isinstance(operation, OperationDefinitionNode):
            _Measure(fragments).enter(operation.selection_set, 1, ())


def _fragments(document: DocumentNode) -> Mapping[str, FragmentDefinitionNode]:
    return {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}


class _Measure:
    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._fields = 0

    def enter(self, of: SelectionSetNode, depth: int, inside: tuple[str, ...]) -> None:
        if depth > MOST_DEPTH:
            raise BadQuery(GraphQLError(f"the query is deeper than {MOST_DEPTH} fields; ask in several", of))
        for one in of.selections:
            self._fields += 1
            if self._fields > MOST_FIELDS:
                raise BadQuery(GraphQLError(f"the query has more than {MOST_FIELDS:,} fields; ask in several", one))
            if isinstance(one, FragmentSpreadNode):
                name = one.name.value
                # what is in itself, or not there, is for the validation to name
                if name in self._fragments and name not in inside:
                    self.enter(self._fragments[name].selection_set, depth, (*inside, name))
            elif isinstance(one, FieldNode) and one.selection_set is not None:
                # the schema itself is deep, and costs nothing: validation has a bound of its own for it
                is_schema = depth == 1 and one.name.value.startswith("__")
                self.enter(one.selection_set, depth + 1 - (_DEPTH_OF_SCHEMA if is_schema else 0), inside)
            elif isinstance(one, InlineFragmentNode):
                self.enter(one.selection_set, depth, inside)
