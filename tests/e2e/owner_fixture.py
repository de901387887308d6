"""What the tests of a host's owner share: a market with one real host, whose only card is listed, and a renter."""
import base64
import os
import subprocess
import unittest

from world import SOURCE, Events, World

IMAGE = "localhost/fallow-e2e:1"
NEVER_ENDS = ["/bin/sh", "-c", "trap 'echo told; cat $FALLOW_NOTICE_FILE' TERM; while true; do sleep 0.1; done"]
NOTICE_TOLD = rb"^told\nreason=reclaimed_by_owner\ndeadline=\S+Z\ndeadline_unix_ms=\d+\n$"  # by NEVER_ENDS


class OwnersHost(unittest.TestCase):
    policy = None  # the text of the owner's, when there is one from the start

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
        cls.host, cls.card, cls.listing = cls.world.host_with_listing(
            cls.seller, "alpha", cls.seller_events, agent_words=cls.policy_words(cls.policy) if cls.policy else (),
            reclaim_notice_ms=2000)

    @classmethod
    def events_of(cls, organization):
        events = Events(cls.world, organization["key"])
        cls.addClassCleanup(events.close)
        return events

    @classmethod
    def policy_words(cls, text):
        """For the agent's command line."""
        policy = cls.world.folder / "policy.toml"
        policy.write_text(text)
        return "--policy", str(policy)

    def order(self, command, **terms):
        return self.world.post("/v1/orders", {
            "requirements": {"listing_id": self.listing["id"]}, "price_max_micros_per_hour": 3_000_000,
            "term_ms": 600_000, "fill_or_kill": True,
            "job": {"image": IMAGE, "command": command, "max_duration_ms": 300_000}, **terms}, self.renter["key"], 201)

    def await_object(self, identity, kind, seconds=90):
        return self.renter_events.wait(lambda e: e["object"]["id"] == identity and e["type"] == kind,
                                       f"{identity} {kind}", seconds)

    def await_card(self, state, seconds=90):
        """What came before the last that was waited for does not count."""
        self.seller_events.seen.clear()
        return self.seller_events.wait(
            lambda e: e["object"]["id"] == self.card and e["data"].get("state") == state, f"a card that is {state}",
            seconds)

    def owners_words(self, command, *words):
        return [str(self.world.bin / "fallow-agent"), command, "--state", str(self.world.folder / "agent-alpha"),
                *words]

    def owner(self, *words):
        return subprocess.run(self.owners_words(*words), capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=120)

    def restart_agent(self, *words):
        next(p for p in self.world.processes if p.name == "agent-alpha" and p.alive()).stop()
        self.world.start_agent("alpha", *words)

    def owners_program(self):
        """The command line of a program that is called fallow-owners and goes on until it is killed."""
        program = self.world.folder / "fallow-owners"
        program.symlink_to("/bin/sleep")
        return [str(program), "300"]

    def fake_nvml(self, processes):
        """A stand-in for NVIDIA's library; the file says which processes are on the first card, GPU-one."""
        library = str(self.world.folder / "fake_nvml.so")
        subprocess.run(["cc", "-shared", "-fPIC", f'-DFAKE_PROCESSES="{processes}"', "-o", library,
                        str(SOURCE / "tests/unit/agent/fake_nvml.c")], check=True)
        return library

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
