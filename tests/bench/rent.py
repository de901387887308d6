"""./run bench rent: durable orders a second beside pgbench's TPC-B, on the same PostgreSQL, in the same run.

Rounds alternate: pgbench, orders, pgbench, orders, … Each order is a real POST /v1/orders over keep-alive TLS with a new
Idempotency-Key, filled with a card of its own; hosts send their heartbeats meanwhile. pgbench runs its built-in TPC-B
(-M prepared -s 50 -j 2) at the best of 8, 16, 32 and 64 clients, found first. Medians of the rounds are reported.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import platform
import re
import ssl
import statistics
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests/e2e"))
from world import World  # noqa: E402

PSQL = "/usr/lib/postgresql/15/bin"
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
        parts = dict(part.split("=", 1) for part in world.database_url.split())
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


def cpu_seconds(pids):
    """User and system time of processes and their finished children, from /proc."""
    ticks = 0
    for pid in pids:
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except FileNotFoundError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def postgres_pids(world):
    root = int((world.data / "postgres/data/postmaster.pid").read_text().split()[0])
    children = pathlib.Path(f"/proc/{root}/task/{root}/children").read_text().split()
    return [root, *map(int, children)]


class Hosts:
    """Sellers' hosts as their agents would enrol them; all share one key pair, each has its own certificate."""

    def __init__(self, world, seller, count):
        self.world, self.seller = world, seller
        self.folder = world.folder / "agents"
        self.folder.mkdir()
        self.key = self.folder / "tls.key"
        self.sign_key = self.folder / "sign.key"
        openssl = lambda *words: subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True).stdout
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key)
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.sign_key)
        self.csr = openssl("req", "-new", "-key", self.key, "-subj", "/CN=bench").decode()
        import base64
        der = openssl("pkey", "-in", self.sign_key, "-pubout", "-outform", "DER")
        self.public = base64.b64encode(der[-32:]).decode()
        self.encode = lambda raw: base64.b64encode(raw).decode()
        self.openssl = openssl
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            self.listings = list(pool.map(self.add, range(count)))

    def add(self, number):
        world, key = self.world, self.seller["key"]
        token = world.post("/v1/enrollment-tokens", {"name": f"bench-{number}", "country": "DE"}, key, 201)["token"]
        message = self.folder / f"{number}.message"
        message.write_text("fallow-enroll-v1\n" + token)
        proof = self.openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.sign_key, "-in", message)
        enrolled = world.post("/v1/agent/enroll", {
            "token": token, "csr": self.csr, "signing_key": self.public, "proof": self.encode(proof),
            "agent_version": "bench", "runtime": "runc", "engine": "none", "cpu_cores": 2,
            "memory_bytes": 1 << 30}, None, 201)
        pem = self.folder / f"{number}.pem"
        pem.write_text(enrolled["certificate"] + self.key.read_text())
        self.as_host(pem, "POST", "/v1/agent/heartbeat", {"boot_id": "bench", "sequence": 0, "leases": []})
        cards = [{"index": n, "uuid": f"GPU-{number}-{n}", "pci_address": None, "product": "bench", "vendor": "bench",
                  "device_class": "gpu", "backend": "opencl", "driver_version": "1",
                  "capacity": {"vram_bytes": 80 << 30, "memory_bandwidth_bytes_per_s": 10**12, "fp32_flops": 10**13,
                               "measured_at": "2026-01-01T00:00:00.000Z"}} for n in range(CARDS_PER_HOST)]
        found = self.as_host(pem, "PUT", "/v1/agent/inventory", {
            "boot_id": "bench", "agent_version": "bench", "runtime": "runc", "engine": "none", "cpu_cores": 2,
            "memory_bytes": 1 << 30, "cards": cards})["cards"]
        return world.post("/v1/listings", {"host_id": enrolled["host_id"], "card_ids": [card["id"] for card in found],
                                           "ask_micros_per_hour": 2_000_000 + number}, key, 201)["id"]

    def as_host(self, pem, method, path, body):
        import http.client
        context = ssl.create_default_context(cafile=str(self.world.ca))
        context.load_cert_chain(str(pem))
        connection = http.client.HTTPSConnection("127.0.0.1", self.world.port, context=context, timeout=60)
        try:
            connection.request(method, path, body=json.dumps(body), headers={"Content-Type": "application/json"})
            reply = connection.getresponse()
            parsed = json.loads(reply.read())
        finally:
            connection.close()
        if reply.status not in (200, 201):
            raise SystemExit(f"{method} {path} answered {reply.status}: {parsed}")
        return parsed


def place(world, binaries, key_file, agents, options, number):
    scheduler = world.get("/v1/admin/scheduler", world.admin_key)
    pg, server = postgres_pids(world), [world.server.child.pid]
    before = cpu_seconds(pg), cpu_seconds(server)
    done = subprocess.run([str(binaries / "rent_load"), "--port", str(world.port), "--ca", str(world.ca), "--key-file",
                           str(key_file), "--agents", str(agents), "--connections", str(options.connections),
                           "--seconds", str(options.seconds), "--run", str(number)], check=True, capture_output=True,
                          text=True)
    seen = json.loads(done.stdout)
    after = cpu_seconds(pg), cpu_seconds(server)
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
        world.start_server()
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
        all_hosts = Hosts(world, seller, hosts)
        key_file = world.folder / "renter.key"
        key_file.write_text(renter["key"])
        tried = {clients: postgres.tps(clients, 5) for clients in (8, 16, 32, 64)}
        best = max(tried, key=tried.get)
        print(f"pgbench clients: {tried}, best {best}", file=sys.stderr)
        tps, runs = [], []
        for number in range(options.rounds):
            tps.append(postgres.tps(best, options.seconds))
            runs.append(place(world, binaries, key_file, all_hosts.folder, options, number))
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
