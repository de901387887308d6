#!/usr/bin/env python3
"""Fencing on real hosts: an agent that stands still, and a server that is away.

    fence.py [--bin DIR] [--short]    prints one row a check; exits with 1 when one does not hold

Both hosts are real agents on this machine, with real containers in one engine. Each job prints the boot clock ten times
a second, so that what computed when can be read from its output. `--short` scales every window down, for `./run test`.
"""
import argparse
import collections
import json
import pathlib
import signal
import subprocess
import sys
import threading
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests/e2e"))
from world import Events, Failure, World  # noqa: E402

IMAGE = "localhost/fallow-fence:1"
Windows = collections.namedtuple("Windows", "settings fence kill lost away ticks")
# The defaults of the server, and a minute's absence; statements come often, so that there is something to bill.
LITERAL = Windows(("usage_interval_ms=5000",), 10, 2, 20, 60, 350)
SHORT = Windows(("heartbeat_interval_ms=1000", "heartbeat_timeout_ms=400", "confirm_ms=1000", "fence_ms=2000",
                 "kill_ms=1000", "host_lost_ms=4500", "host_lost_declared_ms=5500", "usage_interval_ms=1000"),
                2, 1, 5.5, 9, 80)
REQUEUED_WITHIN = 5  # after the host was declared lost
RESPITE = 0.3        # a line that was being written when the freeze came


def boot_clock():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def ticking(count):
    """Ends with 0 after so many ticks; never when count is 0."""
    return ["/bin/sh", "-c", f"i=0; while [ $i -ne {count or -1} ]; do read up idle </proc/uptime; echo $up; "
                             "i=$((i+1)); sleep 0.1; done"]


class Checks:
    """Rows of a table: what was promised, what was seen."""

    def __init__(self):
        self.rows = []

    def add(self, what, holds, seen):
        self.rows.append((what, bool(holds), str(seen)))

    def failed(self):
        return [row for row in self.rows if not row[1]]

    def print(self):
        width = max(len(what) for what, _, _ in self.rows)
        for what, holds, seen in self.rows:
            print(f"{what:<{width}}  {'holds ' if holds else 'BROKEN'}  {seen}")


class Container:
    """A lease's container: its output as the engine has it, and what the guard did to it."""

    def __init__(self, rig, host, lease):
        self.rig, self.host, self.lease = rig, host, lease
        self.id = rig.record(host, lease)["container_id"]
        self.output = rig.world.folder / f"output-{lease}.txt"
        words = ["sh", str(SOURCE / "tests/support/podman_service.sh"), "podman", str(rig.world.engine), "logs", "-f",
                 self.id]
        with open(self.output, "wb") as out:
            self.follower = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL)

    def ticks(self):
        lines = self.output.read_text(errors="replace").split("\n")[:-1]
        return [float(line) for line in lines if line.replace(".", "", 1).isdigit()]

    def watched(self):
        """The guard's line about it: its words, or nothing."""
        book = self.rig.state(self.host) / "guard.book"
        for line in book.read_text().splitlines() if book.exists() else ():
            words = line.split()
            if words[:2] == ["container", self.id]:
                return {"state": words[7], "frozen": int(words[9]) / 1000, "thawed": int(words[10]) / 1000}
        return None

    def wait_until_frozen(self, seconds):
        self.rig.world.until(lambda: (self.watched() or {}).get("state") == "frozen", "the guard to freeze", seconds)
        return self.watched()["frozen"]

    def is_frozen(self):
        found = list(pathlib.Path("/sys/fs/cgroup").rglob(f"*libpod-{self.id}*/freezer.state"))
        return any(file.read_text().startswith("FROZEN") for file in found)

    def exists(self):
        return self.id in self.rig.podman("ps", "-a", "-q", "--no-trunc")

    def close(self):
        self.follower.terminate()
        self.follower.wait()


