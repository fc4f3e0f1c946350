"""The rules for tenants."""

from dataclasses import fields, replace

import pytest

from domain.identity.tenant import (
    TENANT,
    CloseTenant,
    SetQuota,
    SuspendTenant,
    Tenant,
    TenantQuotaSet,
    TenantStatus,
    admit,
)
from domain.message import Command
from domain.rejection import Kind
from schemas.envelope import TenantId
from schemas.key_ids import key_tag
from tests.examples.fleet import REGISTER_DEVICE
from tests.examples.identity import (
    CLOSE_TENANT,
    EXPIRE_INVITATION,
    INVITE_USER,
    ISSUE_KEY,
    QUOTA_SET,
    REACTIVATE_TENANT,
    REGISTER_TENANT,
    SET_QUOTA,
    SUSPEND_TENANT,
    TENANT_CLOSED,
    TENANT_REACTIVATED,
    TENANT_REGISTERED,
    TENANT_SUSPENDED,
)
from tests.given_when_then import Rules

tenant = Rules(TENANT)
ACME = TenantId("acme")


def test_new_tenant_is_registered() -> None:
    tenant.given().when(REGISTER_TENANT).then(TENANT_REGISTERED)


def test_registering_twice_is_refused() -> None:
    tenant.given(TENANT_REGISTERED).when(REGISTER_TENANT).then_refused(
        Kind.CONFLICT, "tenant acme is registered already"
    )


def test_registering_a_tenant_that_is_not_active_says_so() -> None:
    tenant.given(TENANT_REGISTERED, TENANT_SUSPENDED).when(REGISTER_TENANT).then_refused(
        Kind.NOT_ALLOWED, "tenant acme is registered already, and is SUSPENDED"
    )


def test_registered_tenant_is_suspended() -> None:
    tenant.given(TENANT_REGISTERED).when(SUSPEND_TENANT).then(TENANT_SUSPENDED)


def test_registered_tenant_is_closed() -> None:
    tenant.given(TENANT_REGISTERED).when(CLOSE_TENANT).then(TENANT_CLOSED)


def test_suspending_or_closing_twice_records_nothing() -> None:
    tenant.given(TENANT_REGISTERED, TENANT_SUSPENDED).when(SUSPEND_TENANT).then()
    tenant.given(TENANT_REGISTERED, TENANT_CLOSED).when(CLOSE_TENANT).then()
    tenant.given(TENANT_REGISTERED, TENANT_CLOSED).when(SUSPEND_TENANT).then()


def test_suspended_tenant_is_active_again_and_may_be_suspended_again() -> None:
    tenant.given(TENANT_REGISTERED, TENANT_SUSPENDED).when(REACTIVATE_TENANT).then(TENANT_REACTIVATED)
    again = tenant.given(TENANT_REGISTERED, TENANT_SUSPENDED, TENANT_REACTIVATED)
    again.when(SUSPEND_TENANT).then(TENANT_SUSPENDED)


def test_active_tenant_is_not_reactivated() -> None:
    tenant.given(TENANT_REGISTERED).when(REACTIVATE_TENANT).then_nothing()


def test_closed_tenant_stays_closed() -> None:
    closed = tenant.given(TENANT_REGISTERED, TENANT_SUSPENDED, TENANT_CLOSED)
    closed.when(REACTIVATE_TENANT).then_refused(Kind.NOT_ALLOWED, "tenant acme is CLOSED, and stays closed")


@pytest.mark.parametrize(
    "command", [SuspendTenant(tenant_id="system", reason="x"), CloseTenant(tenant_id="system", reason="x")]
)
def test_operators_own_tenant_stays_active(command: Command) -> None:
    tenant.given(TENANT_REGISTERED).when(command).then_refused(
        Kind.NOT_ALLOWED, "the operator's own tenant stays active: nobody else could make it active again"
    )


