"""What a guest leaves in the memory of a card is overwritten before anybody else gets it.

The card is tests/unit/agent/fake_nvml.c and fake_cuda.c: its memory is a file, which CDI gives to the guests as
/vram. They write into it, and the next guest, the owner and this test look for that.
"""
import base64
import json
import os
import pathlib
import signal
import subprocess
import sys
import unittest

from world import SOURCE, Events, World

IMAGE = "localhost/fallow-e2e:1"
UUID = "GPU-00112233-4455-6677-8899-aabbccddee00"
MIB = 1 << 20
CARD_MIB = 64
PLACES = "1 30 60"  # in the memory, in MiB
LEFT = "what-a-guest-left-behind"
PLANT = f"for at in {PLACES}; do printf {LEFT} | dd of=/vram bs=1M seek=$at conv=notrunc 2>/dev/null; done"
LOOK = f"for at in {PLACES}; do dd if=/vram bs=1M skip=$at count=1 2>/dev/null | head -c {len(LEFT)}; done; echo looked"
LEAVES_AND_ENDS = ["/bin/sh", "-c", f"{PLANT}; {LOOK}"]
LEAVES_AND_STAYS = ["/bin/sh", "-c", f"trap 'exit 0' TERM; {PLANT}; while true; do sleep 0.1; done"]
LOOKS = ["/bin/sh", "-c", LOOK]
ASK = 2_500_000
FAILS = ["-DFAKE_FAILS_AFTER=0"]  # it says so at once, and has changed nothing
NOT_OVERWRITTEN = "what a guest left in its memory is not overwritten"


