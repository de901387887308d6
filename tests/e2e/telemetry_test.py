"""Telemetry of a real container: measured by the agent, kept by the server, shown by the CLI and on /metrics."""
import http.client
import json
import os
import socket
import subprocess
import sys
import unittest

from world import Events, World

IMAGE = "localhost/fallow-e2e:1"
MIB = 1024 * 1024
# Busy for as long as it is let, with 40 MiB of memory that stay.
BUSY = ["/bin/sh", "-c", "dd if=/dev/zero of=/tmp/held bs=1M count=40 2>/dev/null; echo up; while :; do :; done"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Telemetry(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.world.start_engine()
        cls.world.make_image(IMAGE)
        cls.world.start_server("usage_interval_ms=1000")
        cls.seller, cls.renter = cls.world.seller(), cls.world.renter()
        cls.stranger = cls.world.renter("stranger", 0)
        cls.events = {}
        for name, organization in (("seller", cls.seller), ("renter", cls.renter)):
            cls.events[name] = Events(cls.world, organization["key"])
            cls.addClassCleanup(cls.events[name].close)
        cls.metrics_port = free_port()
        cls.host, cls.card, cls.listing = cls.world.host_with_listing(
            cls.seller, "alpha", cls.events["seller"], agent_words=("--metrics", f"127.0.0.1:{cls.metrics_port}"))

    def fallow(self, *words, key=None, code=0):
        environment = {**os.environ, "FALLOW_URL": self.world.url, "FALLOW_CA": str(self.world.ca),
                       "FALLOW_API_KEY": key or self.renter["key"]}
        done = subprocess.run([str(self.world.bin / "fallow"), *words], capture_output=True, text=True,
                              env=environment, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def stats(self, lease, key=None):
        return json.loads(self.fallow("lease", "stats", lease, "-o", "json", key=key))

    def metrics(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=10)
        connection.request("GET", "/metrics")
        reply = connection.getresponse()
        self.assertEqual(reply.status, 200)
        return reply.read().decode().splitlines()

    def metric(self, name, lease):
        """The value of the lease's sample of that name; nothing while there is none."""
        found = [line for line in self.metrics() if line.startswith(name + "{") and f'fallow_lease="{lease}"' in line]
        return float(found[0].rsplit(" ", 1)[1]) if found else None

    def test_a_busy_container_is_measured_and_shown(self):
        placed = self.world.post("/v1/orders", {
            "requirements": {"listing_id": self.listing["id"]}, "price_max_micros_per_hour": 3_000_000,
            "term_ms": 600_000, "fill_or_kill": True,
            "job": {"image": IMAGE, "command": BUSY, "max_duration_ms": 300_000, "memory_bytes": 256 * MIB,
                    "cpu_millis": 500}}, self.renter["key"], 201)
        lease, job = placed["lease"]["id"], placed["job"]["id"]
        self.assertEqual(self.stats(lease)["cards"], [])

        # The present, on the host's own page: real processor time and memory of this very container.
        self.world.until(lambda: (self.metric("fallow_guest_cpu_seconds_total", lease) or 0) > 3, "3 s of work", 120)
        self.assertEqual(self.metric("fallow_guest_cpu_limit_cores", lease), 0.5)
        self.assertEqual(self.metric("fallow_guest_memory_limit_bytes", lease), 256 * MIB)
        self.assertGreater(self.metric("fallow_guest_memory_used_bytes", lease), 40 * MIB)
        page = self.metrics()
        self.assertFalse([line for line in page if "DCGM" in line], "a processor is no GPU")
        self.assertTrue([line for line in page if f'fallow_job="{job}"' in line and 'source="cgroup"' in line])

        # The guest has no way to it: its network namespace has a loopback of its own.
        asked = self.fallow("job", "exec", job, "--", "/bin/sh", "-c",
                            f"wget -q -O - http://127.0.0.1:{self.metrics_port}/metrics || echo refused")
        self.assertIn("refused", asked)
        self.assertNotIn("fallow_", asked)

        # What is over is sent: with the end of the lease at the latest.
        self.world.post(f"/v1/leases/{lease}/end", {}, self.renter["key"])
        self.events["renter"].wait(lambda e: e["type"] == "lease.released" and e["object"]["id"] == lease,
                                   "the end", 90)
        self.world.until(lambda: self.metric("fallow_guest_cpu_seconds_total", lease) is None, "nothing to measure", 60)
        self.world.until(lambda: "fallow_telemetry_minutes_waiting 0" in self.metrics(), "the last minute", 60)
        seen = self.stats(lease)
        card = seen["cards"][0]
        self.assertEqual((seen["role"], seen["job_id"], card["card_id"], card["source"], card["shared"]),
                         ("renter", job, self.card, "cgroup", False))
        self.assertEqual((card["cpu_millis"], card["memory_bytes"]), (500, 256 * MIB))
        # A loop in half a processor; how much of it a busy machine gives is not for this test to say.
        self.assertGreater(card["utilization_thousandths"]["max"], 100)
        self.assertLessEqual(card["utilization_thousandths"]["max"], 1000)
        self.assertGreater(card["memory_used_bytes"]["max"], 40 * MIB)
        self.assertLess(card["memory_used_bytes"]["max"], 256 * MIB)
        self.assertIsNone(card["power_milliwatts"], "nobody measured it")
        self.assertIsNone(card["temperature_celsius"])
        self.assertEqual(seen["efficiency"]["used_thousandths"], card["utilization_thousandths"]["mean"])
        self.assertEqual((seen["efficiency"]["verdict"], seen["efficiency"]["hint"]), ("too_little_measured", None))

        table = self.fallow("lease", "stats", lease)
        self.assertIn("utilisation", table)
        self.assertTrue(set("▁▂▃▄▅▆▇█") & set(table), table)
        self.assertNotIn("temperature", table)
        self.assertIn("none yet: it takes 10 measured minutes", table)
        self.assertEqual(json.loads(self.fallow("job", "show", job, "-o", "json"))["efficiency"], seen["efficiency"])
        self.assertIn("used of what was paid", self.fallow("job", "show", job))

        # The seller of the card, the operator, a stranger.
        of_seller = self.stats(lease, self.seller["key"])
        self.assertEqual((of_seller["role"], of_seller["efficiency"]), ("seller", None))
        self.assertIsNone(of_seller["cards"][0]["memory_used_bytes"])
        self.assertEqual(of_seller["cards"][0]["utilization_thousandths"], card["utilization_thousandths"])
        self.assertIn(lease, self.fallow("lease", "stats", lease, "--as-operator", key=self.world.admin_key))
        self.fallow("lease", "stats", lease, key=self.stranger["key"], code=1)

    def test_other_than_loopback_is_refused_at_the_start(self):
        self.world.enroll(self.seller, "beta")
        agent = self.world.start_agent("beta", "--metrics", "0.0.0.0:9400")
        self.world.until(lambda: not agent.alive(), "the agent to refuse", 60)
        self.assertEqual(agent.child.returncode, 1)
        self.assertIn("others could reach it", agent.tail())


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
