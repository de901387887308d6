"""./run bench reclaim: owners take cards back from real containers; how soon the card is theirs, and what became of
the work.

Two real agents on this machine, a real server, database and Podman. A job counts, saves where it is when it is told to
stop, and counts on in its next attempt. In turn, `fallow-agent reclaim` takes the card that it runs on; the job goes
to the other host, and the first gives its card back. Every second job does not heed the signal, so that its container
has to be killed at the deadline: `freed_after_deadline_ms` is then the time from the deadline, as the container was
told it, until `reclaim --wait` has returned and the owner may use the card. A job that leaves earlier frees the card
before its deadline, which counts as 0. `results_equal` compares every result with that of a run nobody disturbed.
"""
import argparse
import base64
import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests/e2e"))
from world import Events, Failure, World  # noqa: E402

IMAGE = "localhost/fallow-reclaim:1"
MIB = 1024 * 1024
NOTICE_MS = 2000

# Counts in steps of 50 ms, with a state that only the whole way gives, and saves it by a rename.
PROGRAM = r"""
dir=$FALLOW_CHECKPOINT_DIR; count=0; state=7
save() { echo "$count $state" >$dir/count.tmp; mv $dir/count.tmp $dir/count; }
show() { [ -f $FALLOW_NOTICE_FILE ] && cat $FALLOW_NOTICE_FILE; }
if [ -f $dir/count ]; then read count state <$dir/count
else
    yes | head -c 3145728 >$dir/data; ln -s count $dir/latest
    mkdir $dir/tools; echo '#!/bin/sh' >$dir/tools/run; chmod 755 $dir/tools/run; echo half >$dir/half.tmp
fi
echo "begins $count ${FALLOW_CHECKPOINT_RESTORED:-new}"
heed() { show; save; exit 0; }
ignore() { show; save; }
trap $ON_TERM TERM
while [ $count -lt $STEPS ]; do
    state=$(( (state * 1103515245 + 12345) % 2147483648 )); count=$((count + 1))
    [ $((count % 5)) -eq 0 ] && save
    sleep 0.05
done
[ -x $dir/tools/run ] && sha256sum <$dir/data >/work/out/result && echo "$count $state" >>/work/out/result
"""


def counting(steps, interval_ms=3_600_000, heeds=True, marker=""):
    """A job that counts so far; `marker` tells it from others in the listing of jobs."""
    return {"image": IMAGE, "command": ["/bin/sh", "-c", PROGRAM], "max_duration_ms": 600_000, "outputs": ["result"],
            "env": {"STEPS": str(steps), "ON_TERM": "heed" if heeds else "ignore", "MARKER": marker},
            "disk_bytes": 64 * MIB,
            "checkpoint": {"path": "saved/state", "interval_ms": interval_ms}}


