"""How long orders stand still when the leader is killed, with many active leases in the market.

    takeover.py [--leases 10000] [--rounds 5] [--limit 3.0]

Two servers on one database. Each round kills the leader with SIGKILL while orders are sent to the other, and measures
from the kill to the first order that is placed after it. Then the killed one is started again and follows. Prints a
row for each round; fails when a round took longer than the limit, a follower was not warm, a host was declared lost,
or the ledger does not prove.
"""
import argparse
import os
import pathlib
import sys
import threading
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from replicas import Replicas, logged, until_answered
from simulated_host import HostKeys, SimulatedHost, reported_cards
from world import Failure

HOUR = 3_600_000
CARDS_A_HOST = 1000
# Nothing may end by itself: no lease waits for an agent here, and hosts keep still.
SETTINGS = ("accept_ms=3600000", "attach_ms=86400000", "heartbeat_interval_ms=120000", "heartbeat_timeout_ms=2000",
            "fence_ms=130000", "host_lost_ms=600000", "host_lost_declared_ms=610000")
STANDING = {"requirements": {"products": ["nobody has it"]}, "price_max_micros_per_hour": 1, "term_ms": HOUR}


def fill(world, server, leases):
    """Hosts, listings and so many leases; returns the renter."""
    seller = world.organization("seller", "DE", ["seller:read", "seller:write"])
    renter = world.organization("renter", "FR", ["renter:read", "renter:write"], 10**15)
    keys = HostKeys(world.folder / "hosts")
    shop = server.client(seller["key"])
    listings = []
    for number in range((leases + CARDS_A_HOST - 1) // CARDS_A_HOST):
        host = SimulatedHost(world, seller["key"], keys, f"host-{number}")
        host.put_inventory(reported_cards(number, min(CARDS_A_HOST, leases - number * CARDS_A_HOST)))
        host.heartbeat()
        world.until(lambda: shop.get("/v1/hosts/" + host.id)["state"] == "online", "a host to be online")
        listings.append(shop.post("/v1/listings", {"host_id": host.id, "card_ids": [c["id"] for c in host.cards],
                                                   "ask_micros_per_hour": 1000}, 201))
        host.close()
    shop.close()

    def rent(listing):
        client = server.client(renter["key"])
        for _ in listing["card_ids"]:
            client.post("/v1/orders", {"requirements": {"listing_id": listing["id"]}, "term_ms": HOUR,
                                       "price_max_micros_per_hour": 1000, "fill_or_kill": True}, 201)
        client.close()

    threads = [threading.Thread(target=rent, args=(listing,)) for listing in listings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return renter


def take_over(world, leader, follower, renter):
    """One round; returns its row."""
    before = leader.scheduler()
    world.until(lambda: follower.scheduler()["sequence"] >= before["sequence"], "the follower to keep up")
    client = follower.client(renter["key"])
    client.post("/v1/orders", STANDING, 201)  # the connection is there
    leader.process.kill()
    key = uuid.uuid4().hex
    reply, seconds, refusals = until_answered(
        lambda: client.call("POST", "/v1/orders", STANDING, idempotency_key=key))
    if reply.status != 201:
        raise Failure(f"the order after the kill was answered {reply}")
    client.close()
    after = follower.scheduler()
    if after["epoch"] != before["epoch"] + 1 or after["role"] != "leader":
        raise Failure(f"the other does not lead: {after}")
    warm = [line["warm"] for line in logged(follower, "info") if "warm" in line][-1]
    begun = time.monotonic()
    leader.start()
    return {"leases": after["active_leases"], "seconds": seconds, "refusals": refusals, "warm": warm,
            "epoch": after["epoch"], "follows_after": time.monotonic() - begun}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default=os.environ.get("FALLOW_BIN_DIR", "build/release/bin"))
    parser.add_argument("--leases", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=3.0)
    options = parser.parse_args(arguments)
    bad = []
    with Replicas(options.bin, settings=SETTINGS) as world:
        leader, follower = world.servers.first, world.servers.second
        renter = fill(world, leader, options.leases)
        print(f"{'round':>5} {'active leases':>13} {'order placed after':>18} {'refusals':>8} {'warm':>5} {'epoch':>5}"
              f" {'follows after':>13}")
        for number in range(1, options.rounds + 1):
            row = take_over(world, leader, follower, renter)
            print(f"{number:>5} {row['leases']:>13} {row['seconds']:>16.2f} s {row['refusals']:>8} {row['warm']!s:>5}"
                  f" {row['epoch']:>5} {row['follows_after']:>11.2f} s", flush=True)
            if row["seconds"] > options.limit:
                bad.append(f"round {number} took {row['seconds']:.2f} s")
            if not row["warm"]:
                bad.append(f"round {number}: the follower was not warm")
            if row["leases"] < options.leases:
                bad.append(f"round {number}: {options.leases - row['leases']} leases have ended")
            leader, follower = follower, leader
            world.use(leader)
        lost = world.postgres.sql("SELECT count(*) FROM hosts WHERE unreachable_since IS NOT NULL")
        if lost != "0":
            bad.append(f"{lost} hosts were declared lost")
        code, report = world.prove_ledger()
        if code != 0 or not report["balanced"]:
            bad.append(f"the ledger does not prove: {report}")
    for what in bad:
        print("FAILED: " + what)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
