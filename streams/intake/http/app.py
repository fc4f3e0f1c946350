"""This adds the ways in to an application: their routes, bounds on bodies, and the problems that they raise."""

from collections.abc import Mapping

from fastapi import FastAPI

from projections.credentials import Credentials
from read_api.edge.problems import Problem, ProblemOf, add_problems
from streams.intake.http.accounts import Accounts
from streams.intake.http.bodies import BodyBudget
from streams.intake.http.commands import STATUS, BatchGate, commands_router
from streams.intake.http.keys import keys_router
from streams.intake.http.onboarding import Refused, Tenants
from streams.intake.http.operator import operator_router
from streams.intake.http.passwords import Passwords
from streams.intake.http.sign_in import sign_in_router
from streams.intake.http.telemetry import TelemetryGate, telemetry_router
from streams.intake.http.tenants import tenant_list_router, tenants_router
from streams.intake.live_keys import by_credentials
from streams.ports import LogDamaged, LogFull, LogUnavailable, Overloaded
from streams.project.view_jobs import UnknownProjection, ViewJobs, WrongBuild


def add_intake(
    app: FastAPI,
    *,
    commands: BatchGate,
    telemetry: TelemetryGate,
    operations: ViewJobs,
    credentials: Credentials,
    fingerprint_key: bytes,
) -> None:
    """Register all routes that write, or that only an operator uses.

    Shape: `add_answers` adds the edge.
    """
    add_intake_problems(app)
    app.include_router(commands_router(commands, fingerprint_key))
    app.include_router(telemetry_router(telemetry))
    tenants = Tenants(commands, by_credentials(credentials))
    app.include_router(tenants_router(tenants))
    app.include_router(tenant_list_router(credentials))
    app.include_router(keys_router(tenants))
    app.include_router(sign_in_router(Accounts(commands, credentials, Passwords())))
    app.include_router(operator_router(operations))


def add_intake_problems(app: FastAPI) -> None:
    """Answer what the write side raises with problems, and bound what its requests hold."""
    app.state.body_budget = BodyBudget()
    add_problems(app, _PROBLEMS)


_PROBLEMS: Mapping[type[Exception], ProblemOf] = {
    Overloaded: lambda _request, error: Problem(
        503, "the queue is full; send it again later", retry_after_s=error.retry_after_s
    ),
    LogFull: lambda _request, error: Problem(507, str(error), retry_after_s=30),
    # what the log said may name files and hosts: it belongs in the server's log, not in an answer
    LogUnavailable: lambda *_: Problem(
        503, "the log does not answer; send it again under the same id", retry_after_s=2
    ),
    # not one that passes: without an operator the same request gets the same answer
    LogDamaged: lambda *_: Problem(500, "the log is damaged: nothing can be recorded until it is restored"),
    Refused: lambda _request, error: Problem(
        STATUS[error.refusal.kind], error.refusal.reason, kind=error.refusal.kind.value
    ),
    UnknownProjection: lambda _request, error: Problem(404, str(error)),
    WrongBuild: lambda _request, error: Problem(409, str(error)),
}
