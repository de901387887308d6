"""How far a job's transfers are is seen while they go on, and a broken connection costs them little. A whole Fallow:
real server, database, agent and containers, with lines to the server that break, of the agent and of the renter."""
import base64
import hashlib
import json
import os
import subprocess
import unittest

from weak_line import MIB, WeakLine
from world import Events, World

IMAGE = "localhost/fallow-transfer:1"
SIZE = 8 * MIB
# A connection carries two whole parts of 1 MiB and breaks within the third.
BREAK_AFTER = 2 * MIB + MIB // 2


class Transfers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.world.start_engine()
        cls.world.make_image(IMAGE)
        cls.world.start_server()
        cls.line, cls.renter_line = WeakLine(cls.world.port), WeakLine(cls.world.port)
        cls.addClassCleanup(cls.line.close)
        cls.addClassCleanup(cls.renter_line.close)
        cls.seller, cls.renter = cls.world.seller(), cls.world.renter()
        seller_events = Events(cls.world, cls.seller["key"])
        cls.addClassCleanup(seller_events.close)
        cls.events = Events(cls.world, cls.renter["key"])
        cls.addClassCleanup(cls.events.close)
        direct, cls.world.url = cls.world.url, cls.line.url
        cls.listing = cls.world.host_with_listing(
            cls.seller, "alpha", seller_events, agent_words=("--measure-network-within-minutes", "1440"))[2]
        cls.world.url = direct

    def tearDown(self):
        self.line.heal()
        self.renter_line.heal()

    def environment(self, url=None):
        return {**os.environ, "FALLOW_URL": url or self.world.url, "FALLOW_CA": str(self.world.ca),
                "FALLOW_API_KEY": self.renter["key"]}

    def fallow(self, *words, url=None):
        done = subprocess.run([str(self.world.bin / "fallow"), *map(str, words)], capture_output=True, text=True,
                              env=self.environment(url), stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def artifact(self, content):
        made = self.world.post("/v1/artifacts", {"name": "big", "bytes": len(content),
                                                 "sha256": hashlib.sha256(content).hexdigest()},
                               self.renter["key"], 201)["id"]
        for part in range(0, len(content) // MIB):
            self.world.call("PUT", f"/v1/artifacts/{made}/parts/{part}", content[part * MIB:(part + 1) * MIB],
                            key=self.renter["key"], expect=204)
        return self.world.post(f"/v1/artifacts/{made}/complete", {}, self.renter["key"])["id"]

    def order(self, text, **job):
        body = {"requirements": {"listing_id": self.listing["id"]}, "price_max_micros_per_hour": 10_000_000,
                "term_ms": 3_600_000, "fill_or_kill": True,
                "job": {"image": IMAGE, "command": ["/bin/sh", "-c", text], "max_duration_ms": 600_000,
                        "disk_bytes": 64 * MIB, **job}}
        return self.world.post("/v1/orders", body, self.renter["key"], 201)

    def succeed(self, placed):
        job, lease = placed["job"]["id"], placed["lease"]["id"]
        ended = self.events.wait(lambda e: e["object"]["id"] == job and e["type"] in
                                 ("job.succeeded", "job.failed"), "the job to end", 120)
        self.assertEqual((ended["type"], ended["reason"]), ("job.succeeded", "completed"))
        self.events.wait(lambda e: e["object"]["id"] == lease and e["type"] == "lease.released",
                         "the card to be free", 60)
        return job

    def job(self, job):
        return self.world.get("/v1/jobs/" + job, self.renter["key"])

    def log(self, job):
        items = self.world.get(f"/v1/jobs/{job}/logs", self.renter["key"])["items"]
        return b"".join(base64.b64decode(item["data"]) for item in items).decode()

    def assert_went_on(self, line, times=1):
        """Several connections were needed, and less was sent again than half of the whole."""
        self.assertGreaterEqual(line.breaks, 3 * times)
        self.assertLess(line.octets, (SIZE + SIZE // 2) * times)

    def run_words(self, file):
        """Of a job that gives its input back."""
        return ("job", "run", "--image", IMAGE, "--price-max", "10", "--term", "1h", "--disk", "64MiB", "--input",
                f"{file}:big", "--output", "copy", "--to", self.world.folder / "results")

    def file(self, name):
        file = self.world.folder / name
        file.write_bytes(os.urandom(SIZE))
        return file

    def stop_in_the_middle(self, *words):
        """Runs the program until its line has moved a part of the file and stalls, and kills it."""
        self.renter_line.be_weak(stall_after=BREAK_AFTER)
        process = self.world.spawn("stopped", [self.world.bin / "fallow", *words],
                                   self.environment(self.renter_line.url))
        self.world.until(lambda: self.renter_line.octets > BREAK_AFTER, "the line to stall")
        process.kill()
        self.renter_line.be_weak()

    def test_progress_is_seen_while_inputs_are_fetched(self):
        content = os.urandom(4 * MIB)
        artifact = self.artifact(content)
        self.line.be_weak(stall_after=BREAK_AFTER)
        placed = self.order("sha256sum </work/in/big", inputs=[{"path": "big", "artifact_id": artifact}])
        job = placed["job"]["id"]
        log = self.world.folder / "follower.log"
        follower = self.world.spawn("follower", [self.world.bin / "fallow", "job", "logs", "-f", job],
                                    self.environment())
        shown = {"step": "fetching_inputs", "done_bytes": 2 * MIB, "total_bytes": 4 * MIB}
        self.world.until(lambda: {**(self.job(job)["progress"] or {}), "at": 0} == {**shown, "at": 0},
                         "the job's progress")
        line = "fetching inputs: 2 MiB of 4 MiB (50 %)"
        self.assertIn(line, self.fallow("job", "show", job))
        self.world.until(lambda: line in log.read_text(), "the follower to tell it")
        self.line.heal()
        self.succeed(placed)
        self.assertIsNone(self.job(job)["progress"])
        self.world.until(lambda: not follower.alive(), "the follower to end")
        self.assertIn(hashlib.sha256(content).hexdigest(), log.read_text())

    def test_inputs_go_on_where_a_connection_broke(self):
        content = os.urandom(SIZE)
        artifact = self.artifact(content)
        self.line.be_weak(break_after=BREAK_AFTER)
        job = self.succeed(self.order("sha256sum </work/in/big", inputs=[{"path": "big", "artifact_id": artifact}]))
        self.assert_went_on(self.line)
        self.assertIn(hashlib.sha256(content).hexdigest(), self.log(job))

    def test_outputs_go_on_where_a_connection_broke(self):
        self.line.be_weak(break_after=BREAK_AFTER)
        job = self.succeed(self.order(f"head -c {SIZE} /dev/urandom >/work/out/big; sha256sum </work/out/big",
                                      outputs=["big"]))
        self.assert_went_on(self.line)
        output = self.world.get(f"/v1/jobs/{job}/outputs", self.renter["key"])["items"][0]["artifact"]
        self.assertEqual((output["state"], output["bytes"]), ("complete", SIZE))
        self.assertIn(output["sha256"], self.log(job))

    def test_a_renter_s_files_go_on_where_a_connection_broke(self):
        file = self.file("broken")
        self.renter_line.be_weak(break_after=BREAK_AFTER)
        self.fallow(*self.run_words(file), "--", "cp", "/work/in/big", "/work/out/copy", url=self.renter_line.url)
        self.assert_went_on(self.renter_line, times=2)
        self.assertEqual((self.world.folder / "results/copy").read_bytes(), file.read_bytes())

    def test_a_renter_s_files_go_on_in_another_process(self):
        file, line = self.file("stopped"), self.renter_line
        run = (*self.run_words(file), "--detach", "-o", "json", "--", "cp", "/work/in/big", "/work/out/copy")
        self.stop_in_the_middle(*run)
        job = json.loads(self.fallow(*run, url=line.url))
        self.assertLess(line.octets, SIZE - MIB, "two parts of it were there")
        self.succeed({"job": job, "lease": {"id": self.job(job["id"])["lease_id"]}})
        download = ("job", "download", job["id"], "--to", self.world.folder / "elsewhere")
        self.stop_in_the_middle(*download)
        self.fallow(*download, url=line.url)
        self.assertLess(line.octets, SIZE - MIB, "two parts of it were there")
        self.assertEqual((self.world.folder / "elsewhere/copy").read_bytes(), file.read_bytes())
        self.assertEqual([left.name for left in (self.world.folder / "elsewhere").iterdir()], ["copy"])


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    bad = {getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors}
    print(f"{max(result.testsRun - len(bad), 0)} passed, {len(bad)} failed")
    raise SystemExit(0 if result.wasSuccessful() else 1)
