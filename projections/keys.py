"""These ports are what the keepers of the keys for personal fields promise."""

from collections.abc import Collection, Mapping
from typing import Protocol

from schemas.personal import Keys, Subject


class KeysUnusable(Exception):  # noqa: N818
    """The master key is missing, another one or readable by others, or a kept key was changed.

    A retry gives the same answer; the message says what to do.
    """


class KeyFinder(Protocol):
    """Knows the keys, for whoever opens personal fields."""

    def find(self, subjects: Collection[Subject]) -> Mapping[Subject, bytes]:
        """Return the keys of those subjects that have one; one that has none, or whose key was destroyed, is left out.

        Raises: StoreUnavailable, safe to retry; KeysUnusable.
        """


class KeyMaker(KeyFinder, Protocol):
    """Gives each subject of each tenant one key of 32 bytes, for whoever seals personal fields.

    Shape: a key is made once and never becomes another one; of two that make it at once, both get the same.
    """

    def make(self, subjects: Collection[Subject]) -> Keys:
        """Return the key of each subject, made now if it never had one; None for one whose key was destroyed.

        Shape: all or none are made; they survive `kill -9` and power loss when this returns, or at the latest when
        what is encrypted with them does.
        Raises: StoreUnavailable, safe to retry; KeysUnusable.
        """


class KeyStore(KeyMaker, Protocol):
    """Keeps the keys, and gives them to nobody else."""

    def destroy(self, subject: Subject) -> None:
        """Remove a subject's key for good, if it has one: from now on it has none, and none can be made.

        Shape: when this returns, neither `kill -9` nor power loss brings the key back. Other keys stay as they are.
        Raises: StoreUnavailable, safe to retry.
        """
