"""The main job and every way a job can end, on a whole Fallow: real server, database, agent and containers."""
import base64
import hashlib
import json
import os
import subprocess
import sys
import unittest

from world import Events, World

IMAGE = "localhost/fallow-e2e:1"
FINAL = ("succeeded", "failed", "cancelled")
MIB = 1024 * 1024


class MainJob(unittest.TestCase):
    world_class = World

    @classmethod
    def setUpClass(cls):
        cls.world = cls.world_class(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.world.start_engine()
        cls.world.make_image(IMAGE)
        # A host is lost after 6.5 s and fenced after 2 s here, so that losing one does not take a minute.
        cls.world.start_server("heartbeat_interval_ms=1000", "heartbeat_timeout_ms=500", "fence_ms=2000",
                               "host_lost_ms=6500", "host_lost_declared_ms=8000",
                               "usage_interval_ms=1000")
        cls.seller = cls.world.seller()
        cls.renter = cls.world.renter()
        cls.seller_events = cls.world_events(cls.seller)
        cls.renter_events = cls.world_events(cls.renter)
        cls.host, cls.card, cls.listing = cls.world.host_with_listing(cls.seller, "alpha", cls.seller_events,
                                                                      reclaim_notice_ms=2000)

    @classmethod
    def world_events(cls, organization):
        events = Events(cls.world, organization["key"])
        cls.addClassCleanup(events.close)
        return events

    # --- words

    def order(self, command, **job):
        spec = {"image": IMAGE, "command": command, "max_duration_ms": 120_000, **job}
        return self.world.post("/v1/orders", {
            "requirements": {"listing_id": self.listing["id"]}, "price_max_micros_per_hour": 3_000_000,
            "term_ms": 600_000, "fill_or_kill": True, "job": spec}, self.renter["key"], 201)

    def await_job(self, job, state, seconds=90):
        event = self.renter_events.wait(lambda e: e["object"]["id"] == job and e["type"] == "job." + state,
                                        f"{job} {state}", seconds)
        return event

    def await_lease(self, lease, state, seconds=90):
        return self.renter_events.wait(lambda e: e["object"]["id"] == lease and e["type"] == "lease." + state,
                                       f"{lease} {state}", seconds)

    def run_job(self, command, final, **job):
        placed = self.order(command, **job)
        self.await_job(placed["job"]["id"], final)
        self.await_lease(placed["lease"]["id"], "released")
        key = self.renter["key"]
        return self.world.get("/v1/jobs/" + placed["job"]["id"], key), self.world.get(
            "/v1/leases/" + placed["lease"]["id"], key)

    def upload(self, name, content):
        key = self.renter["key"]
        artifact = self.world.post("/v1/artifacts", {"name": name, "bytes": len(content),
                                                     "sha256": hashlib.sha256(content).hexdigest()}, key, 201)
        for part in range(0, (len(content) + MIB - 1) // MIB):
            self.world.call("PUT", f"/v1/artifacts/{artifact['id']}/parts/{part}",
                            content[part * MIB:(part + 1) * MIB], key=key, expect=204)
        return self.world.post(f"/v1/artifacts/{artifact['id']}/complete", {}, key)["id"]

    def output(self, job, path):
        key = self.renter["key"]
        items = self.world.get(f"/v1/jobs/{job}/outputs", key)["items"]
        artifact = next(item["artifact"] for item in items if item["path"] == path)
        parts = (artifact["bytes"] + MIB - 1) // MIB
        content = b"".join(self.world.get(f"/v1/artifacts/{artifact['id']}/parts/{n}", key) for n in range(parts))
        self.assertEqual(hashlib.sha256(content).hexdigest(), artifact["sha256"])
        return content

    def logs(self, job):
        items = self.world.get(f"/v1/jobs/{job}/logs", self.renter["key"])["items"]
        return b"".join(base64.b64decode(item["data"]) for item in items)

    def assert_ledger_proved(self):
        code, report = self.world.prove_ledger()
        self.assertEqual((code, report["balanced"], report["findings"]), (0, True, []))

    # --- the main job

    def test_computes_on_an_input_and_returns_an_output(self):
        content = b"".join(b"%d\n" % (n * 7919 % 100_003) for n in range(200_000))
        artifact = self.upload("numbers.txt", content)
        job, lease = self.run_job(["/bin/sh", "-c", "sort -n /work/in/numbers.txt > /work/out/sorted.txt && echo done"],
                                  "succeeded", inputs=[{"path": "numbers.txt", "artifact_id": artifact}],
                                  outputs=["sorted.txt"])
        self.assertEqual((job["state"], job["exit_code"], lease["end_reason"]), ("succeeded", 0, "completed"))
        expected = b"".join(sorted(content.splitlines(True), key=int))
        self.assertEqual(hashlib.sha256(self.output(job["id"], "sorted.txt")).hexdigest(),
                         hashlib.sha256(expected).hexdigest())
        self.assertEqual(self.logs(job["id"]), b"done\n")
        self.assertGreater(lease["charged_micros"], 0)
        self.assertEqual(lease["charged_micros"],
                         lease["price_micros_per_hour"] * lease["thousandths"] * lease["running_ms"] // 3_600_000_000)
        self.assert_ledger_proved()

    def test_receipt_verifies_offline_and_tampering_shows(self):
        job, lease = self.run_job(["/bin/sh", "-c", "true"], "succeeded")
        receipt = self.world.get(f"/v1/leases/{lease['id']}/receipt", self.renter["key"])
        verify = lambda document: subprocess.run(
            [str(self.world.bin / "fallow"), "receipt", "verify", "--server-key",
             str(self.world.data / "server_signing.pub"), "/dev/stdin"], input=json.dumps(document),
            capture_output=True, text=True)
        good = verify(receipt)
        self.assertEqual(good.returncode, 0, good.stdout + good.stderr)
        altered = dict(receipt, receipt=receipt["receipt"].replace("charged_micros: ", "charged_micros: 1"))
        self.assertEqual(verify(altered).returncode, 1)

    # --- the ways a job ends

    def test_an_image_that_does_not_exist(self):
        job, lease = self.run_job(["true"], "failed", image="localhost/no-such-image:1")
        self.assertEqual((lease["end_reason"], job["reason"], lease["charged_micros"]),
                         ("image_pull_failed", "image_pull_failed", 0))

    def test_a_program_that_does_not_exist(self):
        job, lease = self.run_job(["/no/such/program"], "failed")
        self.assertEqual((lease["end_reason"], lease["charged_micros"]), ("start_failed", 0))

    def test_a_command_that_fails(self):
        job, lease = self.run_job(["/bin/sh", "-c", "echo broken >&2; exit 7"], "failed")
        self.assertEqual((lease["end_reason"], job["exit_code"]), ("command_failed", 7))
        self.assertEqual(self.logs(job["id"]), b"broken\n")

    def test_a_container_that_eats_too_much_memory(self):
        eat = "x=$(head -c 16777216 /dev/zero | tr '\\0' x); while true; do x=$x$x; done"
        job, lease = self.run_job(["/bin/sh", "-c", eat], "failed", memory_bytes=64 * MIB)
        self.assertEqual(lease["end_reason"], "out_of_memory")

    def test_a_job_that_overruns(self):
        job, lease = self.run_job(["/bin/sleep", "600"], "failed", max_duration_ms=2000)
        self.assertEqual(lease["end_reason"], "duration_exceeded")
        self.assertLess(lease["running_ms"], 30_000)

    def test_a_renter_cancels(self):
        placed = self.order(["/bin/sleep", "600"])
        self.await_job(placed["job"]["id"], "running")
        self.world.post(f"/v1/jobs/{placed['job']['id']}/cancel", {}, self.renter["key"])
        self.await_job(placed["job"]["id"], "cancelled")
        released = self.await_lease(placed["lease"]["id"], "released")
        self.assertEqual(released["data"]["end_reason"], "cancelled_by_renter")

    def test_the_owner_reclaims_after_the_notice(self):
        placed = self.order(["/bin/sh", "-c", "trap 'echo told; exit 3' TERM; while true; do sleep 0.1; done"])
        self.await_job(placed["job"]["id"], "running")
        self.world.post(f"/v1/leases/{placed['lease']['id']}/reclaim", {}, self.seller["key"])
        released = self.await_lease(placed["lease"]["id"], "released")
        self.assertEqual(released["data"]["end_reason"], "reclaimed_by_owner")
        self.assertEqual(self.logs(placed["job"]["id"]), b"told\n")

    def test_a_job_that_saves_its_work_and_leaves_has_not_completed(self):
        placed = self.order(["/bin/sh", "-c", "trap 'echo saved; exit 0' TERM; while true; do sleep 0.1; done"])
        self.await_job(placed["job"]["id"], "running")
        self.world.post(f"/v1/leases/{placed['lease']['id']}/reclaim", {}, self.seller["key"])
        released = self.await_lease(placed["lease"]["id"], "released")
        self.assertEqual(released["data"]["end_reason"], "reclaimed_by_owner")
        job = self.world.get("/v1/jobs/" + placed["job"]["id"], self.renter["key"])
        self.assertEqual((job["state"], job["reason"]), ("failed", "reclaimed_by_owner"))
        self.assertEqual(self.logs(placed["job"]["id"]), b"saved\n")

    def test_a_frozen_host_ends_its_leases(self):
        placed = self.order(["/bin/sleep", "600"])
        self.await_job(placed["job"]["id"], "running")
        frozen = self.world.post("/v1/admin/freezes", {"kind": "host", "target": self.host, "note": "a drill"},
                                 self.world.admin_key, 201)
        self.addCleanup(self.world.call, "DELETE", "/v1/admin/freezes/" + frozen["id"], key=self.world.admin_key)
        self.assertEqual(self.await_lease(placed["lease"]["id"], "stopping")["reason"], "policy_revoked")
        released = self.await_lease(placed["lease"]["id"], "released")
        self.assertEqual(released["data"]["end_reason"], "policy_revoked")

    def test_the_agent_is_killed_and_adopts_its_container_again(self):
        placed = self.order(["/bin/sh", "-c", "echo one; sleep 6; echo two"])
        self.await_job(placed["job"]["id"], "running")
        next(p for p in self.world.processes if p.name == "agent-alpha" and p.alive()).kill()
        self.world.start_agent("alpha")
        self.await_job(placed["job"]["id"], "succeeded")
        self.await_lease(placed["lease"]["id"], "released")
        self.assertEqual(self.logs(placed["job"]["id"]), b"one\ntwo\n")
        self.assert_ledger_proved()

    def test_a_host_that_vanishes(self):
        placed = self.order(["/bin/sleep", "600"])
        self.await_job(placed["job"]["id"], "running")
        lease_id = placed["lease"]["id"]
        self.await_lease(lease_id, "metered")
        next(p for p in self.world.processes if p.name == "agent-alpha" and p.alive()).kill()
        ended = self.await_lease(lease_id, "ended")
        self.assertEqual(ended["data"]["end_reason"], "host_lost")
        self.assertEqual(self.await_job(placed["job"]["id"], "failed")["reason"], "host_lost")
        usage = self.world.get(f"/v1/leases/{lease_id}/usage", self.renter["key"])["items"]
        self.assertEqual(ended["data"]["running_ms"], usage[-1]["accepted_running_ms"])
        # The card is free again only when its host has reported the container gone.
        self.world.start_agent("alpha")
        self.await_lease(lease_id, "released")
        self.assert_ledger_proved()


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
