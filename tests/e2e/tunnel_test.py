"""Into a running job's container: exec with its exit code, a terminal that is resized, attach, ports, copies; through
two servers, the renter at one and the agent at the other."""
import fcntl
import glob
import hashlib
import os
import pathlib
import pty
import re
import select
import socket
import struct
import subprocess
import termios
import threading
import unittest

from replicas import Replicas, begin_behind_the_second
from routes_fixture import run_tests

IMAGE = "localhost/fallow-tunnel:1"
MIB = 1024 * 1024
# A server that answers each connection with what it was sent, and a job that lasts until it is told.
RUNS = "grep -q 432[1] /proc/[0-9]*/cmdline"
JOB = ("nc -ll -p 7070 -e /bin/cat & echo ready; while [ ! -e /tmp/done ]; do echo tick; sleep 0.2; done; "
       "echo last; exit 7")


class TunnelTest(unittest.TestCase):
    world_class = Replicas

    @classmethod
    def setUpClass(cls):
        cls.world = cls.world_class(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.first, cls.second = cls.world.servers.first, cls.world.servers.second
        begin_behind_the_second(cls, IMAGE)
        cls.job, cls.lease = cls.start_job(JOB)

    @classmethod
    def start_job(cls, script):
        placed = cls.world.post("/v1/orders", {
            "requirements": {"listing_id": cls.listing["id"]}, "price_max_micros_per_hour": 3_000_000,
            "term_ms": 1_800_000, "fill_or_kill": True,
            "job": {"image": IMAGE, "command": ["/bin/sh", "-c", script], "max_duration_ms": 1_200_000}},
            cls.renter["key"], 201)
        cls.events.wait(lambda e: e["object"]["id"] == placed["job"]["id"] and e["type"] == "job.running",
                        "the job to run", 120)
        return placed["job"]["id"], placed["lease"]["id"]

    # --- words

    def words(self, *words, server=None):
        server = server or self.first
        return [str(self.world.bin / "fallow"), "--url", server.url, "--ca", str(server.ca), "job", *words]

    def environment(self, key=None):
        return {**os.environ, "FALLOW_API_KEY": key or self.renter["key"]}

    def fallow(self, *words, key=None, server=None, **options):
        return subprocess.run(self.words(*words, server=server), capture_output=True, env=self.environment(key),
                              timeout=120, **options)

    def run_in_job(self, script, *flags, **options):
        done = self.fallow("exec", *flags, self.job, "--", "/bin/sh", "-c", script, **options)
        return done.returncode, done.stdout, done.stderr

    def forward(self, port):
        process = subprocess.Popen(self.words("port-forward", self.job, f"0:{port}"), stderr=subprocess.PIPE,
                                   env=self.environment(), text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        line = process.stderr.readline()
        return int(re.search(r":(\d+) to", line).group(1))

    # --- exec

    def test_exec_gives_output_errors_and_the_exit_code(self):
        for server in (self.first, self.second):
            with self.subTest(server=server.name):
                self.assertEqual(self.run_in_job("echo out; echo err >&2; exit 3", server=server),
                                 (3, b"out\n", b"err\n"))
        self.assertEqual(self.run_in_job("sort", "-i", input=b"b\na\n"), (0, b"a\nb\n", b""))
        code, out, _ = self.run_in_job("echo $A; pwd", "-e", "A=b c", "-w", "/work")
        self.assertEqual((code, out), (0, b"b c\n/work\n"))
        content = os.urandom(3 * MIB)
        code, out, _ = self.run_in_job("cat", "-i", input=content)
        self.assertEqual((code, hashlib.sha256(out).digest()), (0, hashlib.sha256(content).digest()))

    def test_a_process_has_no_more_rights_than_the_job(self):
        code, out, _ = self.run_in_job("grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; touch /x; echo $?; "
                                       "echo $LD_PRELOAD$NVIDIA_VISIBLE_DEVICES; ulimit -n; ls /sys/class/net")
        lines = out.split()
        self.assertEqual((code, lines[1], lines[3], lines[5], lines[6]), (0, b"0" * 16, b"1", b"2", b"1"), out)
        self.assertEqual(lines[-1], b"lo")
        job = self.run_in_job("cat /proc/1/limits")[1]
        self.assertEqual(self.run_in_job("cat /proc/self/limits")[1], job)
        for name in ("LD_PRELOAD", "NVIDIA_VISIBLE_DEVICES"):
            code, _, err = self.run_in_job("true", "-e", name + "=x")
            self.assertEqual(code, 1, err)
            self.assertIn(name.encode(), err)

    def test_a_program_that_is_not_there_is_said(self):
        done = self.fallow("exec", self.job, "--", "/no/such/program")
        self.assertNotEqual(done.returncode, 0)
        self.assertTrue(done.stderr or done.stdout, done)

    def test_a_terminal_has_the_size_of_this_one_and_follows_it(self):
        parent, child = pty.openpty()
        self.addCleanup(os.close, parent)
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))

        def take_terminal():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        process = subprocess.Popen(self.words("exec", "-it", self.job, "--", "/bin/sh"), stdin=child, stdout=child,
                                   stderr=child, env=self.environment(), start_new_session=True,
                                   preexec_fn=take_terminal)
        os.close(child)
        seen = bytearray()

        def until(pattern):
            while not (found := re.search(pattern, seen)):
                self.assertTrue(select.select([parent], [], [], 60)[0], bytes(seen))
                seen.extend(os.read(parent, 4096))
            del seen[:found.end()]

        until(rb"[#$] ")
        os.write(parent, b"stty size; tty; echo mark\r")
        until(rb"33 101\r\n/dev/pts/\d+\r\nmark\r\n")
        fcntl.ioctl(parent, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
        # The change goes its own way, beside what is typed: asked until it has come.
        os.write(parent, b"until stty size | grep '50 120'; do sleep 0.1; done\r")
        until(rb"\r\n50 120\r\n")
        os.write(parent, b"exit 5\r")
        self.assertEqual(process.wait(60), 5)

    def test_a_process_whose_renter_has_gone_is_hung_up_on(self):
        process = subprocess.Popen(self.words("exec", "-i", self.job, "--", "/bin/sh", "-c",
                                              "echo begun; exec sleep 4321"), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, env=self.environment())
        self.assertEqual(process.stdout.readline(), b"begun\n")
        self.assertEqual(self.run_in_job(RUNS)[0], 0)
        process.kill()
        process.communicate()
        self.world.until(lambda: self.run_in_job(RUNS)[0] != 0, "the process to end")

    def freezer(self):
        """The file that freezes the job's container, and what is written there to freeze and to thaw it."""
        container, = self.world.engine_command("ps", "--no-trunc", "-q", "--filter",
                                               f"label=fallow.lease={self.lease}").split()
        groups = [pathlib.Path(name) for name in glob.glob(f"/sys/fs/cgroup/**/*{container}*", recursive=True)
                  if "conmon" not in name]
        for name, words in (("freezer.state", ("FROZEN", "THAWED")), ("cgroup.freeze", ("1", "0"))):
            for group in groups:
                if (group / name).exists():
                    return group / name, words
        self.fail(f"no control group of {container}")

    def test_a_frozen_job_is_not_gone_into_and_says_so_at_once(self):
        # As its fence does it: the engine goes on taking it for running.
        file, (frozen, thawed) = self.freezer()
        self.addCleanup(file.write_text, thawed)
        file.write_text(frozen)
        self.world.until(lambda: file.read_text().strip() == frozen, "the job to stand still")
        for words in (("exec", self.job, "--", "true"), ("attach", self.job), ("cp", f"{self.job}:/tmp/x", "/tmp/"),
                      ("port-forward", "--stdio", self.job, "7070")):
            with self.subTest(words=words):
                done = self.fallow(*words, input=b"")
                self.assertEqual((done.returncode, done.stdout), (1, b""))
                self.assertTrue(done.stderr.startswith(b"fallow: job_frozen: "), done.stderr)
        file.write_text(thawed)
        self.assertEqual(self.run_in_job("echo on")[:2], (0, b"on\n"))

    # --- attach

    def test_attach_shows_what_the_job_writes_and_ends_with_it(self):
        process = subprocess.Popen(self.words("attach", self.job), stdout=subprocess.PIPE, env=self.environment())
        self.addCleanup(process.stdout.close)
        self.assertEqual(process.stdout.readline(), b"tick\n")
        process.kill()
        process.wait()

    # --- ports

    def test_a_port_carries_ten_mebibytes_both_ways(self):
        content = os.urandom(10 * MIB)
        with socket.create_connection(("127.0.0.1", self.forward(7070)), timeout=60) as connection:
            def send():
                connection.sendall(content)
                connection.shutdown(socket.SHUT_WR)

            sender = threading.Thread(target=send)
            sender.start()
            back = bytearray()
            while piece := connection.recv(65536):
                back.extend(piece)
            sender.join()
        self.assertEqual((len(back), hashlib.sha256(back).digest()), (len(content), hashlib.sha256(content).digest()))

    def test_a_port_at_standard_input_and_output(self):
        done = self.fallow("port-forward", "--stdio", self.job, "7070", input=b"hello\n")
        self.assertEqual((done.returncode, done.stdout), (0, b"hello\n"), done.stderr)
        done = self.fallow("port-forward", "--stdio", self.job, "7071", input=b"")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"nothing in the job answers at port 7071", done.stderr)

    # --- copies

    def test_copies_go_in_and_come_back(self):
        folder = self.world.folder / "copied"
        (folder / "in" / "deep").mkdir(parents=True)
        content = os.urandom(2 * MIB)
        (folder / "in" / "deep" / "data").write_bytes(content)
        (folder / "in" / "link").symlink_to("deep/data")
        done = self.fallow("cp", str(folder / "in"), f"{self.job}:/tmp/there")
        self.assertEqual(done.returncode, 0, done.stderr)
        code, out, _ = self.run_in_job("sha256sum < /tmp/there/deep/data; readlink /tmp/there/link")
        self.assertEqual(out.split(), [hashlib.sha256(content).hexdigest().encode(), b"-", b"deep/data"])
        done = self.fallow("cp", f"{self.job}:/tmp/there", str(folder / "back"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((folder / "back" / "deep" / "data").read_bytes(), content)
        self.assertEqual(os.readlink(folder / "back" / "link"), "deep/data")
        done = self.fallow("cp", f"{self.job}:/tmp/there/deep/data", str(folder) + "/")
        self.assertEqual((done.returncode, (folder / "data").read_bytes()), (0, content), done.stderr)
        self.assertEqual(self.fallow("cp", f"{self.job}:/no/such", str(folder / "x")).returncode, 1)
        self.assertEqual(self.fallow("cp", "a", "b").returncode, 2)

    # --- who may

    def test_a_strangers_job_is_not_found(self):
        for words in (("exec", self.job, "--", "true"), ("attach", self.job), ("port-forward", self.job, "0:7070"),
                      ("port-forward", "--stdio", self.job, "7070")):
            with self.subTest(words=words):
                done = self.fallow(*words, key=self.stranger["key"], input=b"")
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn(b"There is no such job", done.stderr)
        headers = {"Connection": "Upgrade", "Upgrade": "fallow-tunnel"}
        path = f"/v1/jobs/{self.job}/tunnels"
        status, body, _ = self.world.call("POST", path, key=self.stranger["key"], headers=headers)
        self.assertEqual((status, body["code"]), (404, "not_found"))
        status, body, _ = self.world.call("POST", path, key=self.renter["key"])
        self.assertEqual((status, body["code"], body["pointer"]), (422, "missing_field", "header:Upgrade"))

    def test_a_revoked_key_ends_its_tunnel(self):
        made = self.world.post("/v1/keys", {"name": "short", "scopes": ["renter:write"]}, self.renter["key"], 201)
        process = subprocess.Popen(self.words("exec", self.job, "--", "/bin/sh", "-c", "echo begun; sleep 600"),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=self.environment(made["secret"]))
        self.assertEqual(process.stdout.readline(), b"begun\n")
        self.world.call("DELETE", "/v1/keys/" + made["key"]["id"], key=self.renter["key"], expect=204)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1)
        self.assertIn(b"the tunnel has ended", err)

    # --- the end, which is last by its name

    def test_z_the_leases_end_closes_what_is_open(self):
        exec_ = subprocess.Popen(self.words("exec", self.job, "--", "/bin/sh", "-c", "echo begun; sleep 600"),
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment())
        attached = subprocess.Popen(self.words("attach", self.job), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    env=self.environment())
        self.assertEqual(exec_.stdout.readline(), b"begun\n")
        self.assertEqual(attached.stdout.readline(), b"tick\n")
        self.assertEqual(self.run_in_job("touch /tmp/done")[0], 0)
        out, err = attached.communicate(timeout=60)
        self.assertTrue(out.endswith(b"last\n"), out)
        self.assertIn(attached.returncode, (7, 1), err)
        exec_.communicate(timeout=60)
        self.assertNotEqual(exec_.returncode, 0)
        self.events.wait(lambda e: e["object"]["id"] == self.lease and e["type"] == "lease.released", "the end")
        done = self.fallow("exec", self.job, "--", "true")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"not running", done.stderr)


if __name__ == "__main__":
    run_tests()
