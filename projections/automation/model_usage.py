"""How much of which language model does a tenant use?"""

from datetime import datetime
from typing import NamedTuple

from domain.operations.task import TaskModelUsed
from projections.layout import Facts
from projections.projection import Projection
from projections.question import Choice, Question
from schemas.envelope import Envelope, StreamId, TenantId, Topic
from schemas.values import Instant


class ModelUseRow(NamedTuple):
    """What a task used of a model. Source: task.model.used."""

    tenant_id: TenantId
    stream: StreamId
    used_at: datetime
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    position: int


def project(envelope: Envelope, event: TaskModelUsed) -> tuple[ModelUseRow]:
    return (
        ModelUseRow(
            tenant_id=envelope.tenant_id,
            stream=envelope.stream,
            used_at=envelope.recorded_at,
            provider=event.provider,
            model=event.model,
            input_tokens=event.input_tokens,
            output_tokens=event.output_tokens,
            position=envelope.position,
        ),
    )


class ModelsRow(NamedTuple):
    group: str
    tasks: int
    input_tokens: int
    output_tokens: int


MODELS = Question(
    name="models",
    summary="Tokens that language models were given, and gave",
    view="model_usage",
    sql="""
        SELECT
            {by} AS label,
            count(),
            sum(input_tokens),
            sum(output_tokens)
        FROM model_usage
        WHERE used_at >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')
            AND used_at < fromUnixTimestamp64Micro({end:Int64}, 'UTC')
        GROUP BY label
        ORDER BY if({by:String} = 'day', 0, sum(input_tokens) + sum(output_tokens)) DESC, label
        LIMIT {limit:UInt32}
    """,
    parameters={
        "by": Choice(
            "model",
            {"model": "model", "provider": "provider", "day": "formatDateTime(used_at, '%Y-%m-%d', 'UTC')"},
        ),
        "start": Instant,
        "end": Instant,
        "limit": int,
    },
    row=ModelsRow,
    example={"model": "gpt-4o-mini", "tasks": 12, "input_tokens": 14_400, "output_tokens": 4_800},
)
"""Tasks that were completed with a model, by model, provider, or day.

Units: tokens as the provider counts them; days are UTC. `start` ≤ used_at < `end`.
Source: task.model.used.
"""

PROJECTION = Projection(
    name="model_usage",
    layout=Facts(
        row=ModelUseRow,
        key=("tenant_id", "stream"),
        day="used_at",
        scope="analytics",
        questions=(MODELS,),
    ),
    topics=(Topic.EVENTS,),
    events=(TaskModelUsed,),
    project=project,
)
