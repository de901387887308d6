"""./run bench lost: hosts fall silent; how soon they are declared lost, and how soon their batch jobs run elsewhere.

First many simulated hosts over mTLS, each with a batch job of its own. They beat as agents with a lease do, and fall
silent at moments by chance, with their connections left open, as if the line was cut. `declared_ms` is counted from
when the last acknowledged heartbeat was sent, `silence_to_declared_ms` from the moment of silence, both until the
seller's event stream says `host.unreachable`. Other hosts take the jobs over, without containers: `moved_ms` is the
time from there until the renter's stream says `job.running`. `missed` were never declared, `declared_early` before
they fell silent; `not_moved` are jobs that ran nowhere else.

Then two real agents on this machine with real containers. The one whose job runs is stopped (SIGSTOP), and may go on
once the job runs on the other: `replaced_ms` is the time from the renter's `job.requeued`, which is of the same
commit as `host.unreachable`, until its `job.running`; `stopped_to_running_ms` begins at the stop.
"""
import argparse
import json
import math
import pathlib
import random
import signal
import sys
import threading
import time

from reclaim import IMAGE, SOURCE, Rig, percentile
from routes_client import Client
from simulated_host import BOOT, HostKeys, LeaseOnHost, SimulatedHost, reported_cards
from world import Events, World

DECLARED_WITHIN_S = 20
REPLACED_WITHIN_S = 5
PATIENCE_S = 20  # beyond those, so that what comes too late is measured as well
ASK = 1_000_000
TAKERS = 4
ENDLESS = "trap 'exit 0' TERM; while true; do sleep 0.1; done"


def pass_time(until):
    """Silence has to last: there is nothing else to wait for."""
    threading.Event().wait(max(0.0, until - time.monotonic()))


class Heart(threading.Thread):
    """Beats for a host, on a connection of its own that stays open when the host falls silent."""

    def __init__(self, host):
        super().__init__(daemon=True)
        self.host = host
        self.interval_s = host.enrolled["heartbeat_interval_ms"] / 1000
        self.client = Client(host.world, certificate=host.pem, name=host.name + "'s heart")
        self.stopped = threading.Event()
        self.heard_at = None  # when the last acknowledged heartbeat was sent
        self.silent_at = None
        self.start()

    def run(self):
        while not self.stopped.is_set():
            sent = time.monotonic()
            self.host.beats += 1
            self.client.expect(200, "POST", "/v1/agent/heartbeat",
                               {"boot_id": BOOT, "sequence": self.host.beats, "leases": []}, idempotency_key=None)
            self.heard_at = sent
            self.stopped.wait(self.interval_s * random.uniform(0.9, 1.1))

    def fall_silent(self):
        self.silent_at = time.monotonic()
        self.stopped.set()

    def close(self):
        self.stopped.set()
        self.join()
        self.client.close()


class Taker(threading.Thread):
    """Says of each lease that a host is given that it runs, without a container."""

    def __init__(self, host):
        super().__init__(daemon=True)
        self.host = host
        self.stopped = threading.Event()
        self.start()

    def run(self):
        taken, version = set(), None
        while not self.stopped.is_set():
            desired = self.host.desired(version, wait_ms=2000)
            version = desired["version"]
            for lease in desired["leases"]:
                if lease["lease_id"] not in taken:
                    taken.add(lease["lease_id"])
                    LeaseOnHost(self.host, lease).start()

    def close(self):
        self.stopped.set()
        self.join()


class Heard(threading.Thread):
    """When an event of a kind was heard last, by its object's id."""

    def __init__(self, world, key, kind):
        super().__init__(daemon=True)
        self.kind = kind
        self.at = {}
        self.events = Events(world, key)
        self.start()

    def run(self):
        while (event := self.events.arrived.get()) is not None:
            if event["type"] == self.kind:
                self.at[event["object"]["id"]] = time.monotonic()

    def close(self):
        self.events.close()
        self.join()


