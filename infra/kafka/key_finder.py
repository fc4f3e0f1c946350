"""A gateway opens personal fields with the keys that it reads of their topic."""

from collections.abc import Collection, Mapping

from infra.kafka.beside import key_name, opened_key
from infra.kafka.followed_topic import FollowedTopic
from infra.master_key import MasterKey
from projections.stores import StoreUnavailable
from schemas.personal import Subject

_WAIT_S = 5.0


class KafkaKeyFinder:
    """KeyFinder of a gateway. Any thread may ask."""

    def __init__(self, keys: FollowedTopic, master: MasterKey) -> None:
        self._keys = keys
        self._master = master

    def find(self, subjects: Collection[Subject]) -> Mapping[Subject, bytes]:
        names = {key_name(subject): subject for subject in subjects}
        kept: dict[bytes, bytes] = {}

        def have_come() -> bool:
            kept.update(self._keys.find(names))
            return kept.keys() == names.keys()

        # the event came to its view first: its key, of the same transaction, is on its way. One that was destroyed is
        # known too, so none is ever missing for good
        if not self._keys.wait(have_come, _WAIT_S):
            raise StoreUnavailable("a key of a personal field has not come yet")
        found = {names[name]: opened_key(self._master, names[name], raw) for name, raw in kept.items()}
        return {subject: key for subject, key in found.items() if key is not None}