class Scrub(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.world.start_engine()
        cls.world.make_image(IMAGE)
        cls.world.start_server("usage_interval_ms=1000")
        cls.memory = cls.world.folder / "vram"
        cls.memory.write_bytes(bytes(CARD_MIB * MIB))
        cls.memory.chmod(0o666)
        cls.make_cdi()
        cls.nvml, cls.cuda = cls.world.folder / "nvml.so", cls.world.folder / "cuda.so"
        cls.build("fake_nvml", cls.nvml, f"-DFAKE_VRAM_BYTES={CARD_MIB * MIB}ull", f'-DFAKE_UUID="{UUID}"')
        cls.set_driver()
        cls.words = ["--nvml-library", str(cls.nvml), "--cuda-library", str(cls.cuda),
                     "--opencl-library", "/no/such/library.so"]
        cls.seller = cls.world.seller()
        cls.renter = cls.world.renter()
        cls.seller_events = cls.events_of(cls.seller)
        cls.renter_events = cls.events_of(cls.renter)
        cls.host, cls.card, cls.listing = cls.world.host_with_listing(
            cls.seller, "alpha", cls.seller_events, ask=ASK, agent_words=cls.words, reclaim_notice_ms=2000)

    @classmethod
    def make_cdi(cls):
        """Where the engine looks for devices by default; the agent's own name for the card."""
        mount = {"hostPath": str(cls.memory), "containerPath": "/vram", "options": ["bind", "rw"]}
        spec = pathlib.Path("/var/run/cdi/fallow-scrub-test.json")
        spec.parent.mkdir(parents=True, exist_ok=True)
        spec.write_text(json.dumps({"cdiVersion": "0.4.0", "kind": "nvidia.com/gpu", "devices": [
            {"name": UUID, "containerEdits": {"mounts": [mount]}}]}))
        cls.addClassCleanup(spec.unlink)

    @staticmethod
    def build(source, library, *options):
        """Put in its place whole: a child of the agent may load it at any moment."""
        fresh = library.with_suffix(".new")
        subprocess.run(["cc", "-shared", "-fPIC", *options, "-o", fresh, SOURCE / f"tests/unit/agent/{source}.c"],
                       check=True)
        fresh.rename(library)

    @classmethod
    def set_driver(cls, *options):
        cls.build("fake_cuda", cls.cuda, f"-DFAKE_CLAIMED_MIB={CARD_MIB}", f'-DFAKE_VRAM="{cls.memory}"', *options)

    @classmethod
    def events_of(cls, organization):
        events = Events(cls.world, organization["key"])
        cls.addClassCleanup(events.close)
        return events

    # --- words

    def order(self, command):
        body = {"requirements": {"listing_id": self.listing["id"]}, "price_max_micros_per_hour": ASK,
                "term_ms": 600_000, "fill_or_kill": True,
                "job": {"image": IMAGE, "command": command, "max_duration_ms": 300_000}}
        return self.world.call("POST", "/v1/orders", body, key=self.renter["key"])

    def placed(self, command):
        status, placed, _ = self.order(command)
        self.assertEqual(status, 201, placed)
        return placed["job"]["id"], placed["lease"]["id"]

    def running(self):
        """A job that has left something, and stays until it is told to go."""
        job, lease = self.placed(LEAVES_AND_STAYS)
        self.await_renters(job, "job.running")
        self.world.until(self.is_left, "the guest to leave something")
        return job, lease

    def await_renters(self, identity, kind):
        return self.renter_events.wait(lambda e: e["object"]["id"] == identity and e["type"] == kind,
                                       f"{identity} {kind}", 90)

    def await_card(self, state):
        return self.seller_events.wait(
            lambda e: e["object"]["id"] == self.card and e["data"].get("state") == state, f"a card that is {state}",
            120)

    def is_left(self):
        return LEFT.encode() in self.memory.read_bytes()

    def logs(self, job):
        items = self.world.get(f"/v1/jobs/{job}/logs", self.renter["key"])["items"]
        return b"".join(base64.b64decode(item["data"]) for item in items)

    def agent(self, *words):
        return subprocess.run([str(self.world.bin / "fallow-agent"), words[0], "--state",
                               str(self.world.folder / "agent-alpha"), *words[1:]],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)

    def last_guest(self):
        """The self-test's row, beside the running agent."""
        done = self.agent("self-test", "--json", "--engine-socket", str(self.world.engine_socket), *self.words)
        rows = [row for row in json.loads(done.stdout)["checks"] if row["check"] == "last guest"]
        return [(row["verdict"], NOT_OVERWRITTEN in row["measured"]) for row in rows]

    # --- what is shown

    def test_the_next_guest_finds_nothing(self):
        job, lease = self.placed(LEAVES_AND_ENDS)
        self.await_renters(lease, "lease.released")
        self.assertEqual(self.logs(job).count(LEFT.encode()), len(PLACES.split()), "it did leave something")
        self.assertFalse(self.is_left(), "the card was free before it was overwritten")
        job, lease = self.placed(LOOKS)
        self.await_renters(lease, "lease.released")
        seen = self.logs(job)
        self.assertIn(b"looked", seen)
        self.assertNotIn(LEFT.encode(), seen)

    def test_the_owner_finds_nothing_with_the_server_out_of_reach(self):
        _, lease = self.running()
        server = self.world.server.child
        server.send_signal(signal.SIGSTOP)
        self.addCleanup(server.send_signal, signal.SIGCONT)
        look = f"import pathlib; print({LEFT.encode()!r} in pathlib.Path({str(self.memory)!r}).read_bytes())"
        done = self.agent("own", UUID, "--yes", "--", sys.executable, "-c", look)
        self.assertEqual((done.returncode, done.stdout), (0, "False\n"), done.stderr)
        self.assertNotIn(NOT_OVERWRITTEN, done.stderr)
        server.send_signal(signal.SIGCONT)
        self.await_renters(lease, "lease.released")

    def test_anybody_may_have_a_card_overwritten(self):
        self.memory.write_bytes(bytes(MIB) + LEFT.encode() + bytes((CARD_MIB - 1) * MIB - len(LEFT)))
        command = [str(self.world.bin / "fallow-agent"), "scrub", *self.words]
        self.set_driver(*FAILS)
        self.addCleanup(self.set_driver)
        failed = subprocess.run([*command, "0"], capture_output=True, text=True)
        self.assertEqual((failed.returncode, self.is_left()), (1, True), failed.stdout)
        self.set_driver()
        done = subprocess.run([*command, f"{UUID},0"], capture_output=True, text=True)
        self.assertEqual((done.returncode, self.is_left()), (0, False), done.stderr)

    def test_a_card_that_cannot_be_overwritten_is_offered_to_nobody(self):
        job, lease = self.running()
        self.set_driver(*FAILS)
        self.addCleanup(self.set_driver)
        self.world.post(f"/v1/jobs/{job}/cancel", {}, self.renter["key"])
        withheld = self.await_card("withheld")
        self.assertIn(NOT_OVERWRITTEN, withheld["data"]["withheld_reason"])
        self.await_renters(lease, "lease.released")
        self.assertTrue(self.is_left())
        status, refused, _ = self.order(LOOKS)
        self.assertEqual((status, refused["code"]), (409, "no_match"))
        self.assertIn("kept back, " + NOT_OVERWRITTEN, self.agent("status").stdout)
        self.assertEqual(self.last_guest(), [("wrong", True)])
        # Its owner has it all the same, and is told.
        done = self.agent("own", UUID, "--yes", "--", "echo", "mine")
        self.assertEqual((done.returncode, done.stdout), (0, "mine\n"), done.stderr)
        self.assertIn(NOT_OVERWRITTEN, done.stderr)

        self.set_driver()
        self.await_card("present")
        self.assertFalse(self.is_left())
        self.assertEqual(self.last_guest(), [])
        job, lease = self.placed(LOOKS)
        self.await_renters(lease, "lease.released")
        self.assertNotIn(LEFT.encode(), self.logs(job))

    def test_an_agent_killed_before_it_has_overwritten_the_card_does_so_later(self):
        job, lease = self.running()
        self.set_driver(*FAILS, "-DFAKE_HANG")
        self.addCleanup(self.set_driver)
        self.world.post(f"/v1/jobs/{job}/cancel", {}, self.renter["key"])
        self.await_renters(lease, "lease.reclaiming")
        agent = next(p for p in self.world.processes if p.name == "agent-alpha" and p.alive())
        agent.kill()
        self.assertTrue(self.is_left())
        self.set_driver()
        self.world.start_agent("alpha", *self.words)
        self.await_renters(lease, "lease.released")
        self.assertFalse(self.is_left())


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
