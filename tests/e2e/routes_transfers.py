"""The examples of the routes by which transfers are seen and go on; progress_routes_test.py and renter_routes_test.py
say what they do."""
import hashlib

from routes_objects import CONTENT, Example, example


def progress(step="fetching_inputs", done=5, total=10):
    body = {"step": step, "done_bytes": done}
    return body if total is None else {**body, "total_bytes": total}


@example
def putLeaseProgress(t):
    lease = t.on_host("preparing")
    return Example(t.farm, lease.path + "/progress", progress())


@example
def listArtifacts(t):
    t.new_artifact()
    return Example(t.owner, f"/v1/artifacts?sha256={hashlib.sha256(CONTENT).hexdigest()}")


@example
def getMissingParts(t):
    return Example(t.owner, f"/v1/artifacts/{t.new_artifact('stated')}/missing-parts")
