"""./run bench start: how soon a server with 10,000 active leases is ready, how much memory an idle one takes, and how
much of the time from order to running is its own.

The leases are made by real orders. The server's own share is what an agent that does nothing and a renter see of
it: the order, the desired state that the order wakes, and the reports `accepted` and `running`, one after the other
over keep-alive TLS, this script's own time included. Two starts are timed, from the process's start until /readyz
says so and the server leads: after a clean stop, PostgreSQL's start included, and after kill -9, which has to wait
until the dead leader's beat is stale.
"""
import argparse
import json
import pathlib
import statistics
import sys
import time

from rent import SOURCE, add_hosts, load
from routes_client import Client
from simulated_host import HostKeys, SimulatedHost, reported_cards
from world import World

LASTING = ("host_lost_ms=3600000", "host_lost_declared_ms=3600000", "attach_ms=7200000")


def resident_mb(pid):
    line = next(line for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in line)
    return int(line.split()[1]) / 1024


def seconds_to_ready(world):
    begun = time.monotonic()
    world.start_server(*LASTING)
    while world.call("GET", "/readyz")[0] != 200:
        pass
    while world.get("/v1/admin/scheduler", world.admin_key)["role"] != "leader":
        pass
    return time.monotonic() - begun


def own_share_ms(world, seller, renter, rounds=100):
    """The median time of the four requests that lead from an order to a running lease."""
    host = SimulatedHost(world, seller["key"], HostKeys(world.folder / "path"), "path")
    host.heartbeat()
    cards = host.put_inventory(reported_cards("path", rounds, product="path"))
    world.post("/v1/listings", {"host_id": host.id, "card_ids": [card["id"] for card in cards],
                                "ask_micros_per_hour": 1_000_000}, seller["key"], 201)
    buyer = Client(world, key=renter["key"])
    order = {"requirements": {"products": ["path"]}, "price_max_micros_per_hour": 1_000_000, "term_ms": 3_600_000,
             "fill_or_kill": True, "job": {"image": "none", "max_duration_ms": 60_000}}
    taken = []
    for _ in range(rounds):
        begun = time.monotonic()
        lease = buyer.expect(201, "POST", "/v1/orders", order)["lease"]["id"]
        host.take(lease).start()
        taken.append((time.monotonic() - begun) * 1000)
    host.close()
    buyer.close()
    return statistics.median(taken)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leases", type=int, default=10_000)
    parser.add_argument("--out", default=str(SOURCE / "build/bench/start.json"))
    options = parser.parse_args()
    with World(SOURCE / "build/release/bin") as world:
        world.start_server(*LASTING)
        result = {"idle_mb": round(resident_mb(world.server.child.pid), 1)}
        seller, renter = world.seller(), world.renter(deposit_micros=900_000_000_000_000)
        result["own_share_ms"] = round(own_share_ms(world, seller, renter), 1)
        agents = add_hosts(world, seller, options.leases // 1024 + 2)
        key_file = world.folder / "renter.key"
        key_file.write_text(renter["key"])
        for number in range(60):
            active = world.get("/v1/admin/scheduler", world.admin_key)["active_leases"]
            if active >= options.leases:
                break
            load(world, key_file, agents, 16, 1, number)
        result["active_leases"] = active
        result["loaded_mb"] = round(resident_mb(world.server.child.pid), 1)
        world.server.stop()
        result["ready_after_stop_s"] = round(seconds_to_ready(world), 2)
        world.server.kill()
        result["ready_after_kill_s"] = round(seconds_to_ready(world), 2)
        result["restarted_mb"] = round(resident_mb(world.server.child.pid), 1)
    out = pathlib.Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    for name, value in result.items():
        print(f"{name:22} {value:>10}")


if __name__ == "__main__":
    sys.exit(main())
