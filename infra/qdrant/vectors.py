"""Vectors are kept in Qdrant: in a folder of this process, by its local mode, or on a server."""

import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

T = TypeVar("T")

_DISTANCES: Mapping[str, str] = {"cosine": "Cosine", "dot": "Dot", "euclid": "Euclid"}
_IDS = uuid.UUID("6f0d3a52-7b0e-5c0f-9a64-0c1d1f6b2b7e")
"""Ids of documents are texts; those of points are made of them."""

_TIMEOUT_S = 60
_CALLS_OF_A_SERVER = 4
_MODEL = "model"


class VectorsUnavailable(Exception):  # noqa: N818
    """Qdrant did not answer, or not as it should; a retry may help."""


class VectorsRefused(Exception):  # noqa: N818
    """What was asked for cannot be; the message says why. A retry gives the same answer."""


class QdrantServer(NamedTuple):
    url: str
    api_key: str | None = None


class Point(NamedTuple):
    """A document and where it stands. Shape: `data` are fields that a search may be limited by."""

    id: str
    vector: Sequence[float]
    text: str | None
    data: Mapping[str, Any]


class Found(NamedTuple):
    """A document that was found. Units: a greater `score` is nearer, but for the distance `euclid`."""

    id: str
    score: float
    text: str | None
    data: Mapping[str, Any]


class Kind(NamedTuple):
    """What vectors a collection takes. Shape: `distance` is cosine, dot or euclid."""

    model: str
    dimensions: int
    distance: str


class QdrantVectors:
    """The vectors of all tenants, each collection of each tenant apart from all others.

    Shape: `at` is a server, or a folder of which this process makes a database; None where neither was named. Each
    collection of a tenant is one of Qdrant's, named after both, so no search sees more than it. Qdrant is opened with
    the first call, which takes a moment. Its methods wait for the answer, so they belong into `threads`: one for a
    folder, whose calls are done one at a time. Calls that wait there hold up nobody else.
    """

    def __init__(self, at: QdrantServer | Path | None) -> None:
        self._at = at
        self.threads = ThreadPoolExecutor(1 if isinstance(at, Path) else _CALLS_OF_A_SERVER, "vectors")
        self._client: QdrantClient | None = None
        self._lock = Lock()

    def upsert(self, tenant_id: str, collection: str, kind: Kind, points: Sequence[Point]) -> None:
        """Put points in, each in the place of the one with its id; make the collection where it is not there yet.

        Raises: VectorsRefused, the collection has vectors of another kind; VectorsUnavailable, safe to retry.
        """

        def do(client: "QdrantClient") -> None:
            from qdrant_client import models  # noqa: PLC0415 - see _open

            name = name_of(tenant_id, collection)
            self._make(client, name, kind)
            found = kind_of(client, name)
            if found != kind:
                raise VectorsRefused(f"collection {collection} has vectors of {_words(found)}, not of {_words(kind)}")
            structs = [
                models.PointStruct(
                    id=_point_id(point.id),
                    vector=list(point.vector),
                    payload={"id": point.id, "text": point.text, "data": dict(point.data)},
                )
                for point in points
            ]
            client.upsert(name, structs, wait=True)

        self._call(do)

    def delete(self, tenant_id: str, collection: str, ids: Sequence[str]) -> None:
        """Take points out; what is not there is taken for done. Raises: VectorsUnavailable, safe to retry."""

        def do(client: "QdrantClient") -> None:
            name = name_of(tenant_id, collection)
            if client.collection_exists(name):
                client.delete(name, [_point_id(id_) for id_ in ids], wait=True)

        self._call(do)

    def kind(self, tenant_id: str, collection: str) -> Kind:
        """Return what vectors a collection takes.

        Raises: VectorsRefused, nothing was put in yet; VectorsUnavailable, safe to retry.
        """

        def do(client: "QdrantClient") -> Kind:
            name = name_of(tenant_id, collection)
            if not client.collection_exists(name):
                raise VectorsRefused(f"collection {collection} has no documents: put some in with PutDocuments")
            return kind_of(client, name)

        return self._call(do)

    def search(
        self, tenant_id: str, collection: str, vector: Sequence[float], *, limit: int, where: Mapping[str, Any]
    ) -> Sequence[Found]:
        """Return the nearest documents, the nearest first, of those whose data has these values.

        Raises: VectorsRefused, as `kind`, or the vector is of another size; VectorsUnavailable, safe to retry.
        """
        kind = self.kind(tenant_id, collection)
        if len(vector) != kind.dimensions:
            raise VectorsRefused(f"the vector has {len(vector)} numbers; those of {collection} have {kind.dimensions}")

        def do(client: "QdrantClient") -> Sequence[Found]:
            from qdrant_client import models  # noqa: PLC0415 - see _open

            must: list[Any] = [
                models.FieldCondition(key=f"data.{name}", match=models.MatchValue(value=value))
                for name, value in where.items()
            ]
            answer = client.query_points(
                name_of(tenant_id, collection),
                query=list(vector),
                query_filter=models.Filter(must=must) if must else None,
                limit=limit,
                with_payload=True,
            )
            return [_found(point.payload or {}, point.score) for point in answer.points]

        return self._call(do)

    def close(self) -> None:
        self.threads.shutdown(cancel_futures=True)
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _call(self, do: "Callable[[QdrantClient], T]") -> T:
        with self._lock:
            client = self._client = self._client or _open(self._at)
            if isinstance(self._at, Path):
                return do(client)
        return _asked(client, do)

    def _make(self, client: "QdrantClient", name: str, kind: Kind) -> None:
        from qdrant_client import models  # noqa: PLC0415 - see _open
        from qdrant_client.http.exceptions import UnexpectedResponse  # noqa: PLC0415

        if client.collection_exists(name):
            return
        size = models.VectorParams(size=kind.dimensions, distance=models.Distance(_DISTANCES[kind.distance]))
        try:
            client.create_collection(name, vectors_config=size, metadata={_MODEL: kind.model})
        except UnexpectedResponse as error:
            # another worker may have made it meanwhile
            if error.status_code != HTTPStatus.CONFLICT:
                raise


