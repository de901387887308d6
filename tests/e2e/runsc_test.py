"""A job under runsc (gVisor), from the order to its output: its own kernel, no network, and a renter who goes in."""
import base64
import os
import subprocess
import unittest

from routes_fixture import run_tests
from world import Events, World

IMAGE = "localhost/fallow-e2e:1"
JOB = ("grep -q 'Linux version 4.4.0' /proc/version && echo inside; id -u; echo result >/work/out/result; "
       "while [ ! -e /tmp/done ]; do sleep 0.2; done")


class RunscTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.world.start_engine("runsc")
        cls.world.make_image(IMAGE)
        cls.world.start_server()
        cls.seller, cls.renter = cls.world.seller(), cls.world.renter()
        cls.seller_events, cls.renter_events = (Events(cls.world, one["key"]) for one in (cls.seller, cls.renter))
        for stream in (cls.seller_events, cls.renter_events):
            cls.addClassCleanup(stream.close)
        engine = ("--engine-socket", cls.world.engine_socket)
        state = cls.world.enroll(cls.seller, "alpha", words=engine)
        enrolled, = cls.world.get("/v1/hosts", cls.seller["key"])["items"]
        cls.told_at_enrolment = enrolled["runtime"]
        cls.world.spawn("agent-alpha", [
            cls.world.bin / "fallow-agent", "run", "--state", state, "--engine-socket", cls.world.engine_socket,
            "--runtime", "runsc", "--measure-bytes", str(16 * 1024 * 1024)])
        cls.host = cls.seller_events.wait(lambda e: e["type"] == "host.online", "the host to come online",
                                          90)["object"]["id"]
        card = cls.seller_events.wait(
            lambda e: e["type"] in ("card.found", "card.changed") and e["data"]["measured_at"], "a measured card", 90)
        cls.listing = cls.world.post("/v1/listings", {
            "host_id": cls.host, "card_ids": [card["object"]["id"]], "ask_micros_per_hour": 2_500_000},
            cls.seller["key"], 201)

    def fallow(self, *words):
        environment = {**os.environ, "FALLOW_URL": self.world.url, "FALLOW_CA": str(self.world.ca),
                       "FALLOW_API_KEY": self.renter["key"]}
        return subprocess.run([str(self.world.bin / "fallow"), "job", *words], capture_output=True, env=environment,
                              input=b"", timeout=120)

    def await_job(self, job, state):
        self.renter_events.wait(lambda e: e["object"]["id"] == job and e["type"] == "job." + state,
                                f"{job} {state}", 120)

    def test_a_job_runs_in_a_kernel_of_its_own(self):
        shown = self.world.get("/v1/hosts/" + self.host, self.seller["key"])
        self.assertEqual((shown["runtime"], shown["guest_network"]), ("runsc", "none"))
        self.assertEqual(self.told_at_enrolment, "runsc")
        job = self.world.post("/v1/orders", {
            "requirements": {"listing_id": self.listing["id"]}, "price_max_micros_per_hour": 3_000_000,
            "term_ms": 600_000, "fill_or_kill": True,
            "job": {"image": IMAGE, "command": ["/bin/sh", "-c", JOB], "max_duration_ms": 300_000,
                    "outputs": ["result"]}}, self.renter["key"], 201)["job"]["id"]
        self.await_job(job, "running")

        port = self.fallow("port-forward", "--stdio", job, "7070")
        self.assertEqual(port.returncode, 1)
        self.assertIn(b"no port of the job can be reached", port.stderr)
        gone_in = self.fallow("exec", job, "--", "/bin/sh", "-c", "echo here; exit 3")
        self.assertEqual((gone_in.returncode, gone_in.stdout), (3, b"here\n"), gone_in.stderr)
        self.fallow("exec", job, "--", "touch", "/tmp/done")  # the job may end before this does

        self.await_job(job, "succeeded")
        items = self.world.get(f"/v1/jobs/{job}/logs", self.renter["key"])["items"]
        self.assertEqual(b"".join(base64.b64decode(item["data"]) for item in items), b"inside\n65534\n")
        outputs = self.world.get(f"/v1/jobs/{job}/outputs", self.renter["key"])["items"]
        parts = [self.world.get(f"/v1/artifacts/{item['artifact']['id']}/parts/0", self.renter["key"])
                 for item in outputs if item["path"] == "result"]
        self.assertEqual(parts, [b"result\n"])


if __name__ == "__main__":
    run_tests()