def test_quota_is_set_and_set_anew_and_taken_away() -> None:
    tenant.given(TENANT_REGISTERED).when(SET_QUOTA).then(QUOTA_SET)
    tenant.given(TENANT_REGISTERED, QUOTA_SET).when(SET_QUOTA).then_nothing()
    nothing = TenantQuotaSet(**dict.fromkeys(field.name for field in fields(QUOTA_SET)))
    tenant.given(TENANT_REGISTERED, QUOTA_SET).when(SetQuota(tenant_id="acme")).then(nothing)
    tenant.given(TENANT_REGISTERED).when(SetQuota(tenant_id="acme")).then_nothing()


def test_suspended_tenant_gets_a_quota_before_it_may_go_on() -> None:
    assert admit(SET_QUOTA, ACME, Tenant(name="Acme", status=TenantStatus.SUSPENDED)) is None
    tenant.given(TENANT_REGISTERED, TENANT_SUSPENDED).when(SET_QUOTA).then(QUOTA_SET)


def test_operators_own_tenant_has_no_quota() -> None:
    tenant.given(TENANT_REGISTERED).when(SetQuota(tenant_id="system", events_per_day=1)).then_refused(
        Kind.NOT_ALLOWED, "the operator's own tenant has no quota: nobody else could set another"
    )


def test_tenant_that_is_not_the_callers_is_refused() -> None:
    tenant.given().when(SUSPEND_TENANT).then_refused(Kind.NOT_FOUND, "tenant acme is not the tenant of this key")


def test_unknown_tenant_may_only_be_registered() -> None:
    assert admit(REGISTER_TENANT, ACME, None) is None
    refusal = admit(REGISTER_DEVICE, ACME, None)
    assert refusal is not None
    assert refusal.kind is Kind.NOT_FOUND


@pytest.mark.parametrize("status", [TenantStatus.SUSPENDED, TenantStatus.CLOSED])
def test_tenant_that_is_not_active_may_run_no_command(status: TenantStatus) -> None:
    refusal = admit(REGISTER_DEVICE, ACME, Tenant(name="Acme", status=status))
    assert refusal is not None
    assert (refusal.kind, refusal.reason) == (Kind.NOT_ALLOWED, f"tenant is {status.value}")


@pytest.mark.parametrize("status", list(TenantStatus))
def test_operator_may_suspend_and_reactivate_whatever_the_status(status: TenantStatus) -> None:
    assert admit(SUSPEND_TENANT, ACME, Tenant(name="Acme", status=status)) is None
    assert admit(REACTIVATE_TENANT, ACME, Tenant(name="Acme", status=status)) is None


def test_active_tenant_may_run_commands() -> None:
    assert admit(REGISTER_DEVICE, ACME, Tenant(name="Acme", status=TenantStatus.ACTIVE)) is None


def test_stream_that_does_not_begin_with_its_registration_is_refused() -> None:
    with pytest.raises(ValueError, match="does not begin with its first event"):
        tenant.given(TENANT_SUSPENDED).when(CLOSE_TENANT).then()


def test_first_key_of_a_new_tenant_must_name_it() -> None:
    wrong = admit(replace(REGISTER_TENANT, first_key=ISSUE_KEY), ACME, None)
    assert wrong is not None
    assert wrong.kind is Kind.INVALID
    key = replace(ISSUE_KEY, key_id=f"{key_tag(ACME)}first")
    assert admit(replace(REGISTER_TENANT, first_key=key), ACME, None) is None


def test_owner_who_is_invited_has_an_id_that_is_no_address() -> None:
    command = replace(REGISTER_TENANT, owner_id="ann@acme.example", owner_email="ann@acme.example")
    tenant.given().when(command).then_refused(
        Kind.INVALID, "owner_id may not be an address: it names a stream, where nothing can be erased"
    )
    tenant.given().when(replace(command, owner_email=None)).then(
        replace(TENANT_REGISTERED, owner_id="ann@acme.example")
    )


def test_invitations_of_a_suspended_tenant_expire_all_the_same() -> None:
    suspended = Tenant(name="Acme", status=TenantStatus.SUSPENDED)
    assert admit(EXPIRE_INVITATION, ACME, suspended) is None
    assert admit(INVITE_USER, ACME, suspended) is not None
