"""Tests say who may ask by writing documents of keys and tenants."""

from collections.abc import Mapping, Sequence

from infra.sqlite.documents import SqliteDocuments
from projections.credentials import NO_QUOTA, Credential, Part, Quota, RateLimits, TrustedIssuer
from projections.layout import Documents
from projections.projection import Projection
from projections.rows import Document
from projections.sign_in import Provider
from schemas.envelope import StreamId, TenantId, Topic

ASKING = Projection(
    name="callers",
    layout=Documents(sorts=("issued_at",)),
    topics=(Topic.EVENTS,),
    events=(),
    project=lambda _envelope, _event: (),
)
"""Documents of those who may ask, beside the views of the tenant: a list of its keys has none of them."""


class KeysOfDocuments:
    """Credentials as `issue_key` and `put` wrote them."""

    def __init__(self, documents: SqliteDocuments) -> None:
        self._documents = documents

    def find(self, key_id: str) -> Sequence[Credential]:
        view = self._documents.live(ASKING.name)
        tenants = self._documents.tenants(view) if view else ()
        found = [self._documents.get(ASKING.name, tenant_id, key_id) for tenant_id in tenants]
        return [self._credential(one) for one in found if one]

    def of_tenant(self, tenant_id: TenantId) -> Sequence[Credential]:
        found = self._documents.find(
            ASKING.name, tenant_id, filters={}, sort="issued_at", descending=False, after=None, limit=1_000
        )
        return [self._credential(one) for one in found]

    def tenants(self) -> Mapping[TenantId, str]:
        view = self._documents.live("tenants")
        found = self._documents.tenants(view) if view else ()
        return {tenant_id: str(self.status_of(tenant_id)) for tenant_id in found}

    def issuers(self, tenant_id: TenantId) -> Sequence[TrustedIssuer]:
        del tenant_id
        return ()

    def sign_in_providers(self, tenant_id: TenantId) -> Sequence[Provider]:
        del tenant_id
        return ()

    def of_stream(self, tenant_id: TenantId, stream: StreamId) -> Sequence[Part]:
        del tenant_id, stream
        return ()

    def status_of(self, tenant_id: TenantId) -> str | None:
        found = self._documents.get("tenants", tenant_id, tenant_id)
        return found.fields.get("status") if found else None

    def quota_of(self, tenant_id: TenantId) -> Quota:
        found = self._documents.get("tenants", tenant_id, tenant_id)
        quota = found.fields.get("quota") if found else None
        return Quota(**{**quota, "requests": RateLimits(**quota.get("requests", {}))}) if quota else NO_QUOTA

    def _credential(self, found: Document) -> Credential:
        of = found.fields
        since = str(of.get("rotated_at") or of.get("issued_at", ""))
        scopes, revoked = tuple(of.get("scopes", ())), bool(of.get("revoked"))
        limits = RateLimits(**of["limits"]) if "limits" in of else None
        return Credential(found.tenant_id, found.id, str(of.get("secret_sha256", "")), since, scopes, revoked, limits)
