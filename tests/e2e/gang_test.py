"""A job over two hosts whose containers compute something together: real server, two agents, containers, WireGuard.

This program and all that it starts live in a network namespace of their own, which has one address that is public.
"""
import base64
import ctypes
import os
import pathlib
import subprocess
import sys
import unittest

from world import Events, World

IMAGE = "localhost/fallow-e2e:1"
ADDRESS = "5.5.5.2"
HOSTS = {"alpha": f"{ADDRESS}:51820-51821", "beta": f"{ADDRESS}:51830"}
CLONE_NEWNET = 0x40000000

# Each rank sums its half of 1 to 1000; rank 0 asks the other one for its sum.
SUM = """
half=$((1000 / FALLOW_WORLD_SIZE)); n=$((FALLOW_RANK * half)); end=$((n + half)); sum=0
while [ $n -lt $end ]; do n=$((n + 1)); sum=$((sum + n)); done
if [ $FALLOW_RANK = 1 ]; then echo $sum | nc -l -p $MASTER_PORT; exit; fi
for try in 1 2 3 4 5 6 7 8 9 10; do
    other=$(nc -w 5 rank-1 $MASTER_PORT </dev/null) && [ -n "$other" ] && break
    sleep 1
done
echo sum $((sum + other)) of $FALLOW_PEERS at $(hostname -i)
"""


def enter_a_network_of_our_own():
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "no network namespace: this test needs root")
    subprocess.run(["ip", "-batch", "-"], text=True, check=True,
                   input=f"link set lo up\naddr add {ADDRESS}/32 dev lo\n")


def tunnels():
    """The ends that wireguard-go holds here, by their interfaces' names."""
    found = []
    for file in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words[0].endswith(b"/wireguard-go") and words[1].startswith((b"fwg5182", b"fwg5183")):
            found.append(words[1].decode())
    return sorted(found)


class Gang(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        enter_a_network_of_our_own()
        cls.world = World(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.world.start_engine()
        cls.world.make_image(IMAGE)
        cls.world.start_server("usage_interval_ms=1000")
        cls.seller, cls.renter = cls.world.seller(), cls.world.renter()
        cls.seller_events, cls.events = cls.events_of(cls.seller), cls.events_of(cls.renter)
        cls.hosts = {name: cls.listed(name) for name in HOSTS}

    @classmethod
    def events_of(cls, organization):
        events = Events(cls.world, organization["key"])
        cls.addClassCleanup(events.close)
        return events

    @classmethod
    def start_agent(cls, name):
        return cls.world.start_agent(name, "--gang-endpoint", HOSTS[name], "--gang-wireguard-go")

    @classmethod
    def listed(cls, name):
        """Enrols this machine under that name and lists its card; returns the host's id."""
        cls.world.enroll(cls.seller, name)
        agent = cls.start_agent(name)
        online = cls.seller_events.wait(lambda e: e["type"] == "host.online", f"{name} to come online", 90)
        host = online["object"]["id"]
        card = cls.seller_events.wait(
            lambda e: e["type"] in ("card.found", "card.changed") and e["data"]["host_id"] == host
            and e["data"]["measured_at"], f"a measured card of {name}", 90)["object"]["id"]
        cls.world.post("/v1/listings", {"host_id": host, "card_ids": [card], "ask_micros_per_hour": 2_500_000},
                       cls.seller["key"], 201)
        return {"id": host, "agent": agent}

    def place(self, command, **changes):
        job = {"image": IMAGE, "command": ["/bin/sh", "-c", command], "max_duration_ms": 120_000, "network": "gang"}
        placed = self.world.post("/v1/orders", {
            "requirements": {}, "price_max_micros_per_hour": 3_000_000, "term_ms": 600_000, "hosts": 2,
            "fill_or_kill": True, "job": {**job, **changes}}, self.renter["key"], 201)
        return placed["members"]

    def ended(self, members):
        """The jobs and leases of a gang, by rank, once all of it is over."""
        for lease in members:
            self.events.wait(lambda e: e["object"]["id"] == lease["job_id"]
                             and e["type"] in ("job.succeeded", "job.failed"), f"the end of {lease['job_id']}", 120)
        key = self.renter["key"]
        return ([self.world.get("/v1/jobs/" + lease["job_id"], key) for lease in members],
                [self.world.get("/v1/leases/" + lease["id"], key) for lease in members])

    def released(self, lease):
        self.events.wait(lambda e: e["object"]["id"] == lease["id"] and e["type"] == "lease.released",
                         f"the release of {lease['id']}", 90)

    def log(self, job):
        entries = self.world.get(f"/v1/jobs/{job['id']}/logs", self.renter["key"])["items"]
        return b"".join(base64.b64decode(entry["data"]) for entry in entries).decode()

    def test_1_two_hosts_compute_one_sum(self):
        members = self.place(SUM)
        self.assertEqual({lease["host_id"] for lease in members}, {host["id"] for host in self.hosts.values()})
        jobs, leases = self.ended(members)
        logs = [self.log(job) for job in jobs]
        self.assertEqual([job["state"] for job in jobs], ["succeeded"] * 2, logs)
        self.assertIn("sum 500500 of rank-0,rank-1 at 198.19.255.1\n", logs[0])
        self.assertEqual([job["network"] for job in jobs], ["gang"] * 2)
        # Nothing of it went to the internet, and the ends are gone with their guests.
        self.assertEqual([lease["egress_mib"] for lease in leases], [0, 0])
        for lease in members:
            self.released(lease)
        self.assertEqual(tunnels(), [])
        self.assertEqual([file.name for file in self.world.folder.glob("agent-*/**/gang.key")], [])

    def test_2_a_port_serves_one_gang_after_the_other(self):
        members = self.place("echo $FALLOW_RANK; sleep 1")
        jobs, _ = self.ended(members)
        self.assertEqual([job["state"] for job in jobs], ["succeeded"] * 2, [self.log(job) for job in jobs])
        for lease in members:
            self.released(lease)

    def test_3_who_waits_in_vain_pays_nothing(self):
        self.hosts["beta"]["agent"].stop()
        self.addCleanup(self.start_agent, "beta")
        members = self.place("sleep 100", start_timeout_ms=600_000)
        jobs, leases = self.ended(members)
        self.assertEqual([(job["state"], job["reason"]) for job in jobs], [("failed", "host_lost")] * 2)
        for lease in leases:
            self.assertEqual((lease["running_at"], lease["charged_micros"], lease["running_ms"]), (None, 0, 0))
        waited = next(lease for lease in members if lease["host_id"] == self.hosts["alpha"]["id"])
        self.released(waited)
        self.assertEqual(tunnels(), [])
        code, report = self.world.prove_ledger()
        self.assertEqual((code, report["balanced"], report["findings"]), (0, True, []))


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    print(f"{result.testsRun - len(result.failures) - len(result.errors)} passed, "
          f"{len(result.failures) + len(result.errors)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