class Rig:
    """A server, a seller with two hosts, and a renter."""

    def __init__(self, world, windows):
        self.world, self.windows = world, windows
        world.start_engine()
        world.make_image(IMAGE)
        world.start_server(*windows.settings)
        self.seller, self.renter = world.seller(), world.renter()
        self.events = Events(world, self.renter["key"])
        self.listings = {"alpha": self.host("alpha", 1_000_000), "beta": self.host("beta", 2_000_000)}

    def host(self, name, ask):
        """A listing of this machine under that name; the cheapest is taken first."""
        events = Events(self.world, self.seller["key"])
        listing = self.world.host_with_listing(self.seller, name, events, ask=ask)[2]
        events.close()
        return listing

    def podman(self, *words):
        return self.world.engine_command(*words)

    def state(self, host):
        return self.world.folder / f"agent-{host}"

    def record(self, host, lease):
        return json.loads((self.state(host) / "leases" / lease / "record.json").read_text())

    def agent(self, host):
        return next(p for p in self.world.processes if p.name == f"agent-{host}" and p.alive())

    def lease(self, lease):
        return self.world.get("/v1/leases/" + lease, self.renter["key"])

    def job(self, job):
        return self.world.get("/v1/jobs/" + job, self.renter["key"])

    def spec(self, ticks, **fields):
        return {"image": IMAGE, "command": ticking(ticks), "max_duration_ms": 3_600_000, **fields}

    def order(self, job=None, **fields):
        body = {"price_max_micros_per_hour": 3_000_000, "term_ms": 3_600_000, "fill_or_kill": True, **fields}
        return self.world.post("/v1/orders", {**body, "job": job} if job else body, self.renter["key"], 201)

    def wait(self, kind, object_id, seconds=90):
        return self.events.wait(lambda e: e["type"] == kind and e["object"]["id"] == object_id,
                                f"{kind} of {object_id}", seconds)

    def follow_on(self):
        """The server ends a stream whose reader did not take a comment in time, itself being the one that slept."""
        self.events.close()
        self.events = Events(self.world, self.renter["key"], earlier=self.events)

    def pass_time(self, until):
        """A condition that has to hold for so long cannot be waited for in another way."""
        threading.Event().wait(max(0.0, until - boot_clock()))

    def prove_ledger(self, checks):
        code, report = self.world.prove_ledger()
        checks.add("the ledger proves itself", code == 0 and report["balanced"], report["findings"] or "balanced")


def agent_stands_still(rig, checks):
    """SIGSTOP of an agent while its batch job runs: fenced, moved, finished elsewhere, never billed beyond proof."""
    w = rig.windows
    placed = rig.order(rig.spec(w.ticks, attempts_max=2))
    job, first = placed["job"]["id"], placed["lease"]["id"]
    rig.wait("job.running", job)
    rig.wait("lease.metered", first, 120)
    container = Container(rig, "alpha", first)
    agent = rig.agent("alpha")
    stopped = boot_clock()
    agent.child.send_signal(signal.SIGSTOP)
    frozen = container.wait_until_frozen(w.fence + 10)
    checks.add(f"agent stopped: frozen within {w.fence} s of the last heartbeat, {w.kill} s for the freeze",
               frozen <= stopped + w.fence + w.kill, f"{frozen - stopped:.2f} s after the stop")
    rig.wait("job.requeued", job, w.lost + 30)
    requeued = boot_clock() - stopped
    checks.add("it is requeued in time", requeued <= w.lost + REQUEUED_WITHIN, f"after {requeued:.2f} s")
    rig.wait("job.running", job)
    moved = boot_clock()
    checks.add("the other host starts it only after the freeze", container.is_frozen() and moved > frozen,
               f"{moved - frozen:.2f} s after it")
    second = rig.job(job)["lease_id"]
    other = Container(rig, "beta", second)
    rig.wait("job.succeeded", job, w.ticks / 10 + 60)
    checks.add("and finishes it", len(other.ticks()) == w.ticks, f"{len(other.ticks())} of {w.ticks} ticks")
    rig.pass_time(stopped + w.away)
    checks.add("the frozen one stays frozen", container.is_frozen(), f"{boot_clock() - stopped:.0f} s after the stop")

    agent.child.send_signal(signal.SIGCONT)
    rig.wait("lease.released", first, 60)
    rig.world.until(lambda: not container.exists(), "the frozen container to be removed", 30)
    last = container.ticks()[-1]
    checks.add("it never computed again, and is removed when the agent returns", last <= frozen + RESPITE,
               f"its last tick came {frozen - last:+.2f} s before the freeze")
    rig.wait("lease.released", second)
    lease, usage = rig.lease(first), rig.world.get(f"/v1/leases/{first}/usage", rig.renter["key"])["items"]
    ran = frozen - container.ticks()[0]
    checks.add("its lease ends as host_lost, and bills the last accepted statement",
               (lease["end_reason"], lease["running_ms"]) == ("host_lost", usage[-1]["accepted_running_ms"]),
               f"{lease['running_ms']} ms")
    checks.add("which is not more than it ran unfrozen", lease["running_ms"] <= ran * 1000 + 500,
               f"{ran * 1000:.0f} ms")
    span = other.ticks()[-1] - other.ticks()[0]
    billed = rig.lease(second)["running_ms"]
    checks.add("the other host's lease bills its own run", abs(billed - span * 1000) < 2000,
               f"{billed} ms for {span * 1000:.0f} ms of ticks")
    rig.prove_ledger(checks)
    for each in (container, other):
        each.close()


