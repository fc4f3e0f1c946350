"""One valid example of every fact of the operations context."""

from domain.operations import served

SERVED = served.ApiRequestServed(key_id="k1", route="GET /v1/devices/{id}", status=200, requests=3, ms=12)
SERVED_RECORD = served.ServedRecord(
    served=(
        served.ServedRequests(after_us=0, key_id="k1", route="GET /v1/devices/{id}", status=200, requests=3, ms=12),
        served.ServedRequests(after_us=5, key_id="k2", route="POST /v1/telemetry", status=429, requests=1, ms=0),
    )
)
