"""A run of a node has a name, under which its task, its timers and its answers are found."""

from hashlib import blake2b

from domain.message import value


@value
class NodeToken:
    """Which run of which node, of an item where the node is a foreach."""

    execution_id: str
    node_id: str
    attempt: int
    item: int | None


def token_of(execution_id: str, node_id: str, attempt: int, item: int | None) -> str:
    """Return the name of a node's run, which is the id of its task too."""
    return "~".join([execution_id, node_id, str(attempt), *([] if item is None else [str(item)])])


def parsed(token: str) -> NodeToken:
    """Return what a name stands for. Raises: ValueError, no run of a node has this name."""
    execution_id, node_id, attempt, *item = token.split("~")
    number = int(item[0]) if item else None
    return NodeToken(execution_id=execution_id, node_id=node_id, attempt=int(attempt), item=number)


def sub_execution_id(token: str) -> str:
    """Return the id of the execution that a node's run begins: names would grow with each level."""
    return f"of-{blake2b(token.encode(), digest_size=16).hexdigest()}"
