"""Types that all of the GraphQL schema shares: its scalars, and connections as Relay has them."""

from graphql import (
    GraphQLBoolean,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLString,
)

from read_api.graphql.context import Context

ANY = GraphQLScalarType("Any", description="A value of JSON: a number, a list or an object.")
INSTANT = GraphQLScalarType("Instant", description="RFC 3339 in UTC: 2026-01-31T08:30:00.250000Z.")

Info = GraphQLResolveInfo[Context]

_PAGE_INFO = GraphQLObjectType(
    "PageInfo",
    {
        "hasNextPage": GraphQLField(GraphQLNonNull(GraphQLBoolean)),
        "hasPreviousPage": GraphQLField(GraphQLNonNull(GraphQLBoolean), description="Whether `after` was said."),
        "startCursor": GraphQLField(GraphQLString),
        "endCursor": GraphQLField(GraphQLString),
    },
)


def connection(of: GraphQLObjectType) -> GraphQLObjectType:
    edge = GraphQLObjectType(
        f"{of.name}Edge",
        {"cursor": GraphQLField(GraphQLNonNull(GraphQLString)), "node": GraphQLField(GraphQLNonNull(of))},
    )
    return GraphQLObjectType(
        f"{of.name}Connection",
        {
            "edges": GraphQLField(GraphQLNonNull(GraphQLList(GraphQLNonNull(edge)))),
            "nodes": GraphQLField(GraphQLNonNull(GraphQLList(GraphQLNonNull(of)))),
            "pageInfo": GraphQLField(GraphQLNonNull(_PAGE_INFO)),
        },
    )


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
