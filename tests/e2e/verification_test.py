"""A card that claims more than it has is offered to nobody, and is offered again once it proves what it claims.

The card is tests/unit/agent/fake_opencl.c: a GPU of 64 MiB to look at, whose addresses go round after as many as it
was built with.
"""
import json
import os
import subprocess
import sys
import unittest

from world import SOURCE, Events, World

MIB = 1 << 20
CLAIMED_MIB = 64
PROVED_MIB = 63  # one is the counter's
ASK = 2_500_000


class Verification(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.world.start_engine()
        cls.world.start_server()
        cls.seller = cls.world.seller()
        cls.renter = cls.world.renter()
        cls.library = cls.world.folder / "card.so"
        cls.options = ["--opencl-library", str(cls.library), "--nvml-library", "/no/such/library.so"]

    def make_card(self, backed_mib):
        subprocess.run(["cc", "-shared", "-fPIC", f"-DFAKE_CLAIMED_MIB={CLAIMED_MIB}",
                        f"-DFAKE_BACKED_MIB={backed_mib}", "-o", self.library,
                        SOURCE / "tests/unit/agent/fake_opencl.c", "-Wl,--no-as-needed", "-l:libOpenCL.so.1"],
                       check=True)

    def start_agent(self):
        (self.state / "cards.json").unlink(missing_ok=True)
        return self.world.start_agent("alpha", *self.options)

    def self_test(self):
        done = subprocess.run([self.world.bin / "fallow-agent", "self-test", "--json", "--state", self.state,
                               "--engine-socket", self.world.engine_socket, *self.options],
                              capture_output=True, text=True)
        return done.returncode, {row["check"]: row for row in json.loads(done.stdout)["checks"]}

    def order(self):
        body = {"price_max_micros_per_hour": ASK, "term_ms": 600_000, "fill_or_kill": True}
        return self.world.call("POST", "/v1/orders", body, key=self.renter["key"])

    def test_a_card_that_stops_proving_its_memory_is_offered_to_nobody(self):
        self.state = self.world.enroll(self.seller, "alpha")
        events = Events(self.world, self.seller["key"])
        self.addCleanup(events.close)
        self.make_card(CLAIMED_MIB)
        agent = self.start_agent()
        events.wait(lambda e: e["type"] == "host.online", "the host to come online", 90)
        found = events.wait(lambda e: e["type"] == "card.found", "the card", 90)
        self.assertEqual(found["data"]["vram_bytes"], PROVED_MIB * MIB)
        terms = {"host_id": found["data"]["host_id"], "card_ids": [found["object"]["id"]], "ask_micros_per_hour": ASK}
        listing = self.world.post("/v1/listings", terms, self.seller["key"], 201)
        agent.stop()

        self.make_card(CLAIMED_MIB // 4)
        agent = self.start_agent()
        events.wait(lambda e: e["type"] == "card.changed" and e["data"]["state"] == "withheld", "the refusal", 90)
        shown = self.world.get("/v1/listings/" + listing["id"], self.seller["key"])
        self.assertEqual((shown["state"], shown["paused_by"], shown["cards_free"]), ("open", "cards", 0))
        events.wait(lambda e: e["type"] == "listing.paused" and e["object"]["id"] == listing["id"]
                    and e["reason"] == "cards", "the listing's pause")
        environment = {**os.environ, "FALLOW_URL": self.world.url, "FALLOW_CA": str(self.world.ca),
                       "FALLOW_API_KEY": self.seller["key"]}
        told = subprocess.run([self.world.bin / "fallow", "listing", "show", listing["id"]], env=environment,
                              capture_output=True, text=True, check=True)
        self.assertIn("paused by its cards", told.stdout)
        status, refused, _ = self.order()
        self.assertEqual((status, refused["code"]), (409, "no_match"))
        agent.stop()
        code, rows = self.self_test()
        self.assertEqual((code, rows["verification"]["verdict"], rows["server"]["verdict"]), (1, "wrong", "ok"))
        self.assertIn("it claims 64.0 MiB", rows["verification"]["remedy"])

        self.make_card(CLAIMED_MIB)
        agent = self.start_agent()
        events.wait(lambda e: e["type"] == "card.changed" and e["data"]["state"] == "present", "the card's return", 90)
        events.wait(lambda e: e["type"] == "listing.resumed" and e["object"]["id"] == listing["id"],
                    "the listing's return")
        shown = self.world.get("/v1/listings/" + listing["id"], self.seller["key"])
        self.assertEqual((shown["state"], shown["paused_by"], shown["cards_free"]), ("open", None, 1))
        agent.stop()
        code, rows = self.self_test()
        self.assertEqual(rows["verification"]["verdict"], "ok", rows)
        self.assertEqual(code, 0, rows)


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
