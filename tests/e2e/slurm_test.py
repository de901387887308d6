"""A Slurm partition on the market: a real Slurm, whose jobs run guests in real containers; how its owners get it
back."""
import base64
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import unittest

from private_slurm import PARTITION, PrivateSlurm
from world import Events, World

IMAGE = "localhost/fallow-e2e:1"
NEVER_ENDS = ["/bin/sh", "-c", "trap 'echo told; cat $FALLOW_NOTICE_FILE; exit 3' TERM; echo up; "
                               "while true; do sleep 0.1; done"]
# Loop devices let a guest on another host have its working storage.
CAN_LOOP = all(os.access(path, mode) for path, mode in (
    ("/sbin/mkfs.ext4", os.X_OK), ("/dev/loop-control", os.R_OK | os.W_OK)))


class Slurm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.world.start_engine()
        cls.world.make_image(IMAGE)
        here = socket.gethostname().split(".")[0]
        nodes = [("near", here, "gpu:pocl:2")]
        if CAN_LOOP:
            nodes.append(("other", "another-host", "gpu:pocl:1"))  # on this machine, and the agent cannot know
        cls.slurm = PrivateSlurm(cls.world, nodes)
        cls.slurm.start()
        cls.addClassCleanup(cls.slurm.stop)
        cls.world.start_server("usage_interval_ms=1000")
        cls.seller = cls.world.seller()
        cls.renter = cls.world.renter()
        cls.seller_events = cls.events_of(cls.seller)
        cls.renter_events = cls.events_of(cls.renter)
        cls.world.enroll(cls.seller, "alpha")
        cls.agent = cls.start_agent()
        cls.list_cards(sum(int(gres.split(":")[2]) for _, _, gres in nodes))

    @classmethod
    def events_of(cls, organization):
        events = Events(cls.world, organization["key"])
        cls.addClassCleanup(events.close)
        return events

    @classmethod
    def start_agent(cls):
        return cls.world.spawn("agent-alpha", [
            cls.world.bin / "fallow-agent", "run", "--state", cls.world.folder / "agent-alpha", "--slurm-partition",
            PARTITION, "--engine-socket", cls.world.engine_socket, "--measure-bytes", str(16 * 1024 * 1024)],
            {**os.environ, "SLURM_CONF": str(cls.slurm.folder / "slurm.conf")})

    @classmethod
    def list_cards(cls, count):
        online = cls.seller_events.wait(lambda e: e["type"] == "host.online", "the host to come online", 90)
        cls.host = online["object"]["id"]
        measured = {}
        while len(measured) < count:
            found = cls.seller_events.wait(
                lambda e: e["type"] in ("card.found", "card.changed") and e["data"]["measured_at"], "a measured card",
                180)
            measured[found["object"]["id"]] = found["data"]
        cls.cards = measured
        cls.listings = [cls.world.post("/v1/listings", {
            "host_id": cls.host, "card_ids": [card], "ask_micros_per_hour": 2_500_000, "reclaim_notice_ms": 2000},
            cls.seller["key"], 201) for card in cls.cards_in_order()]

    @classmethod
    def cards_in_order(cls):
        items = cls.world.get(f"/v1/hosts/{cls.host}/cards", cls.seller["key"])["items"]
        return [card["id"] for card in sorted(items, key=lambda card: card["index"])]

    # --- words

    def order(self, command, listing=0, fill_or_kill=True, **job):
        return self.world.post("/v1/orders", {
            "requirements": {"listing_id": self.listings[listing]["id"]}, "price_max_micros_per_hour": 3_000_000,
            "term_ms": 600_000, "fill_or_kill": fill_or_kill,
            "job": {"image": IMAGE, "command": command, "max_duration_ms": 300_000, **job}}, self.renter["key"], 201)

    def running(self, command, **how):
        placed = self.order(command, **how)
        self.await_object(placed["job"]["id"], "job.running")
        return placed["job"]["id"], placed["lease"]["id"]

    def await_object(self, identity, kind, seconds=90):
        return self.renter_events.wait(lambda e: e["object"]["id"] == identity and e["type"] == kind,
                                       f"{identity} {kind}", seconds)

    def await_card(self, state):
        return self.seller_events.wait(lambda e: e["data"].get("state") == state and e["type"].startswith("card."),
                                       f"a card that is {state}", 60)

    def logs(self, job):
        items = self.world.get(f"/v1/jobs/{job}/logs", self.renter["key"])["items"]
        return b"".join(base64.b64decode(item["data"]) for item in items)

    def job(self, identity):
        return self.world.get("/v1/jobs/" + identity, self.renter["key"])

    def lease(self, identity):
        return self.world.get("/v1/leases/" + identity, self.renter["key"])

    def assert_billed_as_slurm_says(self, lease):
        ended = self.lease(lease)
        job = self.slurm.job_of(lease)
        seconds = int(job["EndTime"]) - int(job["StartTime"])
        self.assertGreater(ended["running_ms"], 0)
        self.assertLessEqual(ended["running_ms"], (seconds + 1) * 1000)
        self.assertEqual(ended["charged_micros"],
                         ended["price_micros_per_hour"] * ended["thousandths"] * ended["running_ms"] // 3_600_000_000)
        code, report = self.world.prove_ledger()
        self.assertEqual((code, report["balanced"], report["findings"]), (0, True, []))

    def assert_receipt_verifies(self, lease):
        receipt = self.world.get(f"/v1/leases/{lease}/receipt", self.renter["key"])
        done = subprocess.run([str(self.world.bin / "fallow"), "receipt", "verify", "--server-key",
                               str(self.world.data / "server_signing.pub"), "/dev/stdin"], input=json.dumps(receipt),
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def containers(self):
        return self.world.engine_command("ps", "--all", "--quiet").split()

    def assert_nothing_is_left(self):
        self.assertEqual(self.containers(), [])
        for lease in (self.world.folder / "agent-alpha/leases").glob("*"):
            self.assertEqual([path.name for path in lease.iterdir() if path.name in ("in", "out", "out.img", "slurm")],
                             [])

    def output(self, job, path):
        key = self.renter["key"]
        items = self.world.get(f"/v1/jobs/{job}/outputs", key)["items"]
        artifact = next(item["artifact"] for item in items if item["path"] == path)
        return self.world.get(f"/v1/artifacts/{artifact['id']}/parts/0", key)

    # --- an order

    def test_an_order_is_a_batch_job(self):
        self.run_through(0)

    @unittest.skipUnless(CAN_LOOP, "without loop devices another host's guest has no working storage")
    def test_an_order_on_another_host_of_the_cluster(self):
        self.run_through(-1)

    def run_through(self, listing):
        work = ("grep CapEff /proc/self/status; cat /proc/self/uid_map; touch /etc/x; echo oops >&2; "
                "sleep 2; echo result > /work/out/result.txt; echo done")
        placed = self.order(["/bin/sh", "-c", work], listing, outputs=["result.txt"])
        job, lease = placed["job"]["id"], placed["lease"]["id"]
        self.await_object(job, "job.succeeded")
        self.await_object(lease, "lease.released")
        logged = self.logs(job).decode()
        # A guest like any other: no capabilities, a user namespace, a root that cannot be written to.
        self.assertRegex(logged, r"CapEff:\s+0000000000000000\n")
        self.assertRegex(logged, r"\n +0 +[1-9][0-9]+ +65536\n")
        self.assertIn("touch: /etc/x: Read-only file system\n", logged)
        self.assertTrue(logged.endswith("done\n") and "oops\n" in logged, logged)
        self.assertEqual(self.output(job, "result.txt"), b"result\n")
        self.assertEqual(self.lease(lease)["end_reason"], "completed")
        self.assert_receipt_verifies(lease)
        self.assert_billed_as_slurm_says(lease)
        mine = self.slurm.job_of(lease)
        self.assertEqual((mine["TresPerNode"], mine["Requeue"], mine["Partition"], mine["JobName"]),
                         ("gres:gpu:pocl:1", "0", PARTITION, lease))
        self.slurm.await_job(mine["JobId"], "COMPLETED")
        self.assert_nothing_is_left()

    def test_what_cannot_be_started(self):
        self.world.call("PUT", "/v1/secrets/pull", {"value": base64.b64encode(b"user:token").decode()},
                        key=self.renter["key"], expect=200)
        for how, reason in (({"image": "localhost/no-such-image:1", "command": ["true"]}, "image_pull_failed"),
                            ({"image": "registry.example/a:1", "registry_secret": "pull", "command": ["true"]},
                             "start_failed"),
                            ({"command": ["/no/such/program"]}, "start_failed"),
                            ({"command": ["true"], "idle": {"below_percent": 30, "for_ms": 10_000}}, "start_failed")):
            placed = self.order(how.pop("command"), **how)
            self.await_object(placed["job"]["id"], "job.failed")
            self.await_object(placed["lease"]["id"], "lease.released")
            ended = self.lease(placed["lease"]["id"])
            self.assertEqual((ended["end_reason"], ended["charged_micros"]), (reason, 0))
        self.assert_nothing_is_left()

    def test_a_job_that_is_not_well_is_ended(self):
        self.end_the_unwell(0)

    @unittest.skipUnless(CAN_LOOP, "without loop devices another host's guest has no working storage")
    def test_a_job_that_is_not_well_is_ended_on_another_host(self):
        self.end_the_unwell(-1)

    def end_the_unwell(self, listing):
        script = ("trap 'echo told; exit 0' TERM; touch /tmp/well; sleep 3; rm /tmp/well; "
                  "while :; do sleep 0.1; done")
        placed = self.order(["/bin/sh", "-c", script], listing,
                            health={"command": ["test", "-e", "/tmp/well"], "interval_ms": 1000, "retries": 2})
        job, lease = placed["job"]["id"], placed["lease"]["id"]
        self.await_object(job, "job.failed")
        self.await_object(lease, "lease.released")
        self.assertEqual((self.job(job)["reason"], self.lease(lease)["end_reason"]), ("unhealthy", "unhealthy"))
        # It was well at first, and the check said so.
        self.assertGreater(self.lease(lease)["running_ms"], 3000)
        self.assertEqual(self.logs(job), b"told\n")
        self.assert_nothing_is_left()

    def test_a_renter_cancels(self):
        job, lease = self.running(NEVER_ENDS)
        self.await_object(lease, "lease.metered")
        self.world.post(f"/v1/jobs/{job}/cancel", {}, self.renter["key"])
        self.await_object(job, "job.cancelled")
        self.await_object(lease, "lease.released")
        self.assertEqual(self.lease(lease)["end_reason"], "cancelled_by_renter")
        self.assertRegex(self.logs(job), rb"^up\ntold\nreason=cancelled_by_renter\n")
        self.assert_billed_as_slurm_says(lease)
        self.assert_nothing_is_left()

    def test_an_administrator_cancels_the_job(self):
        job, lease = self.running(NEVER_ENDS)
        self.slurm.call("scancel", self.slurm.job_of(lease)["JobId"])
        self.await_object(job, "job.failed")
        self.await_object(lease, "lease.released")
        self.assertEqual(self.job(job)["exit_code"], 3)
        self.assertRegex(self.logs(job), rb"^up\ntold\n")
        self.assert_billed_as_slurm_says(lease)
        self.assert_nothing_is_left()

    def test_a_job_that_is_killed_leaves_nothing(self):
        self.kill_the_job(0)

    @unittest.skipUnless(CAN_LOOP, "without loop devices another host's guest has no working storage")
    def test_a_job_that_is_killed_on_another_host_leaves_nothing(self):
        self.kill_the_job(-1)

    @staticmethod
    def script_of(lease):
        """The process of the batch script, as the node has it."""
        for command in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = command.read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue  # it has ended meanwhile
            if "slurm-step" in words and any(lease in word for word in words):
                return int(command.parent.name)
        raise AssertionError(f"no batch script of {lease} runs")

    def kill_the_job(self, listing):
        job, lease = self.running(NEVER_ENDS, listing=listing)
        os.kill(self.script_of(lease), signal.SIGKILL)
        self.await_object(job, "job.failed")
        self.await_object(lease, "lease.released")
        self.assertEqual(self.job(job)["exit_code"], 137)
        self.assert_billed_as_slurm_says(lease)
        self.assert_nothing_is_left()

    # --- the fence

    def stop_server(self):
        server = self.world.server.child
        server.send_signal(signal.SIGSTOP)
        self.addCleanup(server.send_signal, signal.SIGCONT)
        return server

    def test_a_guest_on_the_agents_host_is_frozen_without_a_server(self):
        job, lease = self.running(NEVER_ENDS)
        book = self.world.folder / "agent-alpha/guard.book"
        server = self.stop_server()
        self.world.until(lambda: " frozen " in book.read_text(), "the guest to be frozen", 60)
        self.assertEqual(len(self.containers()), 1)
        server.send_signal(signal.SIGCONT)
        # Either it is thawed, or the server has given it up meanwhile; it ends in both cases.
        self.world.call("POST", f"/v1/jobs/{job}/cancel", {}, key=self.renter["key"])
        self.await_object(lease, "lease.released")
        self.assert_billed_as_slurm_says(lease)
        self.assert_nothing_is_left()

    @unittest.skipUnless(CAN_LOOP, "without loop devices another host's guest has no working storage")
    def test_a_guest_on_another_host_is_killed_without_a_server(self):
        job, lease = self.running(NEVER_ENDS, listing=-1)
        server = self.stop_server()
        self.world.until(lambda: not self.containers(), "the guest to be gone", 60)
        server.send_signal(signal.SIGCONT)
        self.await_object(job, "job.failed")
        self.await_object(lease, "lease.released")
        self.assert_nothing_is_left()

    # --- the owner comes first

    def test_a_job_of_the_clusters_own_takes_the_cards_back(self):
        job, lease = self.running(NEVER_ENDS)
        own = self.slurm.submit("--nodelist=near", "--gres=gpu:pocl:2", "--wrap=sleep 600")
        self.addCleanup(self.slurm.call, "scancel", own, check=False)
        self.await_object(lease, "lease.released")
        self.assertEqual(self.lease(lease)["end_reason"], "reclaimed_by_owner")
        self.assertRegex(self.logs(job), rb"^up\ntold\nreason=reclaimed_by_owner\n")
        self.slurm.await_job(own, "RUNNING")
        self.assert_billed_as_slurm_says(lease)
        # While it runs, its cards are nobody else's.
        standing = self.order(["/bin/true"], fill_or_kill=False)
        self.assertEqual(standing["order"]["state"], "standing")
        self.slurm.call("scancel", own)
        self.await_object(standing["order"]["id"], "order.filled")
        filled = self.world.get("/v1/orders/" + standing["order"]["id"], self.renter["key"])
        self.await_object(filled["lease_id"], "lease.released")

    def test_the_owner_reclaims_a_card(self):
        job, lease = self.running(NEVER_ENDS)
        owner = [str(self.world.bin / "fallow-agent")]
        state = ["--state", str(self.world.folder / "agent-alpha"), "0"]
        taken = subprocess.run([*owner, "reclaim", *state, "--yes", "--wait"], capture_output=True, text=True,
                               stdin=subprocess.DEVNULL, timeout=120)
        self.assertEqual(taken.returncode, 0, taken.stderr)
        self.await_object(lease, "lease.released")
        self.assertEqual(self.lease(lease)["end_reason"], "reclaimed_by_owner")
        subprocess.run([*owner, "release", *state], check=True, capture_output=True)
        self.await_offered()

    def test_a_drained_node_is_not_offered(self):
        self.slurm.call("scontrol", "update", "nodename=near", "state=drain", "reason=test")
        self.await_card("missing")
        standing = self.order(["/bin/true"], fill_or_kill=False)
        self.assertEqual(standing["order"]["state"], "standing")
        self.slurm.call("scontrol", "update", "nodename=near", "state=resume")
        self.await_object(standing["order"]["id"], "order.filled")
        filled = self.world.get("/v1/orders/" + standing["order"]["id"], self.renter["key"])
        self.await_object(filled["lease_id"], "lease.released")

    def await_offered(self):
        """The market has the first card again: an order of it is filled."""
        placed = self.order(["/bin/true"], fill_or_kill=False)
        if placed["order"]["state"] == "standing":
            self.await_object(placed["order"]["id"], "order.filled")
        filled = self.world.get("/v1/orders/" + placed["order"]["id"], self.renter["key"])
        self.await_object(filled["lease_id"], "lease.released")

    # --- the agent

    def test_the_agent_is_killed_and_adopts_its_job_again(self):
        job, lease = self.running(NEVER_ENDS)
        before = self.slurm.job_of(lease)["JobId"]
        type(self).agent.kill()
        type(self).agent = self.start_agent()
        self.await_object(lease, "lease.metered")
        # Its guest has run through: one beginning, in one job.
        self.world.post(f"/v1/jobs/{job}/cancel", {}, self.renter["key"])
        self.await_object(lease, "lease.released")
        self.assertRegex(self.logs(job), rb"^up\ntold\nreason=cancelled_by_renter\n")
        self.assertEqual(self.slurm.job_of(lease)["JobId"], before)
        self.assert_billed_as_slurm_says(lease)
        self.assert_nothing_is_left()

    def test_a_job_of_no_lease_is_cancelled(self):
        stray = self.slurm.submit("--gres=gpu:pocl:1", "--nodelist=near", "--wrap=sleep 600",
                                  f"--comment=fallow host={self.host} lease=lease_{'a' * 26} epoch=1")
        # By the signal for its guest, or by scancel, whichever it heard first.
        self.slurm.await_job(stray, "CANCELLED", "FAILED")


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
