"""What every documents store promises, as a suite: subclass DocumentsContract and say how the store is opened."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

import pytest

from projections.documents import sort_text
from projections.layout import Documents
from projections.projection import Projection
from projections.readers import CountRow, DocumentsReader
from projections.rows import Document, Patch, View, as_text
from projections.stores import ViewWriter, WriteRefused
from schemas.envelope import TenantId, Topic
from tests.contracts.samples import ACME, BOLT, projection

FILTERS, SORTS = ("status", "os", "on", "count"), ("hostname", "count", "last_seen_at")
# a view that the product does not have
BADGES_LAYOUT = Documents(filters=("colour",), sorts=("name", "level"), numbers=("level",))
PROJECTIONS = (
    projection("devices", Patch, filters=FILTERS, sorts=SORTS),
    Projection("badges", BADGES_LAYOUT, (Topic.EVENTS,), None, lambda _envelope, _event: ()),
)
V1, V2 = View("devices", 1), View("devices", 2)
BADGES = View("badges", 1)


class Store(ViewWriter, DocumentsReader, Protocol):
    def close(self) -> None: ...


def patch(
    id_: str,
    order: int,
    *,
    lane: Literal["events", "telemetry"] = "events",
    tenant: TenantId = ACME,
    **fields: Any,
) -> Patch:
    return Patch(tenant, id_, lane, order, fields)


class DocumentsContract:
    """Inherit it in a class named Test…, override `open` and `place`."""

    @staticmethod
    def open(place: str, projections: Sequence[Projection]) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def place(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def bare(self, place: str) -> Iterator[Store]:
        """Open a store in which nothing was made yet."""
        store = self.open(place, PROJECTIONS)
        yield store
        store.close()

    @pytest.fixture
    def store(self, bare: Store) -> Store:
        for view in (V1, BADGES):
            bare.create(view)
            bare.switch(view)
        return bare

    @staticmethod
    def write(store: Store, *patches: Patch, view: View = V1) -> None:
        store.apply(view, patches)

    # --- patches ----------------------------------------------------------------------------------------------------

    def test_a_patch_replaces_its_fields_and_leaves_the_others(self, store: Store) -> None:
        self.write(store, patch("web-1", 1, hostname="a", os="linux", tags={"x": 1, "y": 2}))
        self.write(store, patch("web-1", 2, hostname="b", tags={"z": 3}))
        wanted = Document(ACME, "web-1", 2, {"hostname": "b", "os": "linux", "tags": {"z": 3}})
        assert store.get("devices", ACME, "web-1") == wanted

    def test_patches_of_one_batch_add_up_in_their_order(self, store: Store) -> None:
        self.write(
            store,
            patch("web-1", 1, hostname="a", os="linux"),
            patch("web-2", 1, hostname="c"),
            patch("web-1", 2, hostname="b"),
            patch("web-1", 3, status="ONLINE"),
        )
        wanted = Document(ACME, "web-1", 3, {"hostname": "b", "os": "linux", "status": "ONLINE"})
        assert store.get("devices", ACME, "web-1") == wanted
        assert store.get("devices", ACME, "web-2") == Document(ACME, "web-2", 1, {"hostname": "c"})

    def test_a_patch_that_is_not_past_its_lane_changes_nothing(self, store: Store) -> None:
        self.write(store, patch("web-1", 4, hostname="a"))
        for order in (1, 3, 4):
            self.write(store, patch("web-1", order, hostname="old", os="old"))
        assert store.get("devices", ACME, "web-1") == Document(ACME, "web-1", 4, {"hostname": "a"})

    def test_a_redelivered_batch_with_news_at_its_end_takes_only_the_news(self, store: Store) -> None:
        first = [patch("web-1", 1, hostname="a", os="linux"), patch("web-1", 2, os="windows")]
        self.write(store, *first)
        self.write(store, *first, patch("web-1", 3, status="ONLINE"))
        wanted = Document(ACME, "web-1", 3, {"hostname": "a", "os": "windows", "status": "ONLINE"})
        assert store.get("devices", ACME, "web-1") == wanted

    def test_old_patches_before_a_new_one_in_a_batch_change_nothing_themselves(self, store: Store) -> None:
        self.write(store, patch("web-1", 5, hostname="a"))
        self.write(store, patch("web-1", 4, hostname="old", os="old"), patch("web-1", 6, status="ONLINE"))
        wanted = Document(ACME, "web-1", 6, {"hostname": "a", "status": "ONLINE"})
        assert store.get("devices", ACME, "web-1") == wanted

    @pytest.mark.parametrize("together", [True, False])
    def test_the_lanes_have_orders_of_their_own_and_the_version_is_that_of_events(
        self, store: Store, *, together: bool
    ) -> None:
        patches = [
            patch("web-1", 2, hostname="a"),
            patch("web-1", 900, lane="telemetry", last_seen_at="2026-01-31T12:00:00Z"),
            patch("web-1", 3, os="linux"),
            patch("web-1", 899, lane="telemetry", last_seen_at="2026-01-31T11:00:00Z"),
        ]
        for batch in [patches] if together else [[one] for one in patches]:
            self.write(store, *batch)
        fields = {"hostname": "a", "os": "linux", "last_seen_at": "2026-01-31T12:00:00Z"}
        assert store.get("devices", ACME, "web-1") == Document(ACME, "web-1", 3, fields)

    def test_a_document_of_telemetry_alone_has_version_0_and_takes_the_first_event(self, store: Store) -> None:
        self.write(store, patch("web-1", 900, lane="telemetry", last_seen_at="x"))
        assert store.get("devices", ACME, "web-1") == Document(ACME, "web-1", 0, {"last_seen_at": "x"})
        self.write(store, patch("web-1", 1, hostname="a"))
        wanted = Document(ACME, "web-1", 1, {"last_seen_at": "x", "hostname": "a"})
        assert store.get("devices", ACME, "web-1") == wanted

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "ü 'x' \"y\" \\ \n 🚀",
            0,
            -1,
            2**63 - 1,
            -(2**63),
            0.1,
            1e300,
            True,
            False,
            None,
            [],
            {},
            [1, {"a": [None]}],
        ],
    )
    def test_a_field_comes_back_exactly_as_written(self, store: Store, value: Any) -> None:
        self.write(store, patch("web-1", 1, anything=value))
        found = store.get("devices", ACME, "web-1")
        assert found == Document(ACME, "web-1", 1, {"anything": value})
        assert type(found.fields["anything"]) is type(value)

    def test_a_field_may_be_called_like_a_word_of_the_stores_language(self, store: Store) -> None:
        fields: Mapping[str, Any] = {"id": "x", "tenant_id": "y", "order": 1, "a.b": 2, "$set": 3, "_id": 4, "": 5}
        store.apply(V1, [Patch(ACME, "web-1", "events", 1, fields)])
        assert store.get("devices", ACME, "web-1") == Document(ACME, "web-1", 1, fields)

    # --- get --------------------------------------------------------------------------------------------------------

    def test_where_nothing_is_live_every_answer_is_empty(self, bare: Store) -> None:
        self._nothing_is_found(bare)

    def test_where_nothing_was_written_every_answer_is_empty(self, store: Store) -> None:
        self._nothing_is_found(store)

    def test_another_tenants_documents_are_never_an_answer(self, store: Store) -> None:
        self.write(store, patch("web-1", 1, tenant=BOLT, hostname="a", status="ONLINE"))
        self._nothing_is_found(store)

    def _nothing_is_found(self, store: Store) -> None:
        assert store.get("devices", ACME, "web-1") is None
        assert self.find(store) == []
        assert self.find(store, filters={"status": "ONLINE"}, after=("", "")) == []
        assert list(store.facets("devices", ACME, "status")) == []

    def test_two_tenants_with_documents_of_one_id_see_their_own(self, store: Store) -> None:
        self.write(store, patch("web-1", 1, hostname="mine"), patch("web-1", 7, tenant=BOLT, hostname="theirs"))
        assert store.get("devices", ACME, "web-1") == Document(ACME, "web-1", 1, {"hostname": "mine"})
        assert store.get("devices", BOLT, "web-1") == Document(BOLT, "web-1", 7, {"hostname": "theirs"})

    # --- find -------------------------------------------------------------------------------------------------------

    @staticmethod
    def find(
        store: Store,
        *,
        tenant: TenantId = ACME,
        filters: Mapping[str, str] | None = None,
        sort: str = "hostname",
        descending: bool = False,
        after: tuple[str, str] | None = None,
        limit: int = 100,
    ) -> list[str]:
        found = store.find(
            "devices", tenant, filters=filters or {}, sort=sort, descending=descending, after=after, limit=limit
        )
        assert all(document.tenant_id == tenant for document in found)
        assert all(document == store.get("devices", tenant, document.id) for document in found)
        return [document.id for document in found]

    def test_documents_are_in_order_of_the_sort_field_as_text_then_of_the_id(self, store: Store) -> None:
        names = {"d": "b", "c": "a", "a": "B", "b": "a", "e": "ä", "f": "\U0001f680", "g": "\uffee"}
        self.write(store, *(patch(id_, 1, hostname=name) for id_, name in names.items()))
        assert self.find(store) == ["a", "b", "c", "d", "e", "g", "f"]
        assert self.find(store, descending=True) == ["f", "g", "e", "d", "c", "b", "a"]
        assert self.find(store, limit=2) == ["a", "b"]

    def test_numbers_sort_as_their_text(self, store: Store) -> None:
        self.write(store, *(patch(f"d{n}", 1, count=n) for n in (9, 10, 100)))
        assert self.find(store, sort="count") == ["d10", "d100", "d9"]

    def test_a_document_without_the_sort_field_sorts_as_empty_text(self, store: Store) -> None:
        self.write(store, patch("c", 1, hostname=""), patch("a", 1, hostname="x"), patch("b", 1, os="linux"))
        self.write(store, patch("d", 1, hostname=None))
        assert self.find(store) == ["b", "c", "d", "a"]
        assert self.find(store, after=("", "b")) == ["c", "d", "a"]
        assert self.find(store, after=("", "d"), descending=True) == ["c", "b"]

    def test_a_changed_sort_field_moves_the_document(self, store: Store) -> None:
        self.write(store, patch("a", 1, hostname="1"), patch("b", 1, hostname="2"))
        self.write(store, patch("a", 2, hostname="3"))
        assert self.find(store) == ["b", "a"]

    def test_filters_are_equal_text_and_all_of_them_hold(self, store: Store) -> None:
        self.write(
            store,
            patch("a", 1, status="ONLINE", os="linux"),
            patch("b", 1, status="ONLINE", os="windows"),
            patch("c", 1, status="OFFLINE", os="linux"),
            patch("d", 1, os="linux"),
        )
        assert self.find(store, filters={"status": "ONLINE"}) == ["a", "b"]
        assert self.find(store, filters={"status": "ONLINE", "os": "linux"}) == ["a"]
        assert self.find(store, filters={"status": "online"}) == []
        assert self.find(store, filters={"status": "ONLIN"}) == []
        assert self.find(store, filters={"status": ""}) == []

    def test_numbers_and_truth_are_filtered_as_text(self, store: Store) -> None:
        self.write(store, patch("a", 1, on=True, count=10), patch("b", 1, on=False, count=1.5))
        assert self.find(store, filters={"on": "true"}) == ["a"]
        assert self.find(store, filters={"on": "false", "count": "1.5"}) == ["b"]
        assert self.find(store, filters={"count": "10"}) == ["a"]

    def test_a_changed_filter_field_moves_the_document(self, store: Store) -> None:
        self.write(store, patch("a", 1, status="ONLINE"))
        self.write(store, patch("a", 2, status="OFFLINE"))
        assert self.find(store, filters={"status": "ONLINE"}) == []
        assert self.find(store, filters={"status": "OFFLINE"}) == ["a"]

    @pytest.mark.parametrize("descending", [False, True])
    @pytest.mark.parametrize("filters", [{}, {"os": "linux"}, {"os": "linux", "status": "ONLINE"}])
    @pytest.mark.parametrize("sort", SORTS)
    def test_pages_give_each_document_once_and_never_anothers(
        self, store: Store, sort: str, filters: Mapping[str, str], *, descending: bool
    ) -> None:
        mine = [
            patch(
                f"d{n:02}", 1, hostname=f"h{n % 4}", count=n % 3, os=("linux", "windows")[n % 5 == 0], status="ONLINE"
            )
            for n in range(23)
        ]
        theirs = [one._replace(tenant_id=BOLT, id=f"theirs-{one.id}") for one in mine]
        self.write(store, *mine, *theirs)
        wanted = [one for one in mine if all(one.fields[field] == value for field, value in filters.items())]
        keys = sorted(((as_text(one.fields.get(sort)) or "", one.id) for one in wanted), reverse=descending)
        found: list[tuple[str, str]] = []
        while True:
            page = store.find(
                "devices",
                ACME,
                filters=filters,
                sort=sort,
                descending=descending,
                after=found[-1] if found else None,
                limit=3,
            )
            if not page:
                break
            assert len(page) <= 3
            assert all(document.tenant_id == ACME for document in page)
            found.extend((as_text(document.fields.get(sort)) or "", document.id) for document in page)
        assert found == keys

    def test_a_field_that_is_no_filter_or_sort_field_is_refused(self, store: Store) -> None:
        for field in ("hostname", "nothing", "id", "1=1; --"):
            with pytest.raises(ValueError, match="no filter"):
                self.find(store, filters={field: "x"})
            with pytest.raises(ValueError, match="no filter"):
                store.facets("devices", ACME, field)
        for field in ("status", "nothing", "", "1=1; --"):
            with pytest.raises(ValueError, match="no sort field"):
                self.find(store, sort=field)

    # --- facets -----------------------------------------------------------------------------------------------------

    def test_facets_count_the_documents_of_each_value_greatest_first(self, store: Store) -> None:
        statuses = ["b", "a", "c", "c", "b", "c"]
        self.write(store, *(patch(f"d{n}", 1, status=status) for n, status in enumerate(statuses)))
        self.write(store, patch("without", 1, os="linux"), patch("theirs", 1, tenant=BOLT, status="a"))
        found = store.facets("devices", ACME, "status")
        assert list(found) == [CountRow("c", 3), CountRow("b", 2), CountRow("a", 1)]

    def test_facets_name_values_as_filters_take_them(self, store: Store) -> None:
        self.write(store, patch("a", 1, on=True, count=7), patch("b", 1, on=True), patch("c", 1, on=False))
        assert list(store.facets("devices", ACME, "on")) == [CountRow("true", 2), CountRow("false", 1)]
        assert list(store.facets("devices", ACME, "count")) == [CountRow("7", 1)]

    # --- numbers ----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("descending", [False, True])
    def test_a_field_of_numbers_sorts_and_is_paged_as_numbers(self, store: Store, *, descending: bool) -> None:
        levels = (0, 9, 10, 100, -1, -10, 2.5, -2.5, 1e300, -1e300, 5e-324, 2**53, None, 9, 1e-9)
        badges = [patch(f"b{n:02}", 1, name="x", level=level) for n, level in enumerate(levels)]
        self.write(store, *badges, patch("b99", 1, name="x"), patch("b00", 1, tenant=BOLT, level=3), view=BADGES)
        wanted = sorted(
            (
                *((-float("inf") if level is None else level, f"b{n:02}") for n, level in enumerate(levels)),
                (-float("inf"), "b99"),
            ),
            reverse=descending,
        )
        found: list[Document] = []
        while page := store.find(
            "badges",
            ACME,
            filters={},
            sort="level",
            descending=descending,
            after=(sort_text(BADGES_LAYOUT, "level", found[-1].fields.get("level")), found[-1].id) if found else None,
            limit=4,
        ):
            found.extend(page)
        assert [document.id for document in found] == [id_ for _, id_ in wanted]

    def test_what_is_no_number_in_a_field_of_numbers_is_refused(self, store: Store) -> None:
        with pytest.raises(WriteRefused):
            self.write(store, patch("b1", 1, level=1), patch("b2", 1, level="many"), view=BADGES)
        assert list(store.scan(BADGES, ACME)) == []

    # --- builds -----------------------------------------------------------------------------------------------------

    def test_an_open_reader_sees_a_new_build_from_the_switch_on_and_not_before(self, store: Store) -> None:
        self.write(store, patch("a", 1, hostname="old", status="x"))
        store.create(V2)
        self.write(store, patch("b", 1, hostname="new", status="y"), view=V2)
        assert self.find(store) == ["a"]
        assert store.get("devices", ACME, "b") is None
        store.switch(V2)
        store.drop(V1)
        assert self.find(store) == ["b"]
        assert store.get("devices", ACME, "a") is None
        assert list(store.facets("devices", ACME, "status")) == [CountRow("y", 1)]
