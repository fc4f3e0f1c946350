"""This adds the ways in to an application: their routes, bounds on bodies, and the problems that they raise."""

from collections.abc import Callable, Mapping

from fastapi import FastAPI

from projections.credentials import Credentials
from read_api.edge.problems import Problem, ProblemOf, add_problems
from read_api.edge.route_index import include
from streams.intake.files.last_places import LastPlaces
from streams.intake.http.accepting import Refused
from streams.intake.http.accounts import Accounts
from streams.intake.http.authorizing import authorizing_router
from streams.intake.http.begun_sign_in import SealedSignIns
from streams.intake.http.bodies import BodyBudget
from streams.intake.http.clients import clients_router
from streams.intake.http.commands import STATUS, BatchGate, Gate, commands_router
from streams.intake.http.consents import Consents
from streams.intake.http.giving import Giving
from streams.intake.http.granting import Granting
from streams.intake.http.importing import Imports
from streams.intake.http.imports import imports_router
from streams.intake.http.keys import keys_router
from streams.intake.http.oauth import oauth_router
from streams.intake.http.onboarding import Tenants
from streams.intake.http.operator import operator_router
from streams.intake.http.own_issuer import own_issuer_router
from streams.intake.http.passwords import Passwords
from streams.intake.http.provider_keys import SecretBox
from streams.intake.http.provider_sign_in import FindUsers, ProviderSignIns
from streams.intake.http.provider_tokens import AskProvider, ProviderTokens
from streams.intake.http.providers import providers_router
from streams.intake.http.sign_in import sign_in_router
from streams.intake.http.signing import Signing
from streams.intake.http.telemetry import TelemetryGate, telemetry_router
from streams.intake.http.tenants import tenant_list_router, tenants_router
from streams.intake.http.token_requests import AskingClients
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
    new_places: Callable[[], LastPlaces],
) -> None:
    """Register all routes that write, or that only an operator uses.

    Shape: `add_answers` adds the edge. `new_places` keeps the numbers of the invoices of a file that is imported.
    """
    add_intake_problems(app)
    include(app, commands_router(commands, fingerprint_key))
    include(app, telemetry_router(telemetry))
    app.state.imports = Imports(commands, telemetry, fingerprint_key)
    include(app, imports_router(app.state.imports, new_places))
    tenants = Tenants(commands, by_credentials(credentials))
    include(app, tenants_router(tenants))
    include(app, tenant_list_router(credentials))
    include(app, keys_router(tenants))
    include(app, sign_in_router(Accounts(commands, credentials, Passwords())))
    include(app, operator_router(operations))


def add_own_issuer(app: FastAPI, gate: Gate, credentials: Credentials, box: SecretBox, fingerprint_key: bytes) -> None:
    """Register the routes by which the server is an issuer of tokens itself."""
    signing = Signing(gate, credentials, box)
    include(app, own_issuer_router(signing, Giving(gate, fingerprint_key)))
    include(app, clients_router(gate, credentials))
    clients, consents = AskingClients(credentials), Consents(gate, credentials)
    include(app, oauth_router(clients, Granting(signing, consents, credentials)))
    include(app, authorizing_router(clients, consents))


def add_sign_in_providers(
    app: FastAPI,
    gate: Gate,
    credentials: Credentials,
    box: SecretBox,
    fingerprint_key: bytes,
    *,
    ask: AskProvider,
    users: FindUsers,
    state_key: bytes,
) -> None:
    """Register the routes by which people sign in through a provider. Shape: `state_key` is the deployment's."""
    tokens, sealed = ProviderTokens(ask), SealedSignIns(state_key)
    sign_ins = ProviderSignIns(gate, credentials, box, tokens=tokens, sealed=sealed, users=users)
    include(app, providers_router(gate, credentials, box, fingerprint_key, sign_ins))


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
