"""./run bench rent: durable orders a second beside pgbench's TPC-B, on the same PostgreSQL, in the same run.

Rounds alternate: pgbench, orders, pgbench, orders, … Each order is a real POST /v1/orders over keep-alive TLS with
a new Idempotency-Key, filled with a card of its own; hosts send their heartbeats meanwhile. pgbench runs its built-
in TPC-B (-M prepared -s 50 -j 2) at the best of 8, 16, 32 and 64 clients, found first. Medians of the rounds are
reported.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import platform
import re
import shlex
import statistics
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests/e2e"))
from simulated_host import HostKeys, SimulatedHost, reported_cards  # noqa: E402
from world import World  # noqa: E402

PSQL = "/usr/lib/postgresql/15/bin"
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
CARDS_PER_HOST = 1024


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--hosts", type=int, default=0, help="0: enough cards for 8,000 orders a second")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--scale", type=int, default=50, help="of pgbench")
    parser.add_argument("--out", default=str(SOURCE / "build/bench/rent.json"))
    return parser.parse_args()


class Postgres:
    """The server's own managed cluster, as the operator's database user sees it."""

    def __init__(self, world):
        parts = dict(part.split("=", 1) for part in shlex.split(world.database_url))
        self.environment = dict(os.environ, PGHOST=parts["host"], PGPORT=parts.get("port", "5432"), PGUSER="postgres")

    def sql(self, text):
        return subprocess.run([f"{PSQL}/psql", "-XAtqc", text, "fallow"], env=self.environment, check=True,
                              capture_output=True, text=True).stdout.strip()

    def pgbench(self, *words):
        done = subprocess.run([f"{PSQL}/pgbench", *words, "pgbench"], env=self.environment, check=True,
                              capture_output=True, text=True)
        return done.stdout

    def tps(self, clients, seconds):
        out = self.pgbench("-M", "prepared", "-j", "2", "-c", str(clients), "-T", str(seconds), "-n")
        return float(re.search(r"tps = ([\d.]+) \(without", out).group(1))


def process_times(pid):
    """(parent, seconds of its own, seconds of its ended children) from /proc, or None when it has ended."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    ticks = [int(field) for field in fields[11:15]]
    return int(fields[1]), sum(ticks[:2]) / CLOCK_TICKS, sum(ticks[2:]) / CLOCK_TICKS


def cpu_seconds(pid):
    return process_times(pid)[1]


def postgres_cpu_seconds(world):
    """Of the whole cluster; what its ended processes used is the postmaster's children's."""
    root = int((world.data / "postgres/data/postmaster.pid").read_text().split()[0])
    _, own, ended = process_times(root)
    children = (process_times(folder.name) for folder in pathlib.Path("/proc").glob("[0-9]*"))
    return own + ended + sum(child[1] for child in children if child is not None and child[0] == root)


def add_host(world, seller, keys, number):
    """A host with its cards listed; NUMBER.pem in the keys' folder is for the load's heartbeats."""
    host = SimulatedHost(world, seller["key"], keys, f"bench-{number}", pem=keys.folder / f"{number}.pem")
    host.heartbeat()
    cards = host.put_inventory(reported_cards(f"bench-{number}", CARDS_PER_HOST, product="bench"))
    host.close()
    world.post("/v1/listings", {"host_id": host.id, "card_ids": [card["id"] for card in cards],
                                "ask_micros_per_hour": 2_000_000 + number}, seller["key"], 201)


def add_hosts(world, seller, count):
    """The folder of their certificates."""
    keys = HostKeys(world.folder / "agents")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: add_host(world, seller, keys, number), range(count)))
    return keys.folder


