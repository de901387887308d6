"""A job that saves its work goes on elsewhere: taken back three times, and after its host is lost without a word."""
import base64
import hashlib
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
import reclaim  # noqa: E402
from world import World  # noqa: E402

SETTINGS = ("heartbeat_interval_ms=1000", "heartbeat_timeout_ms=400", "confirm_ms=1000", "fence_ms=2000",
            "kill_ms=1000", "host_lost_ms=4500", "host_lost_declared_ms=5500", "usage_interval_ms=1000")
MIB = 1024 * 1024
STEPS = 250


class Checkpoints(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.rig = reclaim.Rig(cls.world, SETTINGS)
        cls.addClassCleanup(cls.rig.events.close)
        cls.undisturbed = cls.rig.finish(cls.rig.order(reclaim.counting(STEPS)))

    def fallow(self, *words):
        environment = {**os.environ, "FALLOW_URL": self.world.url, "FALLOW_CA": str(self.world.ca),
                       "FALLOW_API_KEY": self.rig.renter["key"]}
        done = subprocess.run([str(self.world.bin / "fallow"), *words], capture_output=True, text=True,
                              env=environment, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def checkpoints(self, job):
        return self.world.get(f"/v1/jobs/{job}/checkpoints", self.rig.renter["key"])

    def logs(self, job, attempt):
        items = self.world.get(f"/v1/jobs/{job}/logs?attempt={attempt}", self.rig.renter["key"])["items"]
        return b"".join(base64.b64decode(item["data"]) for item in items).decode().splitlines()

    def begins(self, job, attempts):
        """Where each attempt began to count, and which checkpoint it was told to go on from."""
        lines = [self.logs(job, attempt)[0].split() for attempt in range(1, attempts + 1)]
        self.assertEqual({words[0] for words in lines}, {"begins"})
        return [int(words[1]) for words in lines], [words[2] for words in lines]

    def test_three_reclaims_change_nothing_of_the_result(self):
        placed = self.rig.order(reclaim.counting(STEPS, marker="three"))
        job = placed["job"]["id"]
        # Nobody has said how often to try: a job that saves its work is tried again.
        self.assertEqual(placed["job"]["attempts_max"], 10)
        self.assertEqual(placed["job"]["checkpoint"],
                         {"path": "saved/state", "interval_ms": 3_600_000, "bytes_max": 64 * MIB})
        for _ in range(3):
            self.rig.reclaim(job)
        self.assertEqual(self.rig.finish(placed), self.undisturbed)
        begun, told = self.begins(job, 4)
        self.assertEqual(begun, sorted(set(begun)), "each attempt goes on where the one before was stopped")
        self.assertEqual((begun[0], told), (0, ["new", "1", "2", "3"]))
        ended = self.world.get("/v1/jobs/" + job, self.rig.renter["key"])
        self.assertEqual((ended["state"], ended["attempts"]), ("succeeded", 4))

        # The two newest are kept, each made for the end of an attempt; what did not change is stored once.
        kept = self.checkpoints(job)
        self.assertEqual([(item["number"], item["attempt"]) for item in kept["items"]], [(3, 3), (2, 2)])
        self.assertIsNone(kept["problem"])
        folder = self.world.folder / "fetched"
        self.assertEqual(self.fallow("job", "checkpoint", job, "--to", str(folder)), f"{folder}\n")
        self.assertEqual(int((folder / "count").read_text().split()[0]), begun[3])
        self.assertEqual((folder / "latest").readlink(), pathlib.Path("count"))
        self.assertTrue(os.access(folder / "tools/run", os.X_OK))
        self.assertEqual(hashlib.sha256((folder / "data").read_bytes()).hexdigest(),
                         hashlib.sha256(b"y\n" * (3 * MIB // 2)).hexdigest())
        self.assertFalse((folder / "half.tmp").exists())
        self.assertIn("3 ", self.fallow("job", "checkpoint", job).splitlines()[1] + " ")

    def test_a_lost_host_costs_what_came_after_the_last_save(self):
        placed = self.rig.order(reclaim.counting(STEPS, interval_ms=1000, marker="lost"))
        job, lease = placed["job"]["id"], placed["lease"]["id"]
        self.rig.wait("job.running", job)
        self.world.until(lambda: len(self.checkpoints(job)["items"]) == 2, "two checkpoints")
        host = self.rig.host_of(lease)
        self.rig.lose(host, lease)
        self.rig.wait("job.requeued", job)
        self.assertEqual(self.rig.finish(placed), self.undisturbed)
        begun, told = self.begins(job, 2)
        self.assertEqual((begun[0], told[0]), (0, "new"))
        self.assertGreater(begun[1], 0)
        self.assertGreaterEqual(int(told[1]), 2)
        first = self.world.get("/v1/leases/" + lease, self.rig.renter["key"])
        self.assertEqual(first["end_reason"], "host_lost")
        # The host comes back, and has nothing more to say about the job.
        self.world.start_agent(host)
        self.rig.wait("lease.released", lease)

    def test_a_folder_that_cannot_be_saved_is_said(self):
        placed = self.rig.order({**reclaim.counting(STEPS), "checkpoint": {
            "path": "saved/state", "interval_ms": 1000, "bytes_max": MIB}})
        job = placed["job"]["id"]
        self.rig.wait("job.running", job)
        self.world.until(lambda: self.checkpoints(job)["problem"], "a problem to be told")
        self.assertIn("and the job's bytes_max is 1048576", self.checkpoints(job)["problem"]["text"])
        self.assertEqual(self.checkpoints(job)["items"], [])
        self.rig.finish(placed)


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
