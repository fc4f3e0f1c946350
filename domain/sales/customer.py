"""These are the commands, the events, the state and the rules of a customer."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, assert_never

from domain.given import Given
from domain.message import Command, Decider, Event, Personal, changed, classes_of, described, filled, known, value
from domain.rejection import conflict, not_found
from schemas.envelope import StreamId
from schemas.values import Id, Name


def customer_stream(customer_id: str) -> StreamId:
    return StreamId(f"customer-{customer_id}")


# --- commands


@value
class _OfCustomer(Command):
    customer_id: Id

    @property
    def stream(self) -> StreamId:
        return customer_stream(self.customer_id)


@value
class _Describes(_OfCustomer):
    contact_name: Name | None = None
    email: Name | None = None
    phone: Name | None = None
    industry: Name | None = None
    country: Name | None = None


@value
class CreateCustomer(_Describes):
    """Shape: `lead_id` names the lead that the customer was, where there was one."""

    name: Name
    lead_id: Id | None = None


@value
class UpdateCustomer(_Describes):
    """What is left out stays as it is."""

    name: Name | None = None


CustomerCommand = CreateCustomer | UpdateCustomer

# --- events

_OfContact = Annotated[str | None, Personal()]
"""What belongs to the person whom the customer's stream stands for."""


@value
class _Description(Event):
    contact_name: _OfContact
    email: _OfContact
    phone: _OfContact
    industry: str | None
    country: str | None


@value
class CustomerCreated(_Description):
    TYPE: ClassVar = "customer.created"
    name: str
    lead_id: str | None


@value
class CustomerUpdated(_Description):
    """Only what changed has a value."""

    TYPE: ClassVar = "customer.updated"
    name: str | None


CustomerEvent = CustomerCreated | CustomerUpdated


# --- state


@value
class Customer:
    """Shape: `description` holds the fields of `customer.created` that are known."""

    description: Mapping[str, str]


def evolve_customer(state: Customer | None, event: CustomerEvent) -> Customer:
    match event:
        case CustomerCreated():
            return Customer(description=described(event, CustomerUpdated))
        case CustomerUpdated():
            return Customer(description={**known(state).description, **described(event, CustomerUpdated)})
        case _:
            assert_never(event)


# --- rules


def decide_customer(command: CustomerCommand, state: Customer | None, _given: Given) -> tuple[CustomerEvent, ...]:
    if isinstance(command, CreateCustomer):
        if state is not None:
            raise conflict(f"customer {command.customer_id} is created already")
        return (filled(CustomerCreated, command),)
    if state is None:
        raise not_found(f"customer {command.customer_id} is not known; create it first")
    return changed(CustomerUpdated, command, state.description)


CUSTOMER = Decider(
    category="customer",
    commands=classes_of(CustomerCommand),
    events=classes_of(CustomerEvent),
    decide=decide_customer,
    evolve=evolve_customer,
)