class Swarm:
    """A server with simulated hosts that are to fall silent, and others that have as many cards again."""

    def __init__(self, world, hosts):
        self.world = world
        world.start_server()
        self.seller, self.renter = world.seller(), world.renter(deposit_micros=1_000_000_000_000)
        self.seller_events, self.renter_events = Events(world, self.seller["key"]), Events(world, self.renter["key"])
        self.parts = [self.seller_events, self.renter_events]  # that close() ends, the last one first
        self.keys = HostKeys(world.folder / "hosts")
        self.hearts = [self.online(f"host-{number}", 1, ASK) for number in range(hosts)]
        for number in range(TAKERS):
            heart = self.online(f"taker-{number}", math.ceil(hosts / TAKERS), 2 * ASK)
            self.parts.append(Taker(heart.host))
        self.jobs = {}  # by the host that they ran on first

    def online(self, name, cards, ask):
        """The heart of a new host that is online and lists its cards."""
        host = SimulatedHost(self.world, self.seller["key"], self.keys, name)
        host.put_inventory(reported_cards(name, cards))
        heart = Heart(host)
        self.parts += [host, heart]
        self.seller_events.wait(lambda e: e["type"] == "host.online" and e["object"]["id"] == host.id, f"{name} online")
        self.world.post("/v1/listings", {"host_id": host.id, "card_ids": [card["id"] for card in host.cards],
                                         "ask_micros_per_hour": ask}, self.seller["key"], 201)
        return heart

    def give_work(self):
        """A batch job for each host that is to fall silent: theirs are the cheaper cards."""
        hosts = {heart.host.id: heart.host for heart in self.hearts}
        for _ in hosts:
            placed = self.world.post("/v1/orders", {
                "price_max_micros_per_hour": 3 * ASK, "term_ms": 3_600_000, "fill_or_kill": True,
                "job": {"image": "none", "max_duration_ms": 3_600_000, "attempts_max": 2}}, self.renter["key"], 201)
            lease, job = placed["lease"], placed["job"]["id"]
            hosts[lease["host_id"]].take(lease["id"]).start()
            self.renter_events.wait(lambda e: e["type"] == "job.running" and e["object"]["id"] == job, f"{job} running")
            self.jobs[lease["host_id"]] = job

    def silence(self, over_s):
        """Host after host, each at a moment by chance."""
        begun = time.monotonic()
        moments = sorted(random.uniform(0, over_s) for _ in self.hearts)
        for moment, heart in zip(moments, random.sample(self.hearts, len(self.hearts))):
            pass_time(begun + moment)
            heart.fall_silent()

    def measure(self, over_s):
        unreachable = Heard(self.world, self.seller["key"], "host.unreachable")
        running = Heard(self.world, self.renter["key"], "job.running")
        self.parts += [unreachable, running]
        self.silence(over_s)

        def has_moved(heart):
            # Not after it was declared: of two streams either may be heard first.
            return heart.host.id in unreachable.at and running.at.get(self.jobs[heart.host.id], 0) > heart.silent_at

        ends = time.monotonic() + DECLARED_WITHIN_S + REPLACED_WITHIN_S + PATIENCE_S
        while not all(has_moved(heart) for heart in self.hearts) and time.monotonic() < ends:
            pass_time(time.monotonic() + 0.1)
        found = dict(unreachable.at)
        late = [heart for heart in self.hearts if found.get(heart.host.id, 0) > heart.silent_at]
        moved = [heart for heart in self.hearts if has_moved(heart)]
        return {
            "hosts": len(self.hearts), "missed": sum(heart.host.id not in found for heart in self.hearts),
            "declared_early": sum(found.get(heart.host.id, math.inf) <= heart.silent_at for heart in self.hearts),
            **spread("declared_ms", [found[heart.host.id] - heart.heard_at for heart in late]),
            **spread("silence_to_declared_ms", [found[heart.host.id] - heart.silent_at for heart in late]),
            "not_moved": len(self.hearts) - len(moved),
            **spread("moved_ms", [max(0, running.at[self.jobs[heart.host.id]] - found[heart.host.id])
                                  for heart in moved]),
        }

    def close(self):
        for part in reversed(self.parts):
            part.close()


def spread(name, seconds):
    """Median, 99th percentile and the longest, in ms; nothing where nothing was seen."""
    if not seconds:
        return {}
    values = {"p50": percentile(seconds, 0.5), "p99": percentile(seconds, 0.99), "max": max(seconds)}
    return {f"{name}_{part}": round(value * 1000, 1) for part, value in values.items()}


def move(rig, job):
    """Stops the agent that a job runs on until it runs on the other. Seconds from the stop until it is requeued, and
    from there until it runs."""
    lease = rig.job(job)["lease_id"]
    host = rig.host_of(lease)
    agent = next(p for p in rig.world.processes if p.name == f"agent-{host}" and p.alive()).child
    pass_time(time.monotonic() + random.uniform(0, 5))  # somewhere between two heartbeats
    stopped = time.monotonic()
    agent.send_signal(signal.SIGSTOP)
    try:
        rig.wait("job.requeued", job, DECLARED_WITHIN_S + PATIENCE_S)
        requeued = time.monotonic()
        rig.wait("job.running", job, REPLACED_WITHIN_S + PATIENCE_S)
        running = time.monotonic()
    finally:
        agent.send_signal(signal.SIGCONT)
    rig.wait("lease.released", lease)  # the stopped host has its card free again
    return requeued - stopped, running - requeued


def with_containers(world, moves):
    rig = Rig(world, ())
    job = rig.order({"image": IMAGE, "command": ["/bin/sh", "-c", ENDLESS], "max_duration_ms": 3_600_000,
                     "attempts_max": moves + 1})["job"]["id"]
    rig.wait("job.running", job)
    seen = [move(rig, job) for _ in range(moves)]
    world.post(f"/v1/jobs/{job}/cancel", {}, rig.renter["key"])
    rig.wait("lease.released", rig.job(job)["lease_id"])
    rig.events.close()
    rig.seller_events.close()
    return {"containers": moves, **spread("replaced_ms", [replaced for _, replaced in seen]),
            **spread("stopped_to_running_ms", [sum(both) for both in seen])}


def with_simulated_hosts(world, hosts, over_s):
    swarm = Swarm(world, hosts)
    try:
        swarm.give_work()
        return swarm.measure(over_s)
    finally:
        swarm.close()


def holds(result):
    return (result["missed"] == result["declared_early"] == result["not_moved"] == 0 and
            result["declared_ms_p99"] <= DECLARED_WITHIN_S * 1000 and
            max(result["moved_ms_p99"], result["replaced_ms_p99"]) <= REPLACED_WITHIN_S * 1000)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=120, help="simulated ones that fall silent")
    parser.add_argument("--over-s", type=float, default=30, help="within which they do")
    parser.add_argument("--moves", type=int, default=9, choices=range(1, 10), help="of a job between two real agents")
    parser.add_argument("--bin", default=str(SOURCE / "build/release/bin"))
    parser.add_argument("--out", default=str(SOURCE / "build/bench/lost.json"))
    options = parser.parse_args()
    with World(options.bin) as world:
        result = with_simulated_hosts(world, options.hosts, options.over_s)
    with World(options.bin) as world:
        result.update(with_containers(world, options.moves))
    out = pathlib.Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    for name, value in result.items():
        print(f"{name:28} {value!s:>10}")
    return 0 if holds(result) else 1


if __name__ == "__main__":
    sys.exit(main())