def server_is_away(rig, checks):
    """SIGSTOP of the server: batch jobs stand still, pinned rentals go on, and the server's return loses nothing."""
    w = rig.windows
    rental = rig.order(requirements={"listing_id": rig.listings["alpha"]["id"]})["lease"]["id"]
    rig.world.post(f"/v1/leases/{rental}/job", rig.spec(0), rig.renter["key"], 201)
    rig.wait("lease.running", rental)
    placed = rig.order(rig.spec(w.ticks, attempts_max=2), requirements={"listing_id": rig.listings["beta"]["id"]})
    job, batch = placed["job"]["id"], placed["lease"]["id"]
    rig.wait("job.running", job)
    pinned, fenced = Container(rig, "alpha", rental), Container(rig, "beta", batch)
    for lease in (rental, batch):
        rig.wait("lease.metered", lease, 120)
    server = rig.world.server.child
    stopped = boot_clock()
    server.send_signal(signal.SIGSTOP)
    frozen = fenced.wait_until_frozen(w.fence + 10)
    checks.add(f"server away: the batch job is frozen within {w.fence} s, {w.kill} s for the freeze",
               frozen <= stopped + w.fence + w.kill, f"{frozen - stopped:.2f} s after the stop")
    rig.pass_time(stopped + w.away)
    now = boot_clock()
    checks.add("it computes nothing while the server is away",
               fenced.is_frozen() and fenced.ticks()[-1] <= frozen + RESPITE,
               f"{now - fenced.ticks()[-1]:.1f} s without a tick")
    checks.add("the pinned rental goes on", not pinned.is_frozen() and now - pinned.ticks()[-1] < 2,
               f"its last tick is {now - pinned.ticks()[-1]:.2f} s old")

    server.send_signal(signal.SIGCONT)
    rig.follow_on()
    rig.wait("job.succeeded", job, w.ticks / 10 + 120)
    rig.wait("lease.released", batch)
    found = rig.job(job)
    checks.add("the server comes back: the batch job is still ours, goes on where it stood, and ends",
               found["attempts"] == 1 and len(fenced.ticks()) == w.ticks,
               f"attempt {found['attempts']}, {len(fenced.ticks())} of {w.ticks} ticks")
    ticks = fenced.ticks()
    gap = max(after - before for before, after in zip(ticks, ticks[1:]))
    ran, billed = ticks[-1] - ticks[0] - gap, rig.lease(batch)["running_ms"]
    checks.add("frozen time is not billed", ran * 1000 - 1500 <= billed <= ran * 1000 + 1500,
               f"{billed} ms for {ran * 1000:.0f} ms of ticks and {gap:.1f} s frozen")
    alive = rig.lease(rental)
    checks.add("the rental lives, on the same container", alive["state"] == "running" and pinned.exists() and
               boot_clock() - pinned.ticks()[-1] < 2, alive["state"])
    rig.world.post(f"/v1/leases/{rental}/end", {}, rig.renter["key"])
    rig.wait("lease.released", rental)
    span, billed = pinned.ticks()[-1] - pinned.ticks()[0], rig.lease(rental)["running_ms"]
    checks.add("and bills what it ran, no more", billed <= span * 1000 + 1500, f"{billed} ms for {span * 1000:.0f} ms")
    rig.prove_ledger(checks)
    for each in (pinned, fenced):
        each.close()


SCENES = (agent_stands_still, server_is_away)


def run(binaries, windows, scenes=SCENES):
    checks = Checks()
    with World(binaries) as world:
        rig = Rig(world, windows)
        for scene in scenes:
            scene(rig, checks)
        rig.events.close()
    return checks


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=str(SOURCE / "build/release/bin"), help="where the programs are")
    parser.add_argument("--short", action="store_true", help="scaled-down windows")
    options = parser.parse_args(arguments)
    try:
        checks = run(options.bin, SHORT if options.short else LITERAL)
    except Failure as failure:
        print(f"fence: {failure}", file=sys.stderr)
        return 1
    checks.print()
    return 1 if checks.failed() else 0


if __name__ == "__main__":
    sys.exit(main())
