"""These strategies make random messages from the annotations of their classes."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from annotated_types import MinLen
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from domain.automation.agent_execution import ActionId
from domain.automation.execution import ExecutionId
from domain.automation.graph import ApprovalNode, Edge, Edges, NodeId, Nodes, TaskNode
from domain.automation.policy import Decision, PolicyRule, Rules
from domain.automation.provider_key import Sealed
from domain.automation.tool import PerMinute, ToolExecutionId
from domain.automation.vector_collection import ChangeId, CollectionId
from domain.catalog import DECIDERS, SENT
from domain.content.item import Platform
from domain.execution.schedule import Cron, EverySeconds, ScheduleId
from domain.finance.values import InvoiceNumber, Paid, Party
from domain.fleet.rules import Failures, RateOfChange, Rule, Threshold
from domain.fleet.values import Metrics, Severity, TagKey
from domain.identity.api_key import IssueApiKey, RevokeApiKey, RotateApiKey, Scope, Sha256
from domain.identity.client import RedirectUri
from domain.identity.consent import CodeChallenge
from domain.identity.tenant import TENANT
from domain.identity.user import Email, UserId
from domain.integration.change import RecordId
from domain.integration.connector import ConnectorId
from domain.message import Command
from domain.operations.task import TaskKind
from domain.sales.quote import PartyId, QuoteId
from schemas.envelope import TenantId
from schemas.json_text import Json, JsonObject
from schemas.key_ids import key_tag
from schemas.values import Currency, Day, Id, Zone
from streams.ports import FactSubmission

BEGAN_AT = datetime(2026, 1, 31, tzinfo=UTC)

Known = Sequence[tuple[Any, st.SearchStrategy[Any]]]
"""The values of some types; those of every other type follow from what it is made of and what it may hold."""


def instances(class_: Any, known: Known) -> st.SearchStrategy[Any]:
    """Return instances of a message class, or of any other value class."""
    return st.builds(class_, **{field.name: _field_values(field, known) for field in fields(class_)})


def _field_values(field: Any, known: Known) -> st.SearchStrategy[Any]:
    given = values(field.type, known)
    return given if field.default is MISSING else st.just(field.default) | given


def values(hint: Any, known: Known) -> st.SearchStrategy[Any]:
    for type_, strategy in known:
        if hint == type_:
            return strategy
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return st.one_of([values(argument, known) for argument in arguments])
    if origin is tuple:
        return _tuples(arguments[0], known)
    if origin in (dict, Mapping):
        return st.dictionaries(*(values(argument, known) for argument in arguments), max_size=3)
    if origin is Annotated:
        return _constrained(hint, known)
    return instances(hint, known) if is_dataclass(hint) else st.from_type(hint)


def _constrained(hint: Any, known: Known) -> st.SearchStrategy[Any]:
    inner = get_args(hint)[0]
    constraints = [
        one for more in hint.__metadata__ for one in (more.metadata if isinstance(more, FieldInfo) else [more])
    ]
    if get_origin(inner) is tuple:
        return _tuples(get_args(inner)[0], known, sum(one.min_length for one in constraints if isinstance(one, MinLen)))
    plain = values(inner, known)
    return plain.filter(partial(_fits, TypeAdapter(hint))) if constraints else plain


def _tuples(item: Any, known: Known, least: int = 0) -> st.SearchStrategy[Any]:
    return st.lists(values(item, known), min_size=least, max_size=least + 3).map(tuple)


def _fits(adapter: TypeAdapter[Any], value: Any) -> bool:
    try:
        return bool(adapter.validate_python(value) == value)
    except ValidationError:
        return False


class Messages(NamedTuple):
    commands: st.SearchStrategy[Command]
    facts: st.SearchStrategy[list[FactSubmission]]


def messages(mark: str = "x") -> Messages:
    """Return what one tenant may send, over a few streams, so that most of it meets a state.

    Shape: every id and text of it holds the mark, but for those that may not; no command ends the tenant itself.
    """
    ids = st.sampled_from([f"{mark}-1", f"{mark}-2"])
    texts = st.sampled_from([f"{mark}", f"{mark} ü €", f"{mark}'\"%_\\", f"{mark} " + "long " * 20])
    amounts = st.decimals(Decimal(-10_000), Decimal(10_000), places=4)
    moments = st.integers(0, 3_000_000).map(lambda seconds: BEGAN_AT + timedelta(seconds=seconds))
    readings = st.floats(allow_nan=False, allow_infinity=False)
    known: Known = [
        (Id, ids),
        (QuoteId, ids),
        (PartyId, ids),
        (UserId, ids),
        (ScheduleId, ids),
        (Platform, st.sampled_from(["blog", "linkedin"])),
        (Cron, st.just("30 2 * * *")),
        (EverySeconds, st.just(3_600)),
        (Email, st.sampled_from([f"{mark}@acme.example", f"{mark}@bolt.example"])),
        (InvoiceNumber, st.sampled_from([f"{mark}-1", f"C{mark}-2"])),
        (TagKey, st.sampled_from(["room", "site"])),
        (Severity, st.sampled_from(["info", "warning"])),
        (Currency, st.sampled_from(["GBP", "EUR"])),
        (Sha256, st.sampled_from(["a1" * 32, "b2" * 32])),
        (Sealed, st.just("c2VhbGVk")),
        (CodeChallenge, st.just("c" * 43)),
        (RedirectUri, st.just(f"https://{mark}.example/back")),
        (ActionId, st.sampled_from(["1-1", "1-2"])),
        (Scope, st.just("*")),
        (Day, st.just("2026-01-31")),
        (Zone, st.sampled_from(["UTC", "Europe/Berlin"])),
        (Party, st.sampled_from([f"{mark}", f"{mark} ü €"])),
        (Paid, st.sampled_from([Decimal("0.00000001"), Decimal(2)])),
        (Metrics, st.dictionaries(texts, readings, min_size=1, max_size=2)),
        (Rule, _rules(mark, texts, readings)),
        (Json, st.sampled_from([None, {"url": mark}, [1, 2.5, True]])),
        (TaskKind, st.sampled_from(["http.check", "some.work"])),
        (ExecutionId, ids),
        (ToolExecutionId, ids),
        (CollectionId, ids),
        (ConnectorId, ids),
        (RecordId, ids),
        (ChangeId, ids),
        (PerMinute, st.just(30)),
        (JsonObject, st.sampled_from([{}, {"properties": {"url": {"const": mark}}}])),
        (Rules, st.sampled_from([(), (PolicyRule(when=f"agent == '{mark}'", decision=Decision.DENY),)])),
        (NodeId, st.sampled_from(["a", "b"])),
        (Nodes, st.just((TaskNode(id="a", type="task", kind="some.work"), ApprovalNode(id="b", type="approval")))),
        (Edges, st.just((Edge(from_="a", to="b"),))),
        (str, texts),
        (int, st.integers(1, 100)),
        (float, readings),
        (Decimal, amounts),
        (datetime, moments),
    ]
    # the first command of each twice: it begins a stream
    commands: st.SearchStrategy[Any] = st.one_of(
        [
            st.one_of([instances(command, known) for command in (decider.commands[0], *decider.commands)])
            for decider in DECIDERS
            if decider is not TENANT
        ]
    )
    kinds = st.one_of([instances(fact, known) for fact in SENT])
    fact_ids = st.none() | st.sampled_from([f"{mark}-{n}" for n in range(3)])
    facts = st.lists(st.builds(FactSubmission, ids, moments, kinds, fact_ids), min_size=1, max_size=5)
    return Messages(commands, facts)


def of_tenant(command: Command, tenant_id: TenantId) -> Command:
    """Return the command as this tenant may give it: the id of a key names its tenant."""
    if isinstance(command, IssueApiKey | RotateApiKey | RevokeApiKey):
        return replace(command, key_id=key_tag(tenant_id) + command.key_id)
    return command


def _rules(mark: str, texts: st.SearchStrategy[str], readings: st.SearchStrategy[float]) -> st.SearchStrategy[Rule]:
    """Return rules that a watch may have; most random ones are refused."""
    failures = st.builds(
        Failures, contains=st.just(mark), key_after=st.none() | texts, count=st.just(2), within_s=st.just(60)
    )
    return st.one_of(
        st.builds(Threshold, metric=texts, above=readings),
        st.builds(RateOfChange, metric=texts, by=st.just(1.0), within_s=st.just(600)),
        failures,
    )
