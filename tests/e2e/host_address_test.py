"""From which public address a host is heard, and since when: over a follower, across a takeover.

The test has a network of its own (unshare), whose loopback has two addresses of the internet, so that a connection can
come from them.
"""
import http.client
import os
import sys
import unittest
import urllib.parse

from replicas import Replicas
from replicas_test import server_world
from routes_fixture import RENTER, SELLER, SLOW_HEART, run_tests
from simulated_host import HostKeys, SimulatedHost, reported_cards
from world import Events

HERE, THERE = "198.41.0.4", "199.9.14.201"


def in_own_network():
    """Starts this program again where the two addresses are its own."""
    addresses = "".join(f"ip address add {address}/32 dev lo && " for address in (HERE, THERE))
    script = f'ip link set lo up && {addresses} exec "$@"'
    os.execvpe("unshare", ["unshare", "--net", "sh", "-c", script, "sh", sys.executable, "-B", __file__],
               {**os.environ, "FALLOW_TEST_OWN_NETWORK": "1"})


class Addresses(unittest.TestCase):
    def setUp(self):
        self.world = Replicas(os.environ["FALLOW_BIN_DIR"], settings=SLOW_HEART)
        self.addCleanup(self.world.stop)
        self.first, self.second = self.world.servers.first, self.world.servers.second
        self.seller = self.world.organization("seller", "DE", SELLER)
        self.renter = self.world.organization("renter", "FR", RENTER)

    def heard_from(self, host, address):
        """A heartbeat on a new connection."""
        client = host.client
        client.close()
        client.connect = lambda timeout=60: http.client.HTTPSConnection(
            "127.0.0.1", client.world.port, context=client.context, timeout=timeout, source_address=(address, 0))
        host.heartbeat()

    def moved_to(self, events, address):
        return events.wait(lambda e: e["type"] == "host.address_changed" and e["data"]["address"] == address,
                           f"the host to be at {address}")["data"]

    def shown(self, host):
        return self.world.get("/v1/hosts/" + host.id, self.seller["key"])

    def found(self, query):
        path = "/v1/search?q=" + urllib.parse.quote(query)
        return len(self.world.get(path, self.renter["key"])["items"])

    def test_it_is_known_through_any_server_and_outlives_a_leader(self):
        self.world.use(self.second)
        host = SimulatedHost(server_world(self.world, self.second), self.seller["key"],
                             HostKeys(self.world.folder / "host"), "host")
        self.addCleanup(host.close)
        cards = host.put_inventory(reported_cards("host", 1))
        events = Events(self.world, self.seller["key"])
        self.addCleanup(lambda: events.close())
        host.heartbeat()
        events.wait(lambda e: e["type"] == "host.online", "the host to be online")
        self.world.post("/v1/listings", {"host_id": host.id, "card_ids": [cards[0]["id"]],
                                         "ask_micros_per_hour": 10**6}, self.seller["key"], 201)
        self.assertIsNone(self.shown(host)["address"], "127.0.0.1 is nobody's address")

        # The follower, which it speaks to, tells the leader from where.
        self.heard_from(host, HERE)
        self.moved_to(events, HERE)
        since = self.shown(host)["address_since"]
        self.assertIsNotNone(since)
        self.world.until(lambda: self.found(f"address_since <= {since}") == 1, "the follower's index to know it")
        self.assertEqual(self.found(f"address_since > {since}"), 0)

        # The next leader has it from the market, and is told nothing new.
        self.first.process.kill()
        self.world.until(lambda: self.second.scheduler()["role"] == "leader", "the second server to lead")
        self.heard_from(host, HERE)
        self.heard_from(host, THERE)
        self.moved_to(events, THERE)
        shown = self.shown(host)
        self.assertEqual(shown["address"], THERE)
        self.assertGreater(shown["address_since"], since)
        changes = [e for e in events.seen if e["type"] == "host.address_changed"]
        self.assertEqual(changes, [], "each change was told once")


if __name__ == "__main__":
    if "FALLOW_TEST_OWN_NETWORK" not in os.environ:
        in_own_network()
    run_tests()
