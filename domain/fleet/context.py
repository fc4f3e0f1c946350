"""The fleet context consists of devices, what they report, the watches over it, the alerts, and planned maintenance."""

from domain.context import Context
from domain.fleet.alert import ALERT
from domain.fleet.device import DEVICE
from domain.fleet.facts import FleetFact
from domain.fleet.maintenance import MAINTENANCE
from domain.fleet.processes import DEVICE_MEMBERSHIP
from domain.fleet.watch import WATCH
from domain.message import classes_of

CONTEXT = Context(
    name="fleet",
    deciders=(DEVICE, ALERT, WATCH, MAINTENANCE),
    facts=classes_of(FleetFact),
    processes=(DEVICE_MEMBERSHIP,),
)
