"""An SSH server in a job, and this machine's ssh through a tunnel: a real sshd (dropbear) as a user without rights, its
host key a secret of the renter's."""
import base64
import hashlib
import os
import subprocess
import unittest

from routes_fixture import run_tests
from world import Events, World

IMAGE = "localhost/fallow-ssh:1"
PORT = "2222"
MIB = 1024 * 1024
SERVER = ["/usr/sbin/dropbear", "-F", "-E", "-s", "-m", "-r", "/run/secrets/host-key", "-P", "/tmp/dropbear.pid",
          "-p", "127.0.0.1:" + PORT]


class SshTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.world.start_engine()
        cls.world.start_server()
        cls.seller, cls.renter = cls.world.seller(), cls.world.renter()
        events = [Events(cls.world, one["key"]) for one in (cls.seller, cls.renter)]
        for stream in events:
            cls.addClassCleanup(stream.close)
        cls.key, cls.known_hosts = cls.make_keys()
        World.script("make_ssh_image.sh", IMAGE, cls.world.engine, str(cls.key) + ".pub")
        _, _, listing = cls.world.host_with_listing(cls.seller, "alpha", events[0])
        placed = cls.world.post("/v1/orders", {
            "requirements": {"listing_id": listing["id"]}, "price_max_micros_per_hour": 3_000_000,
            "term_ms": 1_800_000, "fill_or_kill": True,
            "job": {"image": IMAGE, "command": SERVER, "secrets": ["host-key"], "max_duration_ms": 1_200_000}},
            cls.renter["key"], 201)
        cls.job = placed["job"]["id"]
        events[1].wait(lambda e: e["object"]["id"] == cls.job and e["type"] == "job.running", "the job to run", 120)
        cls.known_hosts.write_text(f"{cls.job} {cls.host_key}\n")
        cls.world.until(lambda: b"Not backgrounding" in cls.logs(), "the SSH server to listen", 60)

    @classmethod
    def make_keys(cls):
        """The renter's key pair, and the server's host key, which becomes a secret."""
        folder = cls.world.folder / "ssh"
        folder.mkdir(mode=0o700)
        key, host_key = folder / "id", folder / "host-key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True,
                       stdin=subprocess.DEVNULL)
        made = subprocess.run(["dropbearkey", "-t", "ed25519", "-f", host_key], check=True, capture_output=True,
                              text=True)
        cls.host_key = next(line for line in made.stdout.splitlines() if line.startswith("ssh-ed25519 "))
        done = subprocess.run([*cls.words("secret", "set", "host-key", "--from", str(host_key))], capture_output=True,
                              env=cls.environment(), stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode())
        return key, folder / "known_hosts"

    @classmethod
    def words(cls, *words):
        return [str(cls.world.bin / "fallow"), "--url", cls.world.url, "--ca", str(cls.world.ca), *words]

    @classmethod
    def environment(cls):
        return {**os.environ, "FALLOW_API_KEY": cls.renter["key"]}

    @classmethod
    def logs(cls):
        items = cls.world.get(f"/v1/jobs/{cls.job}/logs", cls.renter["key"])["items"]
        return b"".join(base64.b64decode(item["data"]) for item in items)

    def options(self, known_hosts=None):
        return ["-F", "/dev/null", "-i", str(self.key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                "-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known_hosts or self.known_hosts}",
                "-o", "GlobalKnownHostsFile=/dev/null"]

    def ssh(self, command, known_hosts=None, **options):
        proxy = " ".join(self.words("job", "port-forward", "--stdio", self.job, PORT))
        words = ["ssh", *self.options(known_hosts), "-o", f"ProxyCommand={proxy}", f"guest@{self.job}", command]
        return subprocess.run(words, capture_output=True, env=self.environment(), timeout=120, **options)

    def test_a_command_runs_in_the_job_and_its_exit_code_comes_back(self):
        done = self.ssh("id -u; echo err >&2; cat /proc/1/cmdline; exit 7", stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assertTrue(done.stdout.startswith(b"1000\n/usr/sbin/dropbear"), done.stdout)
        self.assertIn(b"err\n", done.stderr)

    def test_octets_go_in_unchanged(self):
        content = os.urandom(MIB)
        done = self.ssh("sha256sum", input=content)
        self.assertEqual(done.stdout.split()[:1], [hashlib.sha256(content).hexdigest().encode()], done.stderr)

    def test_the_command_of_ours_does_the_same(self):
        words = self.words("job", "ssh", self.job, "-l", "guest", "--", *self.options(), "echo inside")
        done = subprocess.run(words, capture_output=True, env=self.environment(), timeout=120,
                              stdin=subprocess.DEVNULL)
        self.assertEqual((done.returncode, done.stdout), (0, b"inside\n"), done.stderr)

    def test_a_server_with_another_host_key_is_not_talked_to(self):
        other = self.world.folder / "ssh" / "other_hosts"
        own = self.key.with_suffix(".pub").read_text().split()[1]
        other.write_text(f"{self.job} ssh-ed25519 {own}\n")
        done = self.ssh("true", known_hosts=other, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 255)
        self.assertIn(b"Host key verification failed", done.stderr)


if __name__ == "__main__":
    run_tests()
