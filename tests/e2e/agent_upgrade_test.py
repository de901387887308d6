"""An agent's program is replaced while a guest runs: the guest goes on in the same container, and is the new agent's
within five seconds."""
import json
import os
import shutil
import signal
import sys
import unittest

from world import Events, World

IMAGE = "localhost/fallow-upgrade:1"
PROGRAMS = ("fallow-agent", "fallow-guard")


class AgentUpgrade(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.world.start_engine()
        cls.world.make_image(IMAGE)
        cls.world.start_server("usage_interval_ms=1000")
        cls.seller = cls.world.seller()
        cls.renter = cls.world.renter()
        cls.programs = cls.world.folder / "programs"
        cls.programs.mkdir()
        for program in PROGRAMS:
            shutil.copy2(cls.world.bin / program, cls.programs / program)

    def start_agent(self):
        return self.world.spawn("agent-alpha", [
            self.programs / "fallow-agent", "run", "--state", self.world.folder / "agent-alpha",
            "--engine-socket", self.world.engine_socket, "--runtime", "runc", "--measure-bytes", str(1 << 24)])

    def install(self):
        """As a package manager does: the new file is there under the old name, and the old one still runs."""
        for program in PROGRAMS:
            fresh = self.programs / (program + ".new")
            shutil.copy2(self.world.bin / program, fresh)
            fresh.rename(self.programs / program)

    def container(self):
        found, = json.loads(self.world.engine_command("ps", "--format", "json"))
        state, = json.loads(self.world.engine_command("inspect", found["Id"]))
        return found["Id"], state["State"]["Pid"], state["State"]["StartedAt"]

    def usage(self, lease):
        return self.world.get(f"/v1/leases/{lease}/usage", self.renter["key"])["items"]

    def test_a_container_goes_on_while_its_agent_is_replaced(self):
        events = Events(self.world, self.seller["key"])
        self.addCleanup(events.close)
        renters = Events(self.world, self.renter["key"])
        self.addCleanup(renters.close)
        self.world.enroll(self.seller, "alpha")
        agent = self.start_agent()
        host = events.wait(lambda e: e["type"] == "host.online", "the host to come online", 90)["object"]["id"]
        card = events.wait(lambda e: e["type"] in ("card.found", "card.changed") and e["data"]["measured_at"],
                           "a measured card", 90)["object"]["id"]
        listing = self.world.post("/v1/listings", {"host_id": host, "card_ids": [card],
                                                   "ask_micros_per_hour": 1_000_000}, self.seller["key"], 201)
        placed = self.world.post("/v1/orders", {
            "requirements": {"listing_id": listing["id"]}, "price_max_micros_per_hour": 3_000_000, "term_ms": 600_000,
            "fill_or_kill": True, "job": {"image": IMAGE, "max_duration_ms": 300_000, "command": [
                "/bin/sh", "-c", "echo begun; until [ -e /work/notice/stop ]; do sleep 0.1; done; echo ended"]}},
            self.renter["key"], 201)
        lease, job = placed["lease"]["id"], placed["job"]["id"]
        renters.wait(lambda e: e["type"] == "job.running" and e["object"]["id"] == job, "the job to run", 90)
        self.world.until(lambda: self.usage(lease), "a usage statement")
        before = self.container()

        for how in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(how=how.name):
                self.install()
                agent.child.send_signal(how)
                agent.child.wait()
                self.assertEqual(self.container(), before)
                known = self.usage(lease)[-1]
                agent = self.start_agent()
                # It states the guest's time again, which it cannot without having found it.
                self.world.until(lambda: self.usage(lease)[-1]["sequence"] > known["sequence"],
                                 "the guest to be the new agent's", 5)
                self.assertEqual(self.container(), before)
                self.assertEqual(self.world.get("/v1/leases/" + lease, self.renter["key"])["state"], "running")

        self.world.post(f"/v1/leases/{lease}/reclaim", {}, self.seller["key"])
        renters.wait(lambda e: e["type"] == "lease.released" and e["object"]["id"] == lease, "the lease's end", 90)
        self.world.prove_ledger()


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    sys.exit(0 if program.result.wasSuccessful() else 1)
