"""Restarts two servers in turn, gently, under load, and counts what the clients lost.

    rolling.py [--restarts 20] [--rate 300] [--clients 30]

Each client keeps connections alive as a proxy would and goes to the other server when a connection is refused. A
request counts as lost when it gets no answer or one of the 5xx; a connection that a server has closed between two
requests is opened anew, with the same request and key. At the end each acknowledged order must be there exactly once.
"""
import argparse
import collections
import http.client
import json
import os
import pathlib
import random
import signal
import ssl
import sys
import threading
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from replicas import Replicas, logged
from takeover import SETTINGS, STANDING

CLOSED = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError, ssl.SSLEOFError,
          ssl.SSLZeroReturnError)


class Load:
    def __init__(self, servers, renters, rate, clients):
        self.servers, self.renters = servers, renters
        self.pause = clients / rate
        self.counts = collections.Counter()
        self.lost = []
        self.orders = {}
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(clients)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def run(self, number):
        chance = random.Random(number)
        connections = {}
        renter = self.renters[number % len(self.renters)]
        due = time.monotonic() + chance.random() * self.pause
        while not self.ended.wait(max(0, due - time.monotonic())):
            due = max(due + self.pause, time.monotonic() - 1)
            self.one(chance, connections, renter)
        for connection in connections.values():
            connection.close()

    def one(self, chance, connections, renter):
        """A command or a read at one server, or at the other when that refuses the connection."""
        writes = chance.random() < 0.4
        key = uuid.uuid4().hex
        order = chance.sample(self.servers, len(self.servers))
        for attempt in range(40):
            server = order[attempt % len(order)]
            try:
                status, raw = self.send(connections, server, renter, writes, key)
            except ConnectionRefusedError:
                self.count("refused connects")
                if attempt % 2 == 1:
                    self.ended.wait(0.05)
                continue
            except OSError as error:
                return self.lose(f"{server.name}: {type(error).__name__} {error}")
            if status not in (200, 201):
                return self.lose(f"{server.name}: {status} {raw[:200]!r}")
            self.count("orders" if writes else "reads")
            if writes:
                with self.lock:
                    self.orders[key] = renter
            return None
        return self.lose("refused by both for two seconds")

    def send(self, connections, server, renter, writes, key):
        """One exchange. A kept connection that the server has closed meanwhile is opened anew, once."""
        kept = connections.pop(server.name, None)
        for connection in [kept, None] if kept else [None]:
            fresh = connection is None
            try:
                if fresh:
                    connection = server.opener.connect(timeout=20)
                    connection.connect()
                headers = {"Authorization": "Bearer " + renter["key"]}
                if writes:
                    headers |= {"Idempotency-Key": key, "Content-Type": "application/json"}
                    connection.request("POST", "/v1/orders", server.body, headers)
                else:
                    connection.request("GET", "/v1/orders?limit=1", headers=headers)
                reply = connection.getresponse()
                raw = reply.read()
            except CLOSED:
                connection.close()
                if fresh:
                    raise
                self.count("kept connections closed")
                continue
            if not reply.will_close:
                connections[server.name] = connection
            return reply.status, raw
        raise AssertionError("unreachable")

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def lose(self, why):
        with self.lock:
            self.lost.append(why)


def restart(world, server, other):
    """SIGTERM, /readyz at once, the end, a new start; returns how long the end took."""
    began = time.monotonic()
    server.process.child.send_signal(signal.SIGTERM)
    code = server.process.child.wait(60)
    ended = time.monotonic() - began
    if code != 0:
        raise AssertionError(f"{server.name} ended with {code}:\n{server.process.tail()}")
    world.processes.remove(server.process)
    role = other.scheduler()["role"]
    server.start()
    return ended, role


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default=os.environ.get("FALLOW_BIN_DIR", "build/release/bin"))
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--rate", type=int, default=300)
    parser.add_argument("--clients", type=int, default=30)
    options = parser.parse_args(arguments)
    bad = []
    with Replicas(options.bin, settings=SETTINGS) as world:
        servers = [world.servers.first, world.servers.second]
        renters = [world.organization(f"renter {n}", "FR", ["renter:read", "renter:write"], 10**9) for n in range(8)]
        for server in servers:
            server.opener = server.client()
            server.body = json.dumps(STANDING).encode()
        load = Load(servers, renters, options.rate, options.clients)
        began = time.monotonic()
        try:
            for number in range(options.restarts):
                ended, role = restart(world, servers[number % 2], servers[1 - number % 2])
                print(f"restart {number + 1:>3}: {servers[number % 2].name:<6} ended after {ended:.2f} s, "
                      f"the other is the {role}", flush=True)
                if role != "leader":
                    bad.append(f"restart {number + 1}: the other did not lead")
        finally:
            load.stop()
        seconds = time.monotonic() - began
        done = load.counts["orders"] + load.counts["reads"]
        print(f"{done} requests in {seconds:.0f} s ({done / seconds:.0f} a second): "
              + ", ".join(f"{count} {what}" for what, count in sorted(load.counts.items()))
              + f", {len(load.lost)} lost")
        bad += [f"lost: {why}" for why in load.lost[:10]]
        found = int(world.postgres.sql("SELECT count(*) FROM orders"))
        if found != len(load.orders):
            bad.append(f"{len(load.orders)} orders were acknowledged and {found} are there")
        for server in servers:
            bad += [f"{server.name} logged {line}" for line in logged(server, "error")[:3]]
        if world.prove_ledger()[0] != 0:
            bad.append("the ledger does not prove")
    for what in bad:
        print("FAILED: " + what)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
