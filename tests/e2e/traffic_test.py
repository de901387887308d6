"""Traffic from the guest's packet to the receipt: real server, agent, container, gate, and an internet of namespaces.

This program and all that it starts live in one of them, so that the machine's own network has no part in it.
"""
import base64
import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
import unittest

from world import Events, World

IMAGE = "localhost/fallow-e2e:1"
PUBLIC = "8.8.4.4"
PORT = 9000
MIB = 1024 * 1024
EGRESS_PRICE = 5_000_000
CLONE_NEWNET = 0x40000000


def enter_a_network_of_our_own():
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "no network namespace: this test needs root")


def ip(commands):
    subprocess.run(["ip", "-batch", "-"], input=commands, text=True, check=True)


def serve_the_internet():
    """Reads whatever comes, on a network of its own that the parent links to."""
    enter_a_network_of_our_own()
    print("ready", flush=True)
    sys.stdin.readline()
    ip(f"link set lo up\naddr add 5.5.5.1/24 dev up0\nlink set up0 up\naddr add {PUBLIC}/32 dev lo\n")
    listener = socket.create_server(("0.0.0.0", PORT))
    print("listening", flush=True)

    def swallow(line):
        try:
            while line.recv(65536):
                pass
        except OSError:
            pass  # a guest that was killed, or stopped by its limit
        line.close()

    while True:
        threading.Thread(target=swallow, args=(listener.accept()[0],), daemon=True).start()


class Internet:
    def __init__(self):
        enter_a_network_of_our_own()
        self.child = subprocess.Popen([sys.executable, "-B", __file__, "internet"], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        self.hear("ready")
        ip("link set lo up\n"
           f"link add wan0 type veth peer name up0 netns {self.child.pid}\n"
           "addr add 5.5.5.2/24 dev wan0\nlink set wan0 up\nroute add default via 5.5.5.1\n")
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        self.hear("listening")

    def hear(self, word):
        said = self.child.stdout.readline().strip()
        if said != word:
            raise RuntimeError(f"the internet said {said!r}, not {word!r}")

    def end(self):
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()


class Traffic(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(Internet().end)
        cls.world = World(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.world.start_engine()
        cls.world.make_image(IMAGE)
        cls.world.start_server("usage_interval_ms=1000")
        seller = cls.world.seller()
        cls.renter = cls.world.renter()
        seller_events = cls.world_events(seller)
        cls.events = cls.world_events(cls.renter)
        _, _, cls.listing = cls.world.host_with_listing(seller, "alpha", seller_events, reclaim_notice_ms=2000,
                                                        egress_micros_per_gib=EGRESS_PRICE)

    @classmethod
    def world_events(cls, organization):
        events = Events(cls.world, organization["key"])
        cls.addClassCleanup(events.close)
        return events

    def order(self, command, expect=201, **terms):
        return self.world.call("POST", "/v1/orders", {
            "requirements": {"listing_id": self.listing["id"]}, "price_max_micros_per_hour": 3_000_000,
            "term_ms": 600_000, "fill_or_kill": True,
            "job": {"image": IMAGE, "command": ["/bin/sh", "-c", command], "max_duration_ms": 120_000}, **terms},
            key=self.renter["key"], expect=expect)[1]

    def run_job(self, command, **terms):
        """Returns (the finished job, its lease, its log)."""
        placed = self.order(command, **terms)
        job, lease = placed["job"]["id"], placed["lease"]["id"]
        self.events.wait(lambda e: e["object"]["id"] == job and e["type"] in ("job.succeeded", "job.failed"),
                         f"the end of {job}", 90)
        self.events.wait(lambda e: e["object"]["id"] == lease and e["type"] == "lease.released", "its release", 90)
        key = self.renter["key"]
        entries = self.world.get(f"/v1/jobs/{job}/logs", key)["items"]
        return (self.world.get(f"/v1/jobs/{job}", key), self.world.get(f"/v1/leases/{lease}", key),
                b"".join(base64.b64decode(entry["data"]) for entry in entries).decode())

    @staticmethod
    def send(mib, patience_s=60):
        return f"head -c {mib * MIB} /dev/zero | timeout {patience_s} nc {PUBLIC} {PORT}"

    def receipt(self, lease):
        """Its text, once it has been verified offline."""
        document = self.world.get(f"/v1/leases/{lease['id']}/receipt", self.renter["key"])
        done = subprocess.run([str(self.world.bin / "fallow"), "receipt", "verify", "--server-key",
                               str(self.world.data / "server_signing.pub"), "/dev/stdin"],
                              input=json.dumps(document), capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return document["receipt"]

    def assert_charged(self, lease):
        numerator = (lease["price_micros_per_hour"] * lease["thousandths"] * lease["running_ms"]
                     + lease["egress_mib"] * lease["egress_micros_per_gib"] * 3_515_625)
        self.assertEqual(lease["charged_micros"], numerator // 3_600_000_000)
        code, report = self.world.prove_ledger()
        self.assertEqual((code, report["balanced"], report["findings"]), (0, True, []))

    def test_what_is_sent_is_billed_by_whole_mib(self):
        job, lease, _ = self.run_job(self.send(3), egress_gib=1, egress_micros_per_gib_max=EGRESS_PRICE)
        self.assertEqual(job["state"], "succeeded")
        self.assertEqual((lease["egress_mib"], lease["egress_mib_max"], lease["egress_micros_per_gib"]),
                         (3, 1024, EGRESS_PRICE))
        self.assertIn(lease["egress_micros"], (14_648, 14_649))  # 14,648.4, by where the other parts' floor lies
        self.assert_charged(lease)
        text = self.receipt(lease)
        self.assertIn(f"\negress_mib: 3\negress_micros_per_gib: {EGRESS_PRICE}\n"
                      f"egress_micros: {lease['egress_micros']}\n", text)

    def test_an_order_that_names_no_traffic_sends_none_and_is_told(self):
        job, lease, log = self.run_job(self.send(1))
        self.assertEqual((job["state"], lease["egress_mib"], lease["egress_mib_max"], lease["egress_micros"]),
                         ("failed", 0, 0, 0))
        self.assertEqual(log.count("fallow: the order allows no traffic"), 1, log)
        self.assert_charged(lease)
        self.assertNotIn("egress", self.receipt(lease))

    def test_the_overage_is_the_limit_and_what_is_beyond_it_is_kept_back(self):
        # 4 MiB cost 19,531.25.
        job, lease, log = self.run_job(self.send(8, 5), overage_micros_max=19_532,
                                       egress_micros_per_gib_max=EGRESS_PRICE)
        self.assertEqual((job["state"], lease["egress_mib_max"]), ("failed", 4))
        self.assertIn(lease["egress_mib"], (3, 4))  # the packet that does not fit may be a large one
        self.assertLessEqual(lease["egress_micros"], 19_532)
        self.assertEqual(log.count("fallow: the traffic that the order allows is used up"), 1, log)
        self.assert_charged(lease)
        self.receipt(lease)

    def test_traffic_needs_a_price_limit_which_keeps_dearer_listings_away(self):
        refused = self.order("true", expect=422, egress_gib=1)
        self.assertEqual(refused["pointer"], "/egress_micros_per_gib_max")
        unmatched = self.order("true", expect=None, egress_gib=1, egress_micros_per_gib_max=EGRESS_PRICE - 1)
        self.assertIsNone(unmatched.get("lease"))


if __name__ == "__main__":
    if sys.argv[1:] == ["internet"]:
        serve_the_internet()
    unittest.main()
