"""A real agent measures the way between its host and the server, and renters find the host by it."""
import json
import os
import subprocess
import sys
import unittest
import urllib.parse

from world import Events, World


class Network(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.world.start_engine()
        cls.world.start_server()
        cls.seller, cls.renter = cls.world.seller(), cls.world.renter()

    def fallow(self, *words):
        environment = {**os.environ, "FALLOW_URL": self.world.url, "FALLOW_CA": str(self.world.ca),
                       "FALLOW_API_KEY": self.seller["key"]}
        done = subprocess.run([str(self.world.bin / "fallow"), *words], capture_output=True, text=True,
                              env=environment, stdin=subprocess.DEVNULL, check=True)
        return done.stdout

    def self_test(self):
        """The row of the network; the table as a whole is verification_test.py's."""
        done = subprocess.run([self.world.bin / "fallow-agent", "self-test", "--json", "--no-measure", "--state",
                               self.world.folder / "agent-alpha", "--engine-socket", self.world.engine_socket],
                              capture_output=True, text=True)
        return next(row for row in json.loads(done.stdout)["checks"] if row["check"] == "network")

    def found(self, query):
        path = "/v1/search?q=" + urllib.parse.quote(query)
        return len(self.world.get(path, self.renter["key"])["items"])

    def test_a_host_is_found_by_what_its_agent_measured(self):
        events = Events(self.world, self.seller["key"])
        self.addCleanup(events.close)
        host, _, _ = self.world.host_with_listing(self.seller, "alpha", events,
                                                  agent_words=("--measure-network-within-minutes", "0"))
        told = events.wait(lambda e: e["object"]["id"] == host and e["data"].get("network_measured_at"),
                           "the measurement", 120)["data"]
        shown = self.world.get("/v1/hosts/" + host, self.seller["key"])
        speed = shown["network_speed"]
        self.assertEqual((speed["up_bytes_per_s"], speed["down_bytes_per_s"]),
                         (told["network_up_bytes_per_s"], told["network_down_bytes_per_s"]))
        self.assertGreater(min(speed["up_bytes_per_s"], speed["down_bytes_per_s"]), 1_000_000, "over loopback")
        # This machine speaks to itself: nobody can tell its address.
        self.assertEqual((shown["address"], shown["address_since"]), (None, None))

        kept = json.loads((self.world.folder / "agent-alpha" / "network.json").read_text())
        self.assertEqual(kept["up_bytes_per_s"], speed["up_bytes_per_s"])
        self.assertIn("MB/s down to the server", self.self_test()["measured"])
        self.assertIn(f"down, measured at {speed['measured_at']}", self.fallow("host", "show", host))

        up, down = speed["up_bytes_per_s"], speed["down_bytes_per_s"]
        self.assertEqual(self.found(f"network_up >= {up}B/s and network_down = {down}B/s"), 1)
        self.assertEqual(self.found(f"network_down > {down}B/s"), 0)
        self.assertEqual(self.found("address_since is unknown and network_up is known"), 1)

    def test_a_host_whose_gate_cannot_be_opened_offers_no_network(self):
        seller = self.world.seller("other")
        events = Events(self.world, seller["key"])
        self.addCleanup(events.close)
        in_the_way = self.world.enroll(seller, "beta") / "network"
        in_the_way.write_text("where the gate would be")
        agent = self.world.start_agent("beta", "--no-measure")
        host = events.wait(lambda e: e["type"] == "host.online", "the host to come online", 90)["object"]["id"]
        events.wait(lambda e: e["type"] == "card.found", "the inventory", 90)

        def network():
            return self.world.get("/v1/hosts/" + host, seller["key"])["guest_network"]

        self.assertEqual(network(), "none")
        self.assertIn("its network cannot be closed", agent.log.read_text())
        agent.stop()
        in_the_way.unlink()
        self.world.start_agent("beta", "--no-measure")
        self.world.until(lambda: network() == "internet", "the inventory of the next agent", 90)


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
