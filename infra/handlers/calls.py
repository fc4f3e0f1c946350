"""All calls that tasks make of systems outside go through one place, which knows how each of these systems is."""

from infra.outside import Outside

_LONGEST_REST_S = 120.0


def calls_of_tasks(concurrency: int = 10) -> Outside:
    """Return what a worker that does so many tasks of a tenant at a time calls through.

    Shape: calls of one host leave some of these places free, so that a host that hangs does not keep the other tasks
    of its tenant waiting. How many run in all is bounded by the places alone: no tenant uses up another's.
    """
    of_one = max(1, concurrency * 3 // 4)
    return Outside("tasks", of_one=of_one, of_all=None, longest_rest_s=_LONGEST_REST_S)