def load(world, key_file, agents, connections, seconds, number):
    done = subprocess.run([str(world.bin / "rent_load"), "--port", str(world.port), "--ca", str(world.ca), "--key-file",
                           str(key_file), "--agents", str(agents), "--connections", str(connections), "--seconds",
                           str(seconds), "--run", str(number)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def place(world, key_file, agents, options, number):
    scheduler = world.get("/v1/admin/scheduler", world.admin_key)
    server = world.server.child.pid
    before = postgres_cpu_seconds(world), cpu_seconds(server)
    seen = load(world, key_file, agents, options.connections, options.seconds, number)
    after = postgres_cpu_seconds(world), cpu_seconds(server)
    now = world.get("/v1/admin/scheduler", world.admin_key)
    if seen["refused"]:
        raise SystemExit(f"{seen['refused']} orders were refused, the last with {seen['last_refusal']}")
    seen["batch_mean"] = (now["commands"] - scheduler["commands"]) / max(now["batches"] - scheduler["batches"], 1)
    seen["pg_cpu_us_per_order"] = (after[0] - before[0]) * 1e6 / seen["orders"]
    seen["server_cpu_us_per_order"] = (after[1] - before[1]) * 1e6 / seen["orders"]
    return seen


def main():
    options = arguments()
    binaries = SOURCE / "build/release/bin"
    hosts = options.hosts or (options.rounds * options.seconds * 8000) // CARDS_PER_HOST + 1
    with World(binaries) as world:
        # The hosts are silent while pgbench runs alone; they are not to be lost for that. Nor are the leases of one
        # round, which never get a job, to end in the middle of a later one.
        world.start_server("host_lost_ms=3600000", "host_lost_declared_ms=3600000", "attach_ms=7200000")
        postgres = Postgres(world)
        postgres.sql("CREATE DATABASE pgbench")
        print(f"pgbench -i -s {options.scale} …", file=sys.stderr)
        postgres.pgbench("-i", "-q", "-s", str(options.scale))
        settings = {name: postgres.sql(f"SHOW {name}") for name in ("synchronous_commit", "fsync", "shared_buffers",
                                                                    "server_version")}
        assert settings["synchronous_commit"] == "on" and settings["fsync"] == "on", settings
        print(f"{hosts} hosts with {CARDS_PER_HOST} cards each …", file=sys.stderr)
        seller = world.seller()
        renter = world.renter(deposit_micros=900_000_000_000_000)
        agents = add_hosts(world, seller, hosts)
        key_file = world.folder / "renter.key"
        key_file.write_text(renter["key"])
        tried = {clients: postgres.tps(clients, 5) for clients in (8, 16, 32, 64)}
        best = max(tried, key=tried.get)
        print(f"pgbench clients: {tried}, best {best}", file=sys.stderr)
        tps, runs = [], []
        for number in range(options.rounds):
            tps.append(postgres.tps(best, options.seconds))
            runs.append(place(world, key_file, agents, options, number))
            print(f"round {number + 1}: pgbench {tps[-1]:.0f} tps, orders {runs[-1]['orders_per_s']:.0f}/s "
                  f"(p50 {runs[-1]['p50_ms']:.1f} ms, p99 {runs[-1]['p99_ms']:.1f} ms, batch "
                  f"{runs[-1]['batch_mean']:.1f})", file=sys.stderr)
        median = lambda name: statistics.median(run[name] for run in runs)
        result = {name: round(median(name), 3) for name in ("orders_per_s", "p50_ms", "p99_ms", "batch_mean",
                                                            "pg_cpu_us_per_order", "server_cpu_us_per_order")}
        result["pgbench_tps"] = round(statistics.median(tps), 1)
        result["ratio"] = round(result["orders_per_s"] / result["pgbench_tps"], 3)
        result["pgbench_clients"] = best
        result["rounds"] = [{"pgbench_tps": t, **run} for t, run in zip(tps, runs)]
        result["machine"] = {"cpus": os.cpu_count(), "kernel": platform.release(), "postgres": settings}
    out = pathlib.Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    for name in ("orders_per_s", "pgbench_tps", "ratio", "p50_ms", "p99_ms", "batch_mean", "pg_cpu_us_per_order",
                 "server_cpu_us_per_order"):
        print(f"{name:26} {result[name]:>12}")


if __name__ == "__main__":
    main()
