"""The owner of a host takes its cards back: with the server out of reach, for a command of its own, by policy."""
import base64
import os
import signal
import subprocess
import sys
import unittest

from world import Events, World

IMAGE = "localhost/fallow-e2e:1"
NEVER_ENDS = ["/bin/sh", "-c", "trap 'echo told; cat $FALLOW_NOTICE_FILE' TERM; while true; do sleep 0.1; done"]


class Owner(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.world.start_engine()
        cls.world.make_image(IMAGE)
        cls.world.start_server("usage_interval_ms=1000")
        cls.seller = cls.world.seller()
        cls.renter = cls.world.renter()
        cls.seller_events = cls.events_of(cls.seller)
        cls.renter_events = cls.events_of(cls.renter)
        cls.host, cls.card, cls.listing = cls.world.host_with_listing(cls.seller, "alpha", cls.seller_events,
                                                                      reclaim_notice_ms=2000)

    @classmethod
    def events_of(cls, organization):
        events = Events(cls.world, organization["key"])
        cls.addClassCleanup(events.close)
        return events

    # --- words

    def order(self, command, **terms):
        return self.world.post("/v1/orders", {
            "requirements": {"listing_id": self.listing["id"]}, "price_max_micros_per_hour": 3_000_000,
            "term_ms": 600_000, "fill_or_kill": True,
            "job": {"image": IMAGE, "command": command, "max_duration_ms": 300_000}, **terms}, self.renter["key"], 201)

    def running(self, command):
        placed = self.order(command)
        self.await_object(placed["job"]["id"], "job.running")
        return placed["job"]["id"], placed["lease"]["id"]

    def await_object(self, identity, kind, seconds=90):
        return self.renter_events.wait(lambda e: e["object"]["id"] == identity and e["type"] == kind,
                                       f"{identity} {kind}", seconds)

    def await_card(self, state):
        return self.seller_events.wait(
            lambda e: e["object"]["id"] == self.card and e["data"].get("state") == state, f"a card that is {state}")

    def owner(self, *words):
        return subprocess.run([str(self.world.bin / "fallow-agent"), words[0], "--state",
                               str(self.world.folder / "agent-alpha"), *words[1:]],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)

    def logs(self, job):
        items = self.world.get(f"/v1/jobs/{job}/logs", self.renter["key"])["items"]
        return b"".join(base64.b64decode(item["data"]) for item in items)

    def assert_reclaimed(self, lease):
        self.await_object(lease, "lease.released")
        ended = self.world.get("/v1/leases/" + lease, self.renter["key"])
        self.assertEqual(ended["end_reason"], "reclaimed_by_owner")
        final = self.world.get(f"/v1/leases/{lease}/usage", self.renter["key"])["items"][-1]
        # What the host stated last is what was billed: nothing of the time in which nobody heard it.
        self.assertIn("final: true", final["statement"])
        self.assertEqual(final["accepted_running_ms"], ended["running_ms"])
        self.assertEqual(ended["charged_micros"],
                         ended["price_micros_per_hour"] * ended["thousandths"] * ended["running_ms"] // 3_600_000_000)
        code, report = self.world.prove_ledger()
        self.assertEqual((code, report["balanced"], report["findings"]), (0, True, []))

    # --- what is shown

    def test_with_the_server_out_of_reach(self):
        job, lease = self.running(NEVER_ENDS)
        self.await_object(lease, "lease.metered")
        server = self.world.server.child
        server.send_signal(signal.SIGSTOP)
        self.addCleanup(server.send_signal, signal.SIGCONT)
        asked = self.owner("reclaim", "0")
        self.assertEqual(asked.returncode, 1, asked.stderr)
        self.assertIn(lease + " has run for", asked.stderr)
        self.assertIn("has 2 s to save the work", asked.stderr)
        self.assertIn("give --yes", asked.stderr)
        taken = self.owner("reclaim", "0", "--yes", "--wait")
        self.assertEqual(taken.returncode, 0, taken.stderr)
        self.assertTrue(taken.stdout.splitlines()[0].endswith(": yours until you release it"), taken.stdout)

        server.send_signal(signal.SIGCONT)
        self.await_card("withheld")
        self.assert_reclaimed(lease)
        self.assertRegex(self.logs(job), rb"^told\nreason=reclaimed_by_owner\ndeadline=\S+Z\ndeadline_unix_ms=\d+\n$")

        # Nothing is placed on it, across a restart of the agent, until it is released.
        agent = next(p for p in self.world.processes if p.name == "agent-alpha" and p.alive())
        agent.stop()
        self.world.start_agent("alpha")
        self.world.until(lambda: self.owner("status").returncode == 0, "the agent to answer its owner")
        self.assertIn("yours until you release it", self.owner("status").stdout)
        standing = self.order(["/bin/true"], fill_or_kill=False)
        self.assertEqual(standing["order"]["state"], "standing")
        self.assertEqual(self.owner("release", "0").returncode, 0)
        self.await_card("present")
        self.await_object(standing["order"]["id"], "order.filled")
        filled = self.world.get("/v1/orders/" + standing["order"]["id"], self.renter["key"])
        self.await_object(filled["lease_id"], "lease.released")

    def test_a_command_of_the_owners_gets_a_free_card(self):
        _, lease = self.running(NEVER_ENDS)
        done = self.owner("own", "0", "--yes", "--", "sh", "-c", "echo mine; exit 5")
        self.assertEqual((done.returncode, done.stdout), (5, "mine\n"), done.stderr)
        self.assert_reclaimed(lease)
        self.await_card("present")

    def test_a_program_of_the_owners_ends_the_lease_and_keeps_the_card(self):
        policy = self.world.folder / "policy.toml"
        policy.write_text('[[card]]\nnever_while = ["fallow-owners"]\n')
        agent = next(p for p in self.world.processes if p.name == "agent-alpha" and p.alive())
        agent.stop()
        agent = self.world.start_agent("alpha", "--policy", str(policy))
        _, lease = self.running(NEVER_ENDS)
        program = self.world.folder / "fallow-owners"
        program.symlink_to("/bin/sleep")
        with subprocess.Popen([str(program), "300"]) as owners:
            self.await_card("withheld")
            self.assert_reclaimed(lease)
            self.assertIn("kept back, fallow-owners runs", self.owner("status").stdout)
            owners.kill()
        agent.stop()
        self.world.start_agent("alpha")
        self.await_card("present")


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
