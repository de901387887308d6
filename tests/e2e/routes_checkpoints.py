"""The examples of the routes for checkpoints, which routes_objects.py has of all others."""
import hashlib

from routes_objects import CONTENT, Example, example

NAME = hashlib.sha256(CONTENT).hexdigest()


def saved(t):
    """A running lease whose job has a checkpoint of one file."""
    lease = t.on_host(checkpoint={"path": "saved"})
    lease.save("state", CONTENT)
    return lease


@example
def listJobCheckpoints(t):
    return Example(t.owner, f"/v1/jobs/{saved(t).job}/checkpoints")


@example
def getJobCheckpoint(t):
    return Example(t.owner, f"/v1/jobs/{saved(t).job}/checkpoints/1")


@example
def getJobCheckpointChunk(t):
    return Example(t.owner, f"/v1/jobs/{saved(t).job}/checkpoint-chunks/{NAME}")


@example
def getLeaseCheckpoint(t):
    return Example(t.farm, saved(t).path + "/checkpoint")


@example
def commitLeaseCheckpoint(t):
    lease = saved(t)
    return Example(t.farm, lease.path + "/checkpoint", {"lease_epoch": lease.epoch,
                                                        "entries": [lease.file_entry("again", CONTENT)]})


@example
def beginLeaseCheckpoint(t):
    lease = saved(t)
    return Example(t.farm, lease.path + "/checkpoint/begin", {"lease_epoch": lease.epoch, "chunks": ["0" * 64]})


@example
def noteLeaseCheckpointProblem(t):
    lease = saved(t)
    return Example(t.farm, lease.path + "/checkpoint/problem", {"lease_epoch": lease.epoch, "problem": "too large"})


@example
def getLeaseCheckpointChunk(t):
    return Example(t.farm, f"{saved(t).path}/checkpoint/chunks/{NAME}")


@example
def putLeaseCheckpointChunk(t):
    return Example(t.farm, f"{saved(t).path}/checkpoint/chunks/{NAME}", CONTENT)
