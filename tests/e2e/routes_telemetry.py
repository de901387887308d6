"""The examples of the routes of telemetry, and what a simulated host tells."""
import datetime

from routes_objects import Example, example

GIB = 1 << 30


def this_minute(shift=0):
    now = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0)
    return (now + datetime.timedelta(minutes=shift)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def measured(lease, utilization=120, at=None, samples=60, **changes):
    """A body that tells one minute of the lease's first card."""
    return {"cards": [{"card_id": lease.desired["cards"][0]["card_id"], "source": "nvml", "shared": False,
                       "memory_bytes": 80 * GIB, "cpu_millis": 1000, **changes,
                       "minutes": [{"at": at or this_minute(), "samples": samples,
                                    "utilization_thousandths": {"mean": utilization, "max": utilization + 10},
                                    "memory_used_bytes": {"mean": 9 * GIB, "max": 9 * GIB},
                                    "power_milliwatts": {"mean": 210_400, "max": 250_000},
                                    "temperature_celsius": {"mean": 54, "max": 56}}]}]}


def tell(lease, body):
    """The reply, whatever it is."""
    return lease.host.call("POST", lease.path + "/telemetry", body)


def told(t):
    lease = t.on_host()
    lease.host.expect(204, "POST", lease.path + "/telemetry", measured(lease))
    return lease


@example
def postTelemetry(t):
    lease = t.on_host()
    return Example(t.farm, lease.path + "/telemetry", measured(lease))


@example
def getLeaseTelemetry(t):
    return Example(t.owner, f"/v1/leases/{told(t).id}/telemetry?points=10&history_ms=600000")


@example
def getAnyLeaseTelemetry(t):
    return Example(t.admin, f"/v1/admin/leases/{told(t).id}/telemetry")


@example
def getJobEfficiency(t):
    return Example(t.owner, f"/v1/jobs/{told(t).job}/efficiency")