def name_of(tenant_id: str, collection: str) -> str:
    """Return how Qdrant calls a tenant's collection. Shape: no tenant's id has the character between."""
    return f"{tenant_id}~{collection}"


def kind_of(client: "QdrantClient", name: str) -> Kind:
    """Return what is said of a collection. Raises: VectorsRefused, somebody else made it."""
    config = client.get_collection(name).config
    size, model = config.params.vectors, (config.metadata or {}).get(_MODEL)
    if size is None or isinstance(size, dict) or model is None:
        raise VectorsRefused(f"{name} in Qdrant was made by somebody else, or by a Qdrant before 1.16")
    return Kind(str(model), size.size, size.distance.value.lower())


def _open(at: QdrantServer | Path | None) -> "QdrantClient":
    """Raises: VectorsRefused, the library is not installed, or nobody said where Qdrant is; VectorsUnavailable."""
    if find_spec("qdrant_client") is None:
        raise VectorsRefused("vectors need Qdrant's library: pip install 'factline[vectors]'")
    if at is None:
        raise VectorsRefused("this worker knows no Qdrant; say in FACTLINE_QDRANT_URL where its server is")
    # a second of every start: only where there is a task for it
    from qdrant_client import QdrantClient  # noqa: PLC0415

    if isinstance(at, QdrantServer):
        return QdrantClient(at.url, api_key=at.api_key, timeout=_TIMEOUT_S, check_compatibility=False)
    try:
        return QdrantClient(path=str(at), force_disable_check_same_thread=True)
    except (RuntimeError, OSError, ValueError) as error:
        raise VectorsUnavailable(f"the vectors in {at} cannot be opened: {error}") from error


def _asked(client: "QdrantClient", do: "Callable[[QdrantClient], T]") -> T:
    """Return what a server answers. Raises: VectorsRefused; VectorsUnavailable."""
    from qdrant_client.common.client_exceptions import QdrantException  # noqa: PLC0415
    from qdrant_client.http.exceptions import ApiException, UnexpectedResponse  # noqa: PLC0415

    try:
        return do(client)
    except UnexpectedResponse as error:
        status = error.status_code or HTTPStatus.INTERNAL_SERVER_ERROR
        said = f"Qdrant answered {status}: {error.content[:300].decode(errors='replace')}"
        if status < HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.TOO_MANY_REQUESTS:
            raise VectorsRefused(said) from error
        raise VectorsUnavailable(said) from error
    except (ApiException, QdrantException) as error:
        raise VectorsUnavailable(f"Qdrant did not answer: {error or type(error).__name__}") from error


def _point_id(id_: str) -> str:
    return str(uuid.uuid5(_IDS, id_))


def _found(payload: Mapping[str, Any], score: float) -> Found:
    return Found(payload["id"], score if math.isfinite(score) else 0.0, payload.get("text"), payload.get("data") or {})


def _words(kind: Kind) -> str:
    return f"{kind.model} ({kind.dimensions} numbers, {kind.distance})"
