"""The ways in as part of an application: their routes, what they may hold, and the problems that they raise."""

from collections.abc import Mapping

from fastapi import FastAPI, Request

from read_api.edge.problems import Problem, ProblemOf, add_problems
from streams.intake.http.bodies import BodyBudget
from streams.intake.http.commands import Gate, commands_router
from streams.intake.http.operator import operator_router
from streams.intake.http.telemetry import TelemetryGate, telemetry_router
from streams.intake.http.tenants import tenants_router
from streams.ports import LogFull, LogUnavailable, Overloaded
from streams.project.view_jobs import UnknownProjection, ViewJobs, WrongBuild


def add_intake(app: FastAPI, *, commands: Gate, telemetry: TelemetryGate, operations: ViewJobs) -> None:
    """Register all routes that write, or that only an operator uses. Shape: the edge was added before."""
    add_intake_problems(app)
    app.include_router(commands_router(commands))
    app.include_router(telemetry_router(telemetry))
    app.include_router(tenants_router(commands))
    app.include_router(operator_router(operations))


def add_intake_problems(app: FastAPI) -> None:
    """Answer what the write side raises with problems, and bound what its requests hold."""
    app.state.body_budget = BodyBudget()
    add_problems(app, _PROBLEMS)


def _overloaded(_request: Request, error: Overloaded) -> Problem:
    return Problem(503, "the queue is full; send it again later", retry_after_s=error.retry_after_s)


def _full(_request: Request, error: LogFull) -> Problem:
    return Problem(507, str(error), retry_after_s=30)


def _unavailable(_request: Request, _error: LogUnavailable) -> Problem:
    # what the log said may name files and hosts: it belongs in the server's log, not in an answer
    return Problem(503, "the log does not answer; send it again under the same id", retry_after_s=2)


def _unknown(_request: Request, error: UnknownProjection) -> Problem:
    return Problem(404, str(error))


def _wrong_build(_request: Request, error: WrongBuild) -> Problem:
    return Problem(409, str(error))


_PROBLEMS: Mapping[type[Exception], ProblemOf] = {
    Overloaded: _overloaded,
    LogFull: _full,
    LogUnavailable: _unavailable,
    UnknownProjection: _unknown,
    WrongBuild: _wrong_build,
}
