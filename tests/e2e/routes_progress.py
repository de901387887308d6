"""The example of the route by which a host tells its progress; progress_routes_test.py says what it does."""
from routes_objects import Example, example


def progress(step="fetching_inputs", done=5, total=10):
    body = {"step": step, "done_bytes": done}
    return body if total is None else {**body, "total_bytes": total}


@example
def putLeaseProgress(t):
    lease = t.on_host("preparing")
    return Example(t.farm, lease.path + "/progress", progress())
