"""A conversation has an id, and each answer in it a name under which the run of the agent is found."""

from domain.automation.execution import ExecutionId
from domain.automation.node_runs import sub_execution_id
from schemas.envelope import StreamId

ConversationId = ExecutionId

_PREFIX = "conversation-"


def conversation_stream(conversation_id: str) -> StreamId:
    return StreamId(f"{_PREFIX}{conversation_id}")


def answer_token(conversation_id: str, number: int) -> str:
    """Return the name of the answer to a message: what waits for the end of the run."""
    return f"{_PREFIX}{conversation_id}~{number}"


def answer_execution_id(conversation_id: str, number: int) -> str:
    """Return the id of the run that answers a message."""
    return sub_execution_id(answer_token(conversation_id, number))


def answer_of(token: str | None) -> tuple[str, int] | None:
    """Return which message of which conversation a run answers, None where it answers none."""
    # the name of a node's run has more parts
    named, _, number = (token or "").rpartition("~")
    if not named.startswith(_PREFIX) or "~" in named:
        return None
    return named.removeprefix(_PREFIX), int(number)
