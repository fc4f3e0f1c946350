"""The rules for customers."""

from dataclasses import replace

from domain.rejection import Kind
from domain.sales.customer import CUSTOMER
from tests.examples.sales import CREATE_CUSTOMER, CUSTOMER_CREATED, CUSTOMER_UPDATED, UPDATE_CUSTOMER
from tests.given_when_then import Rules

customer = Rules(CUSTOMER)


def test_new_customer_is_created() -> None:
    customer.given().when(CREATE_CUSTOMER).then(CUSTOMER_CREATED)


def test_creating_twice_is_refused() -> None:
    customer.given(CUSTOMER_CREATED).when(CREATE_CUSTOMER).then_refused(Kind.CONFLICT, "customer c1 is created already")


def test_only_what_changes_is_recorded() -> None:
    customer.given(CUSTOMER_CREATED).when(UPDATE_CUSTOMER).then(CUSTOMER_UPDATED)
    customer.given(CUSTOMER_CREATED, CUSTOMER_UPDATED).when(UPDATE_CUSTOMER).then_nothing()
    customer.given(CUSTOMER_CREATED, CUSTOMER_UPDATED).when(replace(UPDATE_CUSTOMER, name="Acme")).then(
        replace(CUSTOMER_UPDATED, name="Acme")
    )


def test_customer_that_is_not_known_is_not_updated() -> None:
    customer.given().when(UPDATE_CUSTOMER).then_refused(Kind.NOT_FOUND, "customer c1 is not known; create it first")