class Rig:
    """A server, a seller with two hosts, and a renter."""

    def __init__(self, world, settings):
        self.world = world
        world.start_engine()
        world.make_image(IMAGE)
        world.start_server(*settings)
        self.seller, self.renter = world.seller(), world.renter()
        self.events = Events(world, self.renter["key"])
        self.hosts = {}
        self.cards = {}
        for name in ("alpha", "beta"):
            events = Events(world, self.seller["key"])
            host, card, _ = world.host_with_listing(self.seller, name, events, reclaim_notice_ms=NOTICE_MS)
            self.hosts[host], self.cards[name] = name, card
            events.close()
        self.seller_events = Events(world, self.seller["key"])

    def order(self, job):
        return self.world.post("/v1/orders", {"price_max_micros_per_hour": 3_000_000, "term_ms": 3_600_000, "job": job},
                               self.renter["key"], 201)

    def wait(self, kind, object_id, seconds=90):
        return self.events.wait(lambda e: e["type"] == kind and e["object"]["id"] == object_id,
                                f"{kind} of {object_id}", seconds)

    def job(self, job):
        return self.world.get("/v1/jobs/" + job, self.renter["key"])

    def host_of(self, lease):
        """The name of the host that a lease is on."""
        return self.hosts[self.world.get("/v1/leases/" + lease, self.seller["key"])["host_id"]]

    def owner(self, host, *words):
        done = subprocess.run([str(self.world.bin / "fallow-agent"), words[0], "--state",
                               str(self.world.folder / f"agent-{host}"), *words[1:]],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
        if done.returncode != 0:
            raise Failure(f"fallow-agent {words[0]} failed: {done.stderr}")
        return done.stdout

    def await_card(self, host, state):
        self.seller_events.wait(
            lambda e: e["object"]["id"] == self.cards[host] and e["data"].get("state") == state, f"{host} {state}")

    def reclaim(self, job):
        """The owner takes the card that the job runs on, and gives it back once the job waits for another. The lease
        that was stopped, and the wall clock when the card was free, in ms."""
        self.wait("job.running", job)
        lease = self.job(job)["lease_id"]
        self.wait("lease.metered", lease)  # it has got somewhere
        host = self.host_of(lease)
        self.owner(host, "reclaim", "0", "--yes", "--wait")
        freed_unix_ms = time.time() * 1000
        self.wait("lease.released", lease)
        self.wait("job.requeued", job)
        self.await_card(host, "withheld")
        self.owner(host, "release", "0")
        self.await_card(host, "present")
        return lease, freed_unix_ms

    def lose(self, host, lease):
        """The host goes without a word: the agent, its guard, the container."""
        record = json.loads((self.world.folder / f"agent-{host}/leases/{lease}/record.json").read_text())
        next(p for p in self.world.processes if p.name == f"agent-{host}" and p.alive()).kill()
        os.kill(int((self.world.folder / f"agent-{host}/guard.lock").read_text()), signal.SIGKILL)
        self.world.engine_command("kill", "--signal", "KILL", record["container_id"])

    def finish(self, placed):
        """What the job has left as its result."""
        job = placed["job"]["id"]
        self.wait("job.succeeded", job, 180)
        key = self.renter["key"]
        outputs = self.world.get(f"/v1/jobs/{job}/outputs", key)["items"]
        newest = max(outputs, key=lambda output: output["attempt"])
        return self.world.get(f"/v1/artifacts/{newest['artifact']['id']}/parts/0", key)

    def notices(self, job):
        """The deadline that each attempt was told in its container, in ms; None where no signal was seen."""
        told = []
        for attempt in range(1, self.job(job)["attempts"] + 1):
            items = self.world.get(f"/v1/jobs/{job}/logs?attempt={attempt}", self.renter["key"])["items"]
            lines = b"".join(base64.b64decode(item["data"]) for item in items).decode().splitlines()
            found = [line for line in lines if line.startswith("deadline_unix_ms=")]
            told.append(int(found[0].split("=")[1]) if found else None)
        return told


def percentile(values, share):
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def measure(rig, jobs, reclaims_each, steps):
    plain = rig.finish(rig.order(counting(steps)))
    late_ms, seen, resumed, equal, reclaims = [], 0, 0, 0, 0
    for number in range(jobs):
        placed = rig.order(counting(steps, heeds=number % 2 == 0, marker=str(number)))
        job = placed["job"]["id"]
        freed = [rig.reclaim(job)[1] for _ in range(reclaims_each)]
        equal += rig.finish(placed) == plain
        resumed += rig.job(job)["attempts"] == reclaims_each + 1
        for at, deadline in zip(freed, rig.notices(job)):
            reclaims += 1
            seen += deadline is not None
            late_ms.append(max(0.0, at - deadline) if deadline is not None else math.inf)
    return {"reclaims": reclaims, "notice_s": NOTICE_MS / 1000,
            "freed_after_deadline_ms_p50": round(percentile(late_ms, 0.5), 1),
            "freed_after_deadline_ms_p99": round(percentile(late_ms, 0.99), 1),
            "signal_seen": seen, "jobs": jobs, "jobs_resumed": resumed, "results_equal": equal == jobs}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--reclaims-each", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--bin", default=str(SOURCE / "build/release/bin"))
    parser.add_argument("--out", default=str(SOURCE / "build/bench/reclaim.json"))
    options = parser.parse_args()
    with World(options.bin) as world:
        rig = Rig(world, ("usage_interval_ms=1000",))
        result = measure(rig, options.jobs, options.reclaims_each, options.steps)
        rig.events.close()
        rig.seller_events.close()
    out = pathlib.Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    for name, value in result.items():
        print(f"{name:28} {value!s:>10}")
    return 0 if result["results_equal"] and result["jobs_resumed"] == result["jobs"] else 1


if __name__ == "__main__":
    sys.exit(main())
