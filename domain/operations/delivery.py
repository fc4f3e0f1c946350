"""A delivery is a task whose id says for which endpoint it is, and only the process that sends events asks for it."""

from schemas.envelope import Actor, ActorType

DELIVER = "webhook.deliver"
"""The kind of the tasks that send events to an endpoint."""

SENDER = Actor(ActorType.SYSTEM, "outbound_webhooks")
"""The process that asks for them."""

_TASK_PREFIX = "webhook-"


def task_id_of(endpoint_id: str, delivery: int) -> str:
    """Return the id of the task that does a delivery."""
    return f"{_TASK_PREFIX}{endpoint_id}~{delivery}"


def delivery_of(task_id: str) -> tuple[str, int] | None:
    """Return the endpoint and the number of the delivery that a task does, None where its name is another's."""
    endpoint_id, mark, number = task_id.removeprefix(_TASK_PREFIX).rpartition("~")
    if not (task_id.startswith(_TASK_PREFIX) and mark and number.isascii() and number.isdecimal()):
        return None
    return endpoint_id, int(number)
