"""Wall clocks of agent and server that jump by a day while a lease runs: nothing changes.

libfaketime moves what these processes are told of the wall clock, as setting the clock would, and leaves the monotonic
and the boot clock alone. The container engine and the database keep the true time.
"""
import datetime
import json
import os
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))
import fence  # noqa: E402
from world import World  # noqa: E402

LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
DAY = 86_400
TICKS = 400
# Long enough for an agent to be restarted within its fence.
WINDOWS = fence.LITERAL._replace(settings=("usage_interval_ms=1000",))


class Clocks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.path.exists(LIBRARY):
            raise AssertionError(f"{LIBRARY} is missing: install the package faketime")
        cls.world = World(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.offset = cls.world.folder / "clock"
        cls.set_clocks(0)
        cls.world.environment = {**os.environ, "LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": str(cls.offset),
                                 "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_CACHE_DURATION": "1"}
        cls.rig = fence.Rig(cls.world, WINDOWS)
        cls.addClassCleanup(cls.rig.events.close)

    @classmethod
    def set_clocks(cls, seconds):
        cls.offset.write_text(f"{seconds:+d}\n")

    def server_wall_clock(self):
        """Seconds by which the server's wall clock differs from ours, by the latest line of its log."""
        last = (self.world.folder / "fallowd.log").read_text().splitlines()[-1]
        moment = datetime.datetime.fromisoformat(json.loads(last)["time"].replace("Z", "+00:00"))
        return moment.timestamp() - time.time()

    def host_certificate(self):
        return (self.rig.state("alpha") / "tls.crt").read_text()

    def agent_log_days(self):
        lines = (self.world.folder / "agent-alpha.log").read_text().splitlines()
        return {json.loads(line)["time"][:10] for line in lines if line.startswith("{")}

    def jump(self, seconds, lease):
        """All clocks at once; then a new agent, so that every connection is made and judged anew."""
        self.set_clocks(seconds)
        self.world.until(lambda: abs(self.server_wall_clock() - seconds) < 60, "the clocks to jump", 30)
        self.rig.wait("lease.metered", lease)
        self.rig.agent("alpha").kill()
        self.world.start_agent("alpha")
        for _ in range(3):
            self.rig.wait("lease.metered", lease)

    def test_a_lease_runs_through_jumps_of_a_day(self):
        rig = self.rig
        # Renewal is due at two thirds of a day: a jump must not look like it.
        certificate = self.host_certificate()
        placed = rig.order(rig.spec(TICKS), requirements={"listing_id": rig.listings["alpha"]["id"]})
        job, lease = placed["job"]["id"], placed["lease"]["id"]
        rig.wait("job.running", job)
        container = fence.Container(rig, "alpha", lease)
        self.addCleanup(container.close)
        before = rig.lease(lease)
        for seconds in (DAY, -DAY, 0):
            self.jump(seconds, lease)
            now = rig.lease(lease)
            self.assertEqual((now["state"], now["running_at"]), ("running", before["running_at"]))
        rig.wait("job.succeeded", job)
        rig.wait("lease.released", lease)

        ended = rig.lease(lease)
        ticks = container.ticks()
        ran_ms = (ticks[-1] - ticks[0]) * 1000
        self.assertEqual((ended["end_reason"], len(ticks)), ("completed", TICKS))
        self.assertLess(abs(ended["running_ms"] - ran_ms), 2000, f"{ended['running_ms']} ms for {ran_ms:.0f} ms")
        self.assertEqual(ended["charged_micros"],
                         ended["price_micros_per_hour"] * ended["thousandths"] * ended["running_ms"] // 3_600_000_000)
        self.assertLess(max(after - before for before, after in zip(ticks, ticks[1:])), 1.0)  # it was never frozen
        self.assertEqual(self.host_certificate(), certificate)
        kinds = {event["type"] for event in rig.events.seen}
        self.assertEqual(kinds & {"lease.stopping", "lease.host_silent", "job.requeued"}, set())
        code, report = self.world.prove_ledger()
        self.assertEqual((code, report["findings"]), (0, []))
        # The agent lived in three days, by its log: the jumps were real.
        self.assertEqual(len(self.agent_log_days()), 3)


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
