"""A tenant registers here which systems outside send their changes; the secret that they show is shown once."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict

from domain.integration.connector import (
    ConnectorFormat,
    ConnectorId,
    RegisterConnector,
    RotateConnectorSecret,
    connector_stream,
)
from domain.integration.personal import FieldName, PersonalFields
from projections.integration.connectors import PROJECTION as CONNECTORS
from read_api.edge.asking import Allowed
from read_api.edge.auth import Caller
from read_api.edge.responses import Json, answered
from schemas.envelope import TenantId
from schemas.standard_webhooks import new_secret
from schemas.values import Name
from streams.intake.http.commands import Gate
from streams.intake.http.described import described_body
from streams.intake.http.giving import given, position_in
from streams.intake.http.provider_keys import SecretBox
from streams.intake.http.senders import address_of
from streams.intake.http.tenants import read_body

_SAID = {
    "connector_id": "crm",
    "tool_type": "postgresql",
    "format": "debezium",
    "personal_fields": ["email", "name"],
    "person_field": "customer_id",
}
_SECRET = {"address": "/v1/connectors/acme.crm/events", "secret": "whsec_…", "position": "events/0/12"}

_Managing = Annotated[Caller, Depends(Allowed("integration:write", records="events"))]
_Connector = Annotated[ConnectorId, Path(description="which connector", examples=["crm"])]


class _Connect(BaseModel):
    model_config = ConfigDict(extra="forbid")
    connector_id: ConnectorId
    tool_type: Name
    format: ConnectorFormat
    personal_fields: PersonalFields = ()
    person_field: FieldName | None = None


def connectors_router(gate: Gate, box: SecretBox) -> APIRouter:
    router = APIRouter(tags=["commands"])

    async def give(
        request: Request, caller: Caller, command: RegisterConnector | RotateConnectorSecret, secret: str
    ) -> dict[str, str | None]:
        reply = await given(request, gate, caller, command)
        return {
            "connector_id": command.connector_id,
            "address": f"/v1/{CONNECTORS.name}/{address_of(caller.tenant_id, command.connector_id)}/events",
            "secret": secret,
            "position": position_in(request, reply),
        }

    async def sealed(tenant_id: TenantId, connector_id: str, secret: str) -> str:
        return await asyncio.to_thread(box.seal, tenant_id, connector_stream(connector_id), secret)

    @router.post(
        f"/v1/{CONNECTORS.name}",
        summary="Let a system outside send its changes; its address, and the secret that it shows, this once",
        description="The system sends to the address, signed as the Standard Webhooks specification says, or with the"
        " secret as `Authorization: Bearer` where it cannot sign. A body of the format `webhook` is one message; one of"
        " `debezium` is a change of a row, or an array of up to 500.",
        status_code=201,
        responses=answered({**_SAID, **_SECRET}, "Registered", status=201),
        openapi_extra=described_body(_Connect, _SAID),
    )
    async def register(request: Request, caller: _Managing) -> Response:
        wanted = await read_body(request, _Connect)
        secret = new_secret()
        command = RegisterConnector(**dict(wanted), sealed=await sealed(caller.tenant_id, wanted.connector_id, secret))
        given = await give(request, caller, command, secret)
        return Json({**wanted.model_dump(mode="json"), **given}, status_code=201)

    @router.post(
        f"/v1/{CONNECTORS.name}/{{connector_id}}/secret",
        summary="Another secret for a connector, shown this once; the one before is forgotten",
        status_code=201,
        responses=answered({"connector_id": "crm", **_SECRET}, "Rotated", status=201),
    )
    async def rotate(connector_id: _Connector, request: Request, caller: _Managing) -> Response:
        secret = new_secret()
        command = RotateConnectorSecret(
            connector_id=connector_id, sealed=await sealed(caller.tenant_id, connector_id, secret)
        )
        return Json(await give(request, caller, command, secret), status_code=201)

    return router
