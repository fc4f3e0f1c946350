"""What lists of documents promise for any filter, range, words and order: a suite for stores, and its generator."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import EnumType
from functools import partial
from itertools import count
from typing import Any, Literal, NamedTuple, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from projections.catalog import of_role
from projections.documents import sort_text, words_of
from projections.fields import instant_text
from projections.layout import Documents
from projections.projection import Projection
from projections.readers import Bounds, CountRow
from projections.rows import Patch, Role, View, as_text
from projections.stores import OlderBuild
from schemas.envelope import TenantId, Topic
from tests.contracts.documents_reader import Store, patch
from tests.contracts.samples import ACME, BOLT

LISTED = [view for view in of_role(Role.DOCUMENTS) if view.layout.example]

_TEXTS = ("a", "b", "a b", "Ärger b", "c-a", "😀 b")
_NUMBERS = (0, 1, 1.5, 2, 10, -1, -10.25)
_DAYS = [datetime(2026, 1, day, 12, tzinfo=UTC) for day in (1, 2, 10, 31)]
_RUNS = count()

Row = Mapping[str, Any]


class Question(NamedTuple):
    """A question to a list: `ranges` has the bounds as documents have such values, None where they are open."""

    filters: Mapping[str, tuple[str, ...]]
    ranges: Mapping[str, tuple[Any, Any]]
    words: tuple[str, ...]
    sort: str
    descending: bool
    page: int

    def holds(self, layout: Documents, id_: str, row: Row) -> bool:
        texts = [id_, *(as_text(row.get(field)) for field in layout.search)]
        return (
            all(as_text(row.get(field)) in values for field, values in self.filters.items())
            and all(_within(layout, field, row.get(field), *bounds) for field, bounds in self.ranges.items())
            and set(self.words) <= set(words_of(texts))
        )

    def answer(self, layout: Documents, documents: Mapping[str, Row]) -> list[str]:
        """Return the ids of documents that the question is about, in its order."""
        found = [id_ for id_, row in documents.items() if self.holds(layout, id_, row)]

        def key(id_: str) -> Any:
            value = _value(layout, self.sort, documents[id_].get(self.sort))
            return (value is not None, *([] if value is None else [value]), id_)

        return sorted(found, key=key, reverse=self.descending)


def _value(layout: Documents, field: str, stored: Any) -> Any:
    if stored is None or stored == "":
        return None
    if field in layout.instants:
        return datetime.fromisoformat(stored)
    return float(stored) if field in layout.numbers else str(stored)


def _within(layout: Documents, field: str, stored: Any, first: Any, end: Any) -> bool:
    value = _value(layout, field, stored)
    bounds = [_value(layout, field, bound) for bound in (first, end)]
    return value is not None and (first is None or value >= bounds[0]) and (end is None or value < bounds[1])


def values_of(layout: Documents, field: str) -> some.SearchStrategy[Any]:
    """Return values that a field may have in documents: amounts are decimal texts, other numbers are numbers."""
    if field in layout.instants:
        return some.sampled_from(_DAYS).map(instant_text)
    if field in layout.numbers:
        return some.sampled_from(_NUMBERS) | some.sampled_from(_NUMBERS).map(lambda number: f"{number:.4f}")
    wanted = layout.values.get(field)
    if isinstance(wanted, EnumType):
        members: Mapping[str, Any] = wanted.__members__
        return some.sampled_from([str(member.value) for member in members.values()])
    if get_origin(wanted) is Literal:
        return some.sampled_from(get_args(wanted))
    return some.sampled_from(("error", "low") if wanted else _TEXTS)


def documents_of(layout: Documents) -> some.SearchStrategy[list[Row]]:
    names = dict.fromkeys([*layout.filters, *layout.sorts, *layout.search])
    fields = {name: values_of(layout, name) for name in names}
    return some.lists(some.fixed_dictionaries({}, optional=fields), min_size=2, max_size=12)


@some.composite
def questions(draw: some.DrawFn, layout: Documents) -> Question:
    filters = {}
    for field in draw(some.lists(some.sampled_from(layout.filters), unique=True, max_size=2)):
        values = draw(some.lists(values_of(layout, field).map(as_text), min_size=1, max_size=3, unique=True))
        filters[field] = tuple(map(str, values))
    ranges = {}
    for field in draw(some.lists(some.sampled_from(layout.ranges), unique=True, max_size=1)) if layout.ranges else ():
        text = partial(sort_text, layout, field)
        two = draw(some.lists(values_of(layout, field), min_size=2, max_size=2, unique_by=text))
        first, end = sorted(two, key=text)
        ranges[field] = draw(some.sampled_from([(first, end), (first, None), (None, end)]))
    words = draw(some.sampled_from([(), (), ("b",), ("a", "b"), ("arger",)])) if layout.search else ()
    sort = draw(some.sampled_from(layout.sorts))
    return Question(filters, ranges, words, sort, draw(some.booleans()), draw(some.integers(1, 4)))


def check_walk(
    layout: Documents,
    question: Question,
    mine: Sequence[Row],
    added: Sequence[Row],
    *,
    put: Callable[[str, str, Row], None],
    pages: Callable[[], Iterator[Sequence[str]]],
) -> None:
    """Walk all pages while documents are added: each that was there comes once, in order; of another tenant none.

    Shape: `put` takes whose a document is, "mine" or "theirs", its id and its fields. `pages` gives the ids of each.
    """
    there = {f"d{n:02}": row for n, row in enumerate(mine)}
    for id_, row in there.items():
        put("mine", id_, row)
        put("theirs", f"not-mine-{id_}", row)
    new = {f"e{n:02}": row for n, row in enumerate(added)}
    adding = iter(new.items())
    found: list[str] = []
    for page in pages():
        assert len(page) <= question.page
        found += page
        for id_, row in [one for one in [next(adding, None)] if one]:
            put("theirs", f"not-mine-{id_}", row)
            put("mine", id_, row)
    assert [id_ for id_ in found if id_ in there] == question.answer(layout, there)
    assert len(set(found)) == len(found)
    # what came meanwhile is there or not, and in its place
    assert found == [id_ for id_ in question.answer(layout, {**there, **new}) if id_ in found]


class ListsContract:
    """Inherit it in a class named Test…, override `open` and `place`."""

    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def place(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def store(self, place: str) -> Iterator[Store]:
        """Open a store in which nothing was made yet: making all views takes a server longer than asking them."""
        store = self.open(place, LISTED)
        yield store
        store.close()

    @staticmethod
    def made(store: Store, name: str) -> View:
        view = View(name, 1)
        store.create(view)
        store.switch(view)
        return view

    @pytest.mark.parametrize("view", LISTED, ids=lambda view: view.name)
    def test_walking_a_list_gives_each_match_once_in_order_while_documents_are_added(
        self, store: Store, view: Projection
    ) -> None:
        layout, build = view.documents, self.made(store, view.name)

        @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(mine=documents_of(layout), added=documents_of(layout), question=questions(layout))
        def walked(mine: list[Row], added: list[Row], question: Question) -> None:
            run = next(_RUNS)
            tenants = {"mine": TenantId(f"mine-{run}"), "theirs": TenantId(f"theirs-{run}")}

            def put(whose: str, id_: str, row: Row) -> None:
                store.apply(build, [Patch(tenants[whose], id_, "events", 1, row)])

            pages = partial(self._pages, store, view, question, tenants["mine"])
            check_walk(layout, question, mine, added, put=put, pages=pages)
            assert list(store.misplaced(build, tenants["mine"])) == []
            for field in layout.filters:
                self._check_facets(store, view, question, tenants["mine"], field)

        walked()

    @staticmethod
    def _pages(store: Store, view: Projection, question: Question, tenant: TenantId) -> Iterator[Sequence[str]]:
        layout, after = view.documents, None
        while True:
            page = store.find(
                view.name,
                tenant,
                **asked(layout, question),
                sort=question.sort,
                descending=question.descending,
                after=after,
                limit=question.page,
            )
            if not page:
                return
            yield [document.id for document in page]
            after = (sort_text(layout, question.sort, page[-1].fields.get(question.sort)), page[-1].id)

    @staticmethod
    def _check_facets(store: Store, view: Projection, question: Question, tenant: TenantId, field: str) -> None:
        """Compare counts with those of the documents that a list without bounds finds."""
        found = store.find(
            view.name,
            tenant,
            **asked(view.documents, question),
            sort=view.documents.sorts[0],
            descending=False,
            after=None,
            limit=1_000,
        )
        counts: dict[str, int] = {}
        for text in (as_text(document.fields.get(field)) for document in found):
            if text is not None:
                counts[text] = counts.get(text, 0) + 1
        wanted = [CountRow(text, rows) for text, rows in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]
        assert list(store.facets(view.name, tenant, field, **asked(view.documents, question))) == wanted

    # --- words ------------------------------------------------------------------------------------------------------

    @staticmethod
    def found(store: Store, *words: str, tenant: TenantId = ACME) -> list[str]:
        documents = store.find(
            "devices",
            tenant,
            filters={},
            words=words_of(words),
            sort="hostname",
            descending=False,
            after=None,
            limit=100,
        )
        return [document.id for document in documents]

    def test_a_document_is_found_by_all_of_the_words_in_its_fields_and_its_id(self, store: Store) -> None:
        store.apply(
            self.made(store, "devices"),
            [
                patch("a-1", 1, hostname="web.example", model="Größe 7", status="ONLINE"),
                patch("b-1", 1, hostname="webber", serial="ONLINE"),
                patch("a-1", 1, tenant=BOLT, hostname="web"),
            ],
        )
        assert self.found(store, "WEB") == ["a-1"]
        assert self.found(store, "grosse", "7") == ["a-1"]
        assert self.found(store, "1") == ["a-1", "b-1"]
        assert self.found(store, "1", "webber") == ["b-1"]
        # neither a part of a word, nor a field that is not searched
        assert self.found(store, "exam") == []
        assert self.found(store, "online") == ["b-1"]

    def test_words_follow_what_a_document_says(self, store: Store) -> None:
        self.made(store, "devices")
        store.apply(View("devices", 1), [patch("d", 1, hostname="old", model="x")])
        store.apply(View("devices", 1), [patch("d", 2, hostname="new")])
        store.apply(View("devices", 1), [patch("d", 1, lane="telemetry", last_seen_at=instant_text(_DAYS[0]))])
        assert self.found(store, "old") == []
        assert self.found(store, "new", "x") == ["d"]

    def test_a_device_that_was_only_heard_of_is_found_by_its_id(self, store: Store) -> None:
        devices = self.made(store, "devices")
        store.apply(devices, [patch("heard-of", 1, lane="telemetry", last_seen_at=instant_text(_DAYS[0]))])
        assert self.found(store, "heard") == ["heard-of"]

    def test_amounts_are_compared_as_numbers(self, store: Store) -> None:
        amounts = ("9.5000", "10.0000", "-3.0000", "100.0000")
        store.apply(self.made(store, "invoices"), [patch(amount, 1, total=amount) for amount in amounts])
        layout = next(view.documents for view in LISTED if view.name == "invoices")
        bounds = Bounds(sort_text(layout, "total", "9.5"), sort_text(layout, "total", "100"))
        found = store.find(
            "invoices", ACME, filters={}, ranges={"total": bounds}, sort="total", descending=True, after=None, limit=9
        )
        assert [document.id for document in found] == ["10.0000", "9.5000"]

    # --- builds of before -------------------------------------------------------------------------------------------

    def test_a_build_of_before_says_what_it_cannot_be_asked_and_goes_on_with_the_rest(self, place: str) -> None:
        before = Documents(filters=("status",), sorts=("hostname",))
        after = Documents(
            filters=("status", "os"), sorts=("hostname", "seen"), instants=("seen",), search=("hostname",)
        )
        view, rows = View("devices", 1), [patch("a", 1, hostname="x", status="ON", os="linux", seen="")]
        for number, layout in enumerate((before, after), 1):
            store = self.open(place, [Projection("devices", layout, (Topic.EVENTS,), None, lambda *_: ())])
            store.create(view)
            store.switch(view)
            store.apply(view, [one._replace(id=f"{one.id}{number}") for one in rows])
            if layout is before:
                store.close()
        known: dict[str, Any] = {"sort": "hostname", "descending": False, "after": None, "limit": 9}
        found = store.find("devices", ACME, filters={"status": "ON"}, **known)
        assert [document.id for document in found] == ["a1", "a2"]
        assert list(store.misplaced(view, ACME)) == []
        questions: Sequence[tuple[dict[str, Any], str]] = (
            ({"filters": {"os": "linux"}}, "filter_os"),
            ({"filters": {}, "sort": "seen"}, "sort_seen"),
            ({"filters": {}, "ranges": {"seen": Bounds("x")}}, "sort_seen"),
            ({"filters": {}, "words": ("x",)}, "search"),
        )
        for question, part in questions:
            with pytest.raises(OlderBuild, match="factline projections rebuild devices") as refused:
                store.find("devices", ACME, **{**known, **question})
            assert refused.value.part == part
        # a rebuild has it all
        new = View("devices", 2)
        store.create(new)
        store.apply(new, rows)
        store.switch(new)
        found = store.find("devices", ACME, filters={"os": "linux"}, words=("x",), **known)
        assert [document.id for document in found] == ["a"]
        store.drop(view)
        store.close()


def asked(layout: Documents, question: Question) -> dict[str, Any]:
    """Return a question as a reader takes it: a bound is a text to sort by."""
    ranges = {
        field: Bounds(*(sort_text(layout, field, bound) for bound in bounds))
        for field, bounds in question.ranges.items()
    }
    filters = {name: values if len(values) > 1 else values[0] for name, values in question.filters.items()}
    return {"filters": filters, "ranges": ranges, "words": question.words}
