"""Tests of the write side share these short ways to say what they often say."""

from itertools import count
from typing import Any

from domain.fleet.device import RegisterDevice, RetireDevice, TagDevice
from domain.identity.tenant import RegisterTenant
from domain.message import Command
from schemas.envelope import Actor, ActorType, TenantId
from streams.ports import Reply, Submission

TESTER = Actor(ActorType.USER, "tester")
_IDS = count(1)


def submission(
    command: Command,
    *,
    tenant: str = "demo",
    id_: str | None = None,
    expected: int | None = None,
    hash_: bytes = b"",
    actor: Actor = TESTER,
) -> Submission:
    return Submission(
        command_id=id_ or f"test-{next(_IDS)}",
        tenant_id=TenantId(tenant),
        name=type(command).__name__,
        command=command,
        actor=actor,
        expected_version=expected,
        command_hash=hash_,
    )


def register_tenant(tenant: str) -> Submission:
    return submission(RegisterTenant(tenant_id=tenant, name=tenant.title()), tenant=tenant)


def register(device: str, **more: Any) -> Submission:
    return submission(RegisterDevice(device_id=device, hostname=f"{device}.example"), **more)


def tag(device: str, value: str, **more: Any) -> Submission:
    return submission(TagDevice(device_id=device, key="room", value=value), **more)


def retire(device: str, **more: Any) -> Submission:
    return submission(RetireDevice(device_id=device), **more)


def accepted(reply: Reply) -> bool:
    return reply.outcome == "accepted"
