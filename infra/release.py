"""A process starts only with a whole release: schemas, event classes and upcasters that belong together."""

from collections.abc import Iterable, Mapping

from domain.catalog import EVENTS
from infra.settings import CannotStart
from schemas.payload import schema_files
from schemas.upcast import STEPS


class HalfRelease(CannotStart):
    """A part of the release is missing: install it whole; a retry gives the same answer."""


def check_release() -> None:
    """Do nothing where this process has a whole release. Raises: HalfRelease."""
    schemas = [(type_, version) for type_, version, _ in schema_files()]
    missing = missing_parts(schemas, {type_: event.VERSION for type_, event in EVENTS.items()}, STEPS)
    if missing:
        raise HalfRelease(f"this is half a release, it lacks {', '.join(missing)}: install one release whole")


def missing_parts(
    schemas: Iterable[tuple[str, int]], classes: Mapping[str, int], steps: Iterable[tuple[str, int]]
) -> list[str]:
    """Return what is missing among schemas, the versions of event classes, and the steps from one version to the next.

    Shape: a class reads the newest version of its type; each schema before it needs the step to its successor.
    """
    there = set(schemas)
    newest = dict(sorted(there))
    wanted = {(type_, version) for type_, last in classes.items() for version in range(1, last + 1)}
    return [
        *(f"the schema of {type_} v{version}" for type_, version in sorted(wanted - there)),
        *(f"the class of {type_} v{last}" for type_, last in newest.items() if classes.get(type_, 0) < last),
        *(
            f"the step from {type_} v{version} to v{version + 1}"
            for type_, version in sorted(wanted - set(steps))
            if version < classes[type_]
        ),
    ]
