"""Tests of the write side share these short ways to say what they often say."""

from itertools import count

from domain.fleet.device import RegisterDevice, RetireDevice, TagDevice
from domain.identity.tenant import RegisterTenant
from domain.message import Command
from schemas.envelope import Actor, ActorType, TenantId
from streams.ports import Reply, Submission

TESTER = Actor(ActorType.USER, "tester")
_IDS = count(1)


def submission(
    command: Command, *, tenant: str = "demo", id_: str | None = None, expected: int | None = None
) -> Submission:
    return Submission(
        command_id=id_ or f"test-{next(_IDS)}",
        tenant_id=TenantId(tenant),
        name=type(command).__name__,
        command=command,
        actor=TESTER,
        expected_version=expected,
    )


def register_tenant(tenant: str) -> Submission:
    return submission(RegisterTenant(tenant_id=tenant, name=tenant.title()), tenant=tenant)


def register(device: str, *, tenant: str = "demo", id_: str | None = None, expected: int | None = None) -> Submission:
    command = RegisterDevice(device_id=device, hostname=f"{device}.example")
    return submission(command, tenant=tenant, id_=id_, expected=expected)


def tag(
    device: str, value: str, *, tenant: str = "demo", expected: int | None = None, id_: str | None = None
) -> Submission:
    command = TagDevice(device_id=device, key="room", value=value)
    return submission(command, tenant=tenant, expected=expected, id_=id_)


def retire(device: str) -> Submission:
    return submission(RetireDevice(device_id=device))


def accepted(reply: Reply) -> bool:
    return reply.outcome == "accepted"
