"""The examples of the routes for secrets and for outputs that are saved while their job runs."""
import base64
import hashlib

from routes_objects import CONTENT, EXAMPLES, Example, example, of_owner

NAME = hashlib.sha256(CONTENT).hexdigest()
VALUE = base64.b64encode(b"a secret").decode()

EXAMPLES["listSecrets"] = of_owner("/v1/secrets")


def output(path, content=CONTENT):
    """A file of less than 1 MiB, as an agent states it."""
    digest = hashlib.sha256(content).hexdigest()
    return {"path": path, "bytes": len(content), "sha256": digest, "chunks": [digest]}


def set_one(t, name="token"):
    t.owner.expect(200, "PUT", "/v1/secrets/" + name, {"value": VALUE})
    return name


def saving(t):
    """A running lease whose job declares an output."""
    return t.on_host(outputs=["result"])


@example
def setSecret(t):
    return Example(t.owner, "/v1/secrets/token", {"value": VALUE})


@example
def deleteSecret(t):
    return Example(t.owner, "/v1/secrets/" + set_one(t, f"token-{next(t.numbers)}"))


@example
def getLeaseSecrets(t):
    return Example(t.farm, t.on_host("accepted", secrets=[set_one(t)], registry_secret=set_one(t, "pull")).path
                   + "/secrets")


@example
def beginLeaseOutputs(t):
    lease = saving(t)
    return Example(t.farm, lease.path + "/output-upload/begin",
                   {"lease_epoch": lease.epoch, "files": [output("result")]})


@example
def putLeaseOutputChunk(t):
    return Example(t.farm, f"{saving(t).path}/output-upload/chunks/{NAME}", CONTENT)


@example
def commitLeaseOutputs(t):
    lease = saving(t)
    t.farm.expect(204, "PUT", f"{lease.path}/output-upload/chunks/{NAME}", CONTENT)
    return Example(t.farm, lease.path + "/output-upload",
                   {"lease_epoch": lease.epoch, "sequence": 1, "files": [output("result")]})
