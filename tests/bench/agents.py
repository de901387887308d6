"""./run bench agents: 10,000 agents of one fallowd over mTLS, in a steady minute and through kill -9.

The server and the swarm (agents_load.cpp) are processes of their own. Each agent has a certificate of the server's
authority, got by a real enrolment; it beats every seven seconds, every five with a lease, long-polls its desired
state, and takes, runs and ends the leases that it finds there, which a renter orders all through the minute.
`cpu_cores` is the server process's processor time over the minute (PostgreSQL's is beside it). Then the server is
killed with every agent connected and started again at once: `fenced_after_restart` counts those with a lease
(`leased_at_kill`) that heard nothing for longer than the fence, which runs from when the last acknowledged heartbeat
was sent, as fallow-guard counts it. Agents come back by the policy of fallow-agent: those with a lease as soon as they
can, the others as late as the server has told them, up to 40 s of 10,000, which `longest_gap_ms` shows.
"""
import argparse
import json
import os
import pathlib
import resource
import socket
import subprocess
import sys
import time
import uuid

from rent import SOURCE, cpu_seconds, postgres_cpu_seconds
from start import resident_mb
from world import World

FENCE_S = 10


class Swarm:
    def __init__(self, world, seller, options):
        key_file = world.folder / "seller.key"
        key_file.write_text(seller["key"] + "\n")
        self.child = subprocess.Popen(
            [str(world.bin / "agents_load"), "--port", str(world.port), "--ca", str(world.ca), "--seller-key-file",
             str(key_file), "--agents", str(options.agents), "--listed", str(options.listed),
             "--spread-ms", str(int(options.connect_s * 1000))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def answer(self):
        line = self.child.stdout.readline()
        if not line:
            raise SystemExit(f"the swarm has ended with {self.child.wait()}")
        return json.loads(line)

    def ask(self, command):
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()
        return self.answer()

    def wait(self, condition, what, seconds):
        deadline = time.monotonic() + seconds
        while not condition(seen := self.ask("report")):
            if time.monotonic() > deadline:
                raise SystemExit(f"waited {seconds} s for {what}: {seen}")
            time.sleep(0.5)
        return seen

    def end(self):
        self.child.stdin.close()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()


def order(world, renter):
    """Fire and forget: an order that finds no free card is not this benchmark's affair."""
    status, _, _ = world.call("POST", "/v1/orders", {
        "requirements": {"products": ["swarm"]}, "price_max_micros_per_hour": 1_000_000, "term_ms": 3_600_000,
        "fill_or_kill": True, "job": {"image": "none", "max_duration_ms": 60_000}}, key=renter["key"],
        headers={"Idempotency-Key": uuid.uuid4().hex})
    return status == 201


def steady_minute(world, swarm, renter, options):
    server = world.server.child.pid
    swarm.ask("mark")
    begun, before, before_pg = time.monotonic(), cpu_seconds(server), postgres_cpu_seconds(world)
    ordered = 0
    while (left := begun + options.seconds - time.monotonic()) > 0:
        ordered += order(world, renter)
        time.sleep(min(left, 1 / max(options.orders_per_s, 0.001)))
    seen = swarm.ask("report")
    wall = time.monotonic() - begun
    return seen, {
        "seconds": round(wall, 1),
        "cpu_cores": round((cpu_seconds(server) - before) / wall, 3),
        "postgres_cores": round((postgres_cpu_seconds(world) - before_pg) / wall, 3),
        "rss_mb": round(resident_mb(world.server.child.pid), 1),
        "orders": ordered,
    }


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--listed", type=int, default=200, help="agents with a card that can be rented")
    parser.add_argument("--connect-s", type=float, default=30, help="over which they connect for the first time")
    parser.add_argument("--orders-per-s", type=float, default=3)
    parser.add_argument("--bin", default=str(SOURCE / "build/release/bin"))
    parser.add_argument("--keep", action="store_true", help="the folder with the server's log")
    parser.add_argument("--out", default=str(SOURCE / "build/bench/agents.json"))
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < options.agents * 1.1 + 200:
        raise SystemExit(f"{options.agents} agents need more open files than the hard limit of {hard} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    settings = [f"connections_max={options.agents * 2 + 500}", f"listen_port={free_port()}"]
    with World(options.bin, keep=options.keep) as world:
        begun = time.monotonic()
        world.start_server(*settings)
        seller, renter = world.seller(), world.renter(deposit_micros=900_000_000_000)
        swarm = Swarm(world, seller, options)
        try:
            enrolled = swarm.answer()["enrolled"]
            print(f"{enrolled} agents enrolled in {time.monotonic() - begun:.0f} s", file=sys.stderr)
            idle = swarm.wait(lambda s: s["heard_since_mark"] == enrolled and s["polls"] >= enrolled,
                              "every agent's first heartbeat", 120)
            print(f"all connected after {time.monotonic() - begun:.0f} s: {idle}", file=sys.stderr)
            steady, found = steady_minute(world, swarm, renter, options)
            print(f"steady: {steady}", file=sys.stderr)
            swarm.ask("mark")
            killed = time.monotonic()
            world.server.kill()
            world.start_server(*settings)
            listening = time.monotonic() - killed
            after = swarm.wait(lambda s: s["heard_since_mark"] == enrolled, "every agent to be heard again", 120)
            print(f"after kill -9: listening in {listening:.1f} s, all heard in {time.monotonic() - killed:.1f} s: "
                  f"{after}", file=sys.stderr)
        finally:
            swarm.end()
    result = {"agents": enrolled, **found, "missed_heartbeats": steady["missed_heartbeats"],
              "heartbeats": steady["heartbeats"], "heartbeat_p99_ms": round(steady["heartbeat_p99_ms"], 2),
              "connections": steady["connections"], "leases_done": steady["leases_done"],
              "fenced_after_restart": after["fenced"], "leased_at_kill": steady["leased"],
              "longest_leased_gap_ms": after["longest_leased_gap_ms"], "longest_gap_ms": after["longest_gap_ms"],
              "resumed_handshakes": after["resumed"], "handshakes": after["handshakes"],
              "load_average": os.getloadavg()}
    out = pathlib.Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    for name in ("agents", "connections", "cpu_cores", "postgres_cores", "rss_mb", "missed_heartbeats",
                 "heartbeat_p99_ms", "leases_done", "leased_at_kill",
                 "fenced_after_restart", "longest_leased_gap_ms", "longest_gap_ms"):
        print(f"{name:22} {result[name]:>10}")


if __name__ == "__main__":
    main()
