"""A real dockerd in Podman's place, and the same agent: the main job and every way a job ends, renters who go in,
private images, and what a guest may do under Docker's spelling of its profile."""
import base64
import json
import unittest

import main_job_test
import registry_test
import tunnel_test
from replicas import Replicas
from routes_fixture import run_tests
from world import World

# What is there of the guest's rights, one fact a line.
PROBE = r"""
echo "user $(id -u) $(id -g)"
awk '/^(CapPrm|CapEff|CapBnd|NoNewPrivs|Seccomp):/ {print $1, $2}' /proc/self/status
for folder in / /bin /etc /run /var/tmp /data /work /work/in /work/notice /work/out /tmp /proc/sys/kernel /sys; do
    touch $folder/probe 2>/dev/null && echo "writable $folder"
done
echo "network" $(ls /sys/class/net)
echo "loader <$LD_PRELOAD> gpu <$NVIDIA_VISIBLE_DEVICES>"
unshare -U true 2>/dev/null && echo may-unshare
mount -t tmpfs x /tmp 2>/dev/null && echo may-mount
true
"""
NO_CAPABILITIES = "0" * 16
PROFILE = ["user 65534 65534", f"CapPrm: {NO_CAPABILITIES}", f"CapEff: {NO_CAPABILITIES}", f"CapBnd: {NO_CAPABILITIES}",
           "NoNewPrivs: 1", "Seccomp: 2", "writable /work/out", "writable /tmp", "network lo", "loader <> gpu <>"]
FORKS = "for i in $(seq 24); do sleep 60 & done 2>/dev/null; echo reached the end"


class Docker:
    engine_name = "docker"


class DockerWorld(Docker, World):
    pass


class DockerReplicas(Docker, Replicas):
    pass


class MainJobWithDocker(main_job_test.MainJob):
    world_class = DockerWorld

    def sh(self, script, final="succeeded", **job):
        done, lease = self.run_job(["/bin/sh", "-c", script], final, **job)
        return self.logs(done["id"]).decode(), lease

    def test_the_host_says_what_runs_its_guests(self):
        host = self.world.get("/v1/hosts/" + self.host, self.seller["key"])
        self.assertEqual((host["engine"].split(".")[0], host["runtime"], host["guest_network"]),
                         ("docker 20", "runc", "none"))

    def test_a_guest_has_the_rights_of_its_profile_and_no_more(self):
        self.assertEqual(self.sh(PROBE)[0].splitlines(), PROFILE)

    def test_a_guest_cannot_have_more_processes_than_its_limit(self):
        output, lease = self.sh(FORKS, "failed", pids_max=16)
        self.assertNotIn("reached the end", output)
        self.assertEqual(lease["end_reason"], "command_failed")

    def test_a_secret_is_a_file_that_the_job_alone_can_read(self):
        self.world.call("PUT", "/v1/secrets/token", {"value": base64.b64encode(b"sesame-3f9c").decode()},
                        key=self.renter["key"], expect=200)
        output, _ = self.sh("stat -c '%a %u' /run/secrets/token; cat /run/secrets/token; env | grep -c sesame; true",
                            secrets=["token"])
        self.assertEqual(output, "400 65534\nsesame-3f9c0\n")

    def test_a_job_that_is_not_well_is_ended(self):
        _, lease = self.sh("touch /tmp/well; sleep 3; rm /tmp/well; exec sleep 600", "failed",
                           health={"command": ["test", "-e", "/tmp/well"], "interval_ms": 1000, "retries": 2})
        self.assertEqual(lease["end_reason"], "unhealthy")
        self.assertGreater(lease["running_ms"], 3000)

    def test_an_idle_job_is_ended_by_what_the_kernel_counted(self):
        _, lease = self.sh("exec sleep 600", "failed", cpu_millis=200, idle={"below_percent": 30, "for_ms": 10_000})
        self.assertEqual(lease["end_reason"], "idle")

    def test_a_job_reads_its_notice_before_the_card_is_taken_back(self):
        placed = self.order(["/bin/sh", "-c",
                             "trap 'cat $FALLOW_NOTICE_FILE; exit 0' TERM; while :; do sleep 0.1; done"])
        self.await_job(placed["job"]["id"], "running")
        self.world.post(f"/v1/leases/{placed['lease']['id']}/reclaim", {}, self.seller["key"])
        self.await_lease(placed["lease"]["id"], "released")
        self.assertEqual(self.logs(placed["job"]["id"]).splitlines()[0], b"reason=reclaimed_by_owner")

    def test_nothing_of_a_guest_is_left(self):
        _, lease = self.sh("echo x >/work/out/x")
        left = self.world.engine_command("ps", "--all", "--quiet", "--filter", f"label=fallow.lease={lease['id']}")
        self.assertEqual(left, "")
        self.assertFalse((self.world.folder / "agent-alpha/leases" / lease["id"]).exists())


class TunnelWithDocker(tunnel_test.TunnelTest):
    world_class = DockerReplicas


class RegistryOfDocker(registry_test.Registry):
    def push(self, made, tag):
        docker = self.world.engine_command
        docker("tag", made, tag)
        docker("login", "--username", registry_test.USER, "--password", registry_test.PASSWORD, self.address)
        docker("push", "--quiet", tag)
        docker("logout", self.address)  # else its client keeps the login in a file
        image, = json.loads(docker("image", "inspect", tag))
        docker("rmi", "--force", tag)
        repository = tag.rpartition(":")[0]
        return next(name.partition("@")[2] for name in image["RepoDigests"] if name.startswith(repository + "@"))


class PrivateImagesWithDocker(registry_test.PrivateImages):
    world_class, registry_class = DockerWorld, RegistryOfDocker

    def test_the_registry_is_asked_for_a_digest_that_docker_would_not_ask_for(self):
        tag, digest = self.registry.put("kept")
        self.assertNotEqual(self.run_job(tag, "pull"), "refused")
        self.assertIn(digest.partition("@")[2], self.world.engine_command("pull", digest))  # without a login
        self.assertEqual(self.run_job(digest, key=self.stranger["key"]), "refused")
        # Nor is it taken where it has lost the names that its registry gave it.
        self.world.engine_command("rmi", tag)
        self.assertEqual(self.run_job(digest, key=self.stranger["key"]), "refused")


if __name__ == "__main__":
    run_tests()
