"""What a job can ask for besides its command: secrets, outputs that are saved while it runs, to be tried again, to be
looked after, and deadlines. A whole Fallow: real server, database, agents and containers."""
import base64
import datetime
import hashlib
import os
import pathlib
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
import reclaim  # noqa: E402
from world import World  # noqa: E402

SETTINGS = ("heartbeat_interval_ms=1000", "heartbeat_timeout_ms=400", "confirm_ms=1000", "fence_ms=2000",
            "kill_ms=1000", "host_lost_ms=4500", "host_lost_declared_ms=5500", "usage_interval_ms=1000")
MIB = 1024 * 1024
VALUE = b"sesame-3f9c\x00\n-open"


def sh(text, **job):
    return {"image": reclaim.IMAGE, "command": ["/bin/sh", "-c", text], "max_duration_ms": 600_000, **job}


class JobTerms(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.rig = reclaim.Rig(cls.world, SETTINGS)
        cls.addClassCleanup(cls.rig.events.close)
        cls.addClassCleanup(cls.rig.seller_events.close)

    def tearDown(self):
        # What a test that failed has left would keep a host from the next one.
        for job in self.world.get("/v1/jobs", self.rig.renter["key"])["items"]:
            if job["state"] in ("queued", "assigned", "running"):
                self.world.call("POST", f"/v1/jobs/{job['id']}/cancel", {}, key=self.rig.renter["key"])
                self.rig.wait("job.cancelled", job["id"])

    # --- words

    def fallow(self, *words, key=None, stdin=b"", code=0):
        environment = {**os.environ, "FALLOW_URL": self.world.url, "FALLOW_CA": str(self.world.ca),
                       "FALLOW_API_KEY": key or self.rig.renter["key"]}
        done = subprocess.run([str(self.world.bin / "fallow"), *words], capture_output=True, input=stdin,
                              env=environment)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return (done.stdout + done.stderr).decode()

    def sql(self, text, role="fallow_engine"):
        done = subprocess.run(["psql", self.world.database_url, "-qAt", "-c", f"SET ROLE {role}", "-c", text],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return done.stdout.strip() if done.returncode == 0 else done.stderr.strip()

    def ended(self, placed, state, seconds=90):
        """The job, and its last lease, once the job is `state`."""
        job = placed["job"]["id"]
        self.rig.wait("job." + state, job, seconds)
        job = self.rig.job(job)
        return job, self.world.get("/v1/leases/" + job["lease_id"], self.rig.renter["key"])

    def logs(self, job):
        items = self.world.get(f"/v1/jobs/{job}/logs", self.rig.renter["key"])["items"]
        return b"".join(base64.b64decode(item["data"]) for item in items)

    def outputs(self, job):
        return {item["path"]: item["artifact"]
                for item in self.world.get(f"/v1/jobs/{job}/outputs", self.rig.renter["key"])["items"]}

    def content(self, artifact):
        parts = (artifact["bytes"] + MIB - 1) // MIB
        octets = b"".join(self.world.get(f"/v1/artifacts/{artifact['id']}/parts/{number}", self.rig.renter["key"])
                          for number in range(parts))
        self.assertEqual(hashlib.sha256(octets).hexdigest(), artifact["sha256"])
        return octets

    def places_with(self, value):
        """Files of the whole world, the engine's store and the database included, that hold the octets."""
        found = subprocess.run(["grep", "-rlaF", "--", value, str(self.world.folder)], capture_output=True, text=True,
                               stdin=subprocess.DEVNULL)
        return found.stdout.split()

    # --- secrets

    def test_a_secret_is_a_file_of_the_job_and_nowhere_else(self):
        self.assertNotIn("sesame", self.fallow("secret", "set", "token", stdin=VALUE))
        listed = self.fallow("secret", "list", "-o", "json")
        self.assertIn('"token"', listed)
        self.assertNotIn("sesame", listed)
        placed = self.rig.order(sh(
            "stat -c '%a %u' /run/secrets/token; id -u; sha256sum </run/secrets/token; env | grep -c sesame;"
            " touch /run/secrets/x 2>/dev/null && echo writable; ls /run/secrets; sleep 600", secrets=["token"]))
        job = placed["job"]["id"]
        self.assertEqual(placed["job"]["secrets"], ["token"])
        self.rig.wait("job.running", job)
        self.world.until(lambda: self.logs(job).endswith(b"token\n"), "the job to look")
        self.assertEqual(self.logs(job).decode().split(),
                         ["400", "0", "0", hashlib.sha256(VALUE).hexdigest(), "-", "0", "token"])
        lease = self.rig.job(job)["lease_id"]
        host = self.rig.host_of(lease)
        self.assertEqual(self.places_with("sesame-3f9c"),
                         [str(self.world.folder / f"agent-{host}/leases/{lease}/secrets/token")])
        for container in self.world.engine_command("ps", "-q").split():
            self.assertNotIn("sesame-3f9c", self.world.engine_command("inspect", container))
        self.world.post(f"/v1/jobs/{job}/cancel", {}, self.rig.renter["key"])
        self.rig.wait("lease.released", lease)
        self.assertEqual(self.places_with("sesame-3f9c"), [])

    def test_the_database_holds_no_value_and_tells_a_request_none(self):
        self.fallow("secret", "set", "kept", stdin=b"xyzzy-plugh")
        self.assertIn("permission denied", self.sql("SELECT sealed FROM secrets", "fallow_request"))
        self.assertEqual(self.sql("SELECT count(*) FROM secrets", "fallow_agent"), "0")
        row = self.sql("SELECT sealed, wrapped_key FROM secrets WHERE name = 'kept'")
        self.assertNotIn(b"xyzzy".hex(), row)

    def test_only_a_secret_that_is_there_can_be_named(self):
        key = self.rig.renter["key"]
        status, problem, _ = self.world.call("POST", "/v1/orders", {
            "price_max_micros_per_hour": 3_000_000, "term_ms": 600_000,
            "job": sh("true", secrets=["no-such"])}, key=key)
        self.assertEqual((status, problem["code"], problem["pointer"]), (404, "not_found", "/job/secrets/0"))
        stranger = self.world.renter("stranger")
        self.fallow("secret", "set", "theirs", key=stranger["key"], stdin=b"x")
        status, problem, _ = self.world.call("POST", "/v1/orders", {
            "price_max_micros_per_hour": 3_000_000, "term_ms": 600_000,
            "job": sh("true", secrets=["theirs"])}, key=key)
        self.assertEqual((status, problem["pointer"]), (404, "/job/secrets/0"))
        self.fallow("secret", "delete", "theirs", code=1)
        self.fallow("secret", "delete", "theirs", key=stranger["key"])
        self.assertEqual(self.world.get("/v1/secrets", stranger["key"])["items"], [])

    # --- outputs

    def test_a_lost_host_costs_what_came_after_the_last_upload(self):
        placed = self.rig.order(sh(
            "head -c 3000000 /dev/urandom >/work/out/model; n=0; while :; do n=$((n+1));"
            " echo $n >/work/out/.new; mv /work/out/.new /work/out/count; sleep 0.2; done",
            outputs=["model", "count", "never"], output_interval_ms=1000))
        job, lease = placed["job"]["id"], placed["lease"]["id"]
        self.rig.wait("job.running", job)
        self.world.until(lambda: "count" in self.outputs(job), "the first upload")
        first = self.outputs(job)
        self.world.until(lambda: self.outputs(job)["count"]["id"] != first["count"]["id"], "another upload")
        self.assertEqual(self.outputs(job)["model"]["id"], first["model"]["id"], "what has not changed stays")
        # Three chunks of the large file, stored once, and the small one's last two at most.
        organization = uuid_of(self.rig.job(job)["organization_id"])
        chunks = int(self.sql(f"SET fallow.organization = '{organization}'; SELECT count(*) FROM output_chunks"
                              f" WHERE job_id = '{uuid_of(job)}'", "fallow_request"))
        self.assertIn(chunks, range(4, 8))
        host = self.rig.host_of(lease)
        self.rig.lose(host, lease)
        ended, first_lease = self.ended(placed, "failed")
        self.assertEqual(ended["reason"], "host_lost")
        kept = self.outputs(job)
        self.assertEqual(sorted(kept), ["count", "model"])
        self.assertEqual(len(self.content(kept["model"])), 3_000_000)
        self.assertGreater(int(self.content(kept["count"])), 0)
        # It can be the input of another job, whose host sees nothing else of this one.
        self.world.start_agent(host)
        self.rig.wait("lease.released", lease)
        again, _ = self.ended(self.rig.order(sh(
            "sha256sum </work/in/model", inputs=[{"path": "model", "artifact_id": kept["model"]["id"]}])), "succeeded")
        self.assertEqual(self.logs(again["id"]).decode().split()[0], kept["model"]["sha256"])

    def test_the_end_has_the_last_word(self):
        placed = self.rig.order(sh("echo early >/work/out/result; sleep 4; echo late >/work/out/result",
                                   outputs=["result"], output_interval_ms=1000))
        self.ended(placed, "succeeded")
        self.assertEqual(self.content(self.outputs(placed["job"]["id"])["result"]), b"late\n")

    # --- ends

    def test_an_exit_code_that_is_tried_again(self):
        job, lease = self.ended(self.rig.order(sh("exit 75", attempts_max=3, retry_exit_codes=[75, 137])), "failed")
        self.assertEqual((job["attempts"], job["exit_code"], job["reason"], lease["end_reason"]),
                         (3, 75, "temporary_failure", "temporary_failure"))
        job, _ = self.ended(self.rig.order(sh("exit 1", attempts_max=3, retry_exit_codes=[75])), "failed")
        self.assertEqual((job["attempts"], job["exit_code"], job["reason"]), (1, 1, "command_failed"))

    def test_an_exit_code_after_which_it_is_started_again(self):
        placed = self.rig.order(sh(
            "echo run >>/work/out/runs; n=$(wc -l </work/out/runs); echo $n; test $n -lt 3 && exit 75; exit 0",
            outputs=["runs"], attempts_max=2, restart={"exit_codes": [75], "restarts_max": 5, "delay_ms": 1000}))
        job, lease = self.ended(placed, "succeeded")
        self.assertEqual((job["attempts"], job["restarts"], job["exit_code"], job["lease_id"]),
                         (1, 2, 0, placed["lease"]["id"]))
        self.assertEqual(self.logs(job["id"]).decode().splitlines(), [
            "1", "fallow: ended with exit code 75; restart 1 of 5 follows in 1 s",
            "2", "fallow: ended with exit code 75; restart 2 of 5 follows in 2 s", "3"])
        self.assertEqual(self.content(self.outputs(job["id"])["runs"]), b"run\nrun\nrun\n")
        parse = datetime.datetime.fromisoformat
        took = parse(job["finished_at"]) - parse(job["started_at"])
        self.assertLess(datetime.timedelta(milliseconds=lease["running_ms"]), took - datetime.timedelta(seconds=2),
                        "the delays of three seconds are not billed")
        self.assertIn("2 of 5", self.fallow("job", "show", job["id"]))

    def test_used_up_restarts_give_the_retry_policy_its_turn(self):
        job, lease = self.ended(self.rig.order(sh(
            "exit 75", attempts_max=2, retry_exit_codes=[75], restart={"restarts_max": 1})), "failed")
        self.assertEqual((job["attempts"], job["restarts"], job["reason"], lease["end_reason"]),
                         (2, 1, "temporary_failure", "temporary_failure"))
        job, _ = self.ended(self.rig.order(sh("exit 1", restart={"exit_codes": [75], "restarts_max": 1})), "failed")
        self.assertEqual((job["restarts"], job["reason"]), (0, "command_failed"))

    def test_a_job_that_is_cancelled_while_it_waits_for_its_restart(self):
        placed = self.rig.order(sh("exit 3", restart={"restarts_max": 1, "delay_ms": 300_000}))
        job = placed["job"]["id"]
        self.world.until(lambda: self.logs(job).endswith(b"in 300 s\n"), "the delay")
        self.world.post(f"/v1/jobs/{job}/cancel", {}, self.rig.renter["key"])
        ended, lease = self.ended(placed, "cancelled")
        self.assertEqual((ended["restarts"], lease["end_reason"]), (0, "cancelled_by_renter"))

    def test_a_restart_outlives_the_agent(self):
        placed = self.rig.order(sh(
            "test -e /work/out/once && exit 0; touch /work/out/once; exit 75",
            restart={"exit_codes": [75], "restarts_max": 1, "delay_ms": 3000}))
        job = placed["job"]["id"]
        self.world.until(lambda: self.logs(job).endswith(b"in 3 s\n"), "the delay")
        host = self.rig.host_of(placed["lease"]["id"])
        next(p for p in self.world.processes if p.name == f"agent-{host}" and p.alive()).kill()
        self.world.start_agent(host)
        ended, _ = self.ended(placed, "succeeded")
        self.assertEqual((ended["attempts"], ended["restarts"]), (1, 1))

    def test_a_job_that_is_not_well_is_ended(self):
        placed = self.rig.order(sh(
            "trap 'echo told; exit 0' TERM; touch /tmp/well; sleep 3; rm /tmp/well; while :; do sleep 0.1; done",
            health={"command": ["test", "-e", "/tmp/well"], "interval_ms": 1000, "retries": 2}))
        job, lease = self.ended(placed, "failed")
        self.assertEqual((job["reason"], lease["end_reason"]), ("unhealthy", "unhealthy"))
        self.assertGreater(lease["running_ms"], 3000)
        self.assertEqual(self.logs(job["id"]), b"told\n")

    def test_a_health_check_that_hangs_has_failed(self):
        placed = self.rig.order(sh(
            "trap 'exit 0' TERM; while :; do sleep 0.1; done",
            health={"command": ["sleep", "600"], "interval_ms": 1000, "timeout_ms": 500, "retries": 1}))
        self.assertEqual(self.ended(placed, "failed")[0]["reason"], "unhealthy")

    def test_an_idle_job_is_ended_and_a_busy_one_is_not(self):
        idle = {"below_percent": 30, "for_ms": 10_000}
        busy = self.rig.order(sh("while :; do :; done", idle=idle, cpu_millis=200))
        self.rig.wait("job.running", busy["job"]["id"])
        job, lease = self.ended(self.rig.order(sh("sleep 600", idle=idle, cpu_millis=200)), "failed")
        self.assertEqual((job["reason"], lease["end_reason"]), ("idle", "idle"))
        self.assertGreaterEqual(lease["running_ms"], 10_000)
        self.assertEqual(self.rig.job(busy["job"]["id"])["state"], "running")
        self.world.post(f"/v1/jobs/{busy['job']['id']}/cancel", {}, self.rig.renter["key"])
        self.ended(busy, "cancelled")

    def test_an_image_that_does_not_come(self):
        with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
            image = f"127.0.0.1:{silent.getsockname()[1]}/nothing:1"
            job, lease = self.ended(self.rig.order({**sh("true", pull_timeout_ms=2000), "image": image}), "failed")
        self.assertEqual((job["reason"], lease["end_reason"], lease["charged_micros"]),
                         ("image_pull_failed", "image_pull_failed", 0))

    def test_the_size_of_shared_memory(self):
        job, _ = self.ended(self.rig.order(sh("df -k /dev/shm | awk 'END {print $2}'", shm_bytes=8 * MIB,
                                              memory_bytes=64 * MIB)), "succeeded")
        self.assertEqual(self.logs(job["id"]), b"8192\n")


def uuid_of(job):
    """The id as the database has it: 26 digits of Crockford's base 32."""
    number = 0
    for digit in job.split("_")[1]:
        number = number * 32 + "0123456789abcdefghjkmnpqrstvwxyz".index(digit)
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
