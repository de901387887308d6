"""Hosts that offer gangs a private network, a gang on them, and the example of the route by which they meet."""
import base64

from routes_fixture import HOUR
from routes_objects import Example, example
from simulated_host import BOOT, CLAIMS, SimulatedHost, reported_cards


def tunnel_key(number=0):
    """What a public key of WireGuard's looks like."""
    return base64.b64encode(bytes([number]) * 32).decode()


def told(lease, rank=0, **changes):
    return {"lease_epoch": lease.epoch, "public_key": tunnel_key(rank), "endpoint": f"198.41.0.{rank + 1}:51820",
            **changes}


def linked_hosts(t, product, count=2, cards=64, offers=True):
    """Listed hosts of that product, which say whether they offer gangs a network."""
    hosts = []
    for _ in range(count):
        number = next(t.numbers)
        host = SimulatedHost(t.world, t.owner.key, t.keys, f"host-{number}", contract=t.contract)
        t.addClassCleanup(host.close)
        inventory = {"boot_id": BOOT, **CLAIMS, "gang_network": offers,
                     "cards": reported_cards(number, cards, product=product)}
        host.cards = host.expect(200, "PUT", "/v1/agent/inventory", inventory)["cards"]
        t.bring_online(t.owner, host)
        t.listing(t.owner, host)
        hosts.append(host)
    return hosts


def gang_order(t, product, **changes):
    return {"requirements": {"products": [product]}, "price_max_micros_per_hour": 10_000_000, "term_ms": HOUR,
            "hosts": 2, "fill_or_kill": True, "job": t.job(network="gang"), **changes}


def gang(t):
    """The leases of a gang whose job has a network, both accepted, by rank."""
    cls = type(t)
    if not hasattr(cls, "linked"):
        cls.linked_product = f"Linked {next(t.numbers)}"
        cls.linked = linked_hosts(t, cls.linked_product)
    placed = t.owner.post("/v1/orders", gang_order(t, cls.linked_product), 201)
    leases = []
    for member in placed["members"]:
        host = next(host for host in cls.linked if host.id == member["host_id"])
        leases.append(host.take(member["id"]))
        leases[-1].accept()
    return leases


@example
def putLeaseNetwork(t):
    lease = gang(t)[0]
    return Example(lease.host, lease.path + "/network", told(lease))
