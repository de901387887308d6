#!/usr/bin/env python3
"""The kill matrix: fallowd, fallow-agent and PostgreSQL, each killed with SIGKILL at each boundary of a job's life.

    kill_matrix.py [--bin DIR] [--rounds 6] [--only TEXT]

A job is ordered for each kill; at the boundary the victim dies and is started again at once. Afterwards the job must
have its outcome, once; lease, bill and ledger must be right, and the containers must be those of live leases within
10 s of its end. Boundaries are seen from outside: PostgreSQL's protocol, the container engine's socket, the
renter's connection. A job on another host runs throughout and must not notice. Prints a row for each boundary and
victim.
"""
import argparse
import base64
import collections
import http.client
import json
import re
import socket
import sys
import threading
import time
import types
import urllib.parse
import uuid

import relay
from rig import LOST, Cut, Failure, Rig
from routes_client import Client
from world import SOURCE, Events

IMAGE = "localhost/fallow-chaos:1"
ORPHANS_GONE = 10  # seconds
PRICE = 3_600_000_000  # a micro for each microsecond, so that every millisecond shows in the bill
DEPOSIT = 10**14
JOB_MS = 300
ENDS = ["/bin/sh", "-c", f"echo one; sleep {JOB_MS / 1000}"]
WAITS = ["/bin/sh", "-c", "trap 'exit 3' TERM; echo one; while :; do sleep 0.1; done"]
FINAL = ("succeeded", "failed", "cancelled")
VICTIMS = ("server", "agent", "postgres")
BOUNDARIES = ("before commit", "after commit", "before reply", "after reply", "before create", "after create",
              "before start", "after start", "before stop", "after stop", "before usage", "after usage")
VERBS = {"create": re.compile(rb"POST /\S+/containers/create"),
         "start": re.compile(rb"POST /\S+/containers/([0-9a-f]{64})/start"),
         "stop": re.compile(rb"POST /\S+/containers/[^/ ]+/kill")}
TABLES = {"commit": "orders", "usage": "usage_statements"}
# A job takes a second here, so that it states its usage while it runs, and a new leader need not wait long.
SETTINGS = ("heartbeat_interval_ms=1000", "heartbeat_timeout_ms=500", "usage_interval_ms=200", "leader_beat_ms=150",
            "leader_takeover_ms=500")


def octets_of(name):
    """The 16 octets of an id: what stands after its type is Crockford's base 32."""
    number = 0
    for letter in name.split("_")[1]:
        number = number * 32 + "0123456789abcdefghjkmnpqrstvwxyz".index(letter)
    return number.to_bytes(16, "big")


class EngineConnection(http.client.HTTPConnection):
    """To the container engine itself, past the relay."""

    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Strike:
    """One kill at one boundary: armed, it falls once; the victim is started again by a thread of its own."""

    def __init__(self, matrix, boundary, victim):
        self.matrix, self.victim = matrix, victim
        self.when, self.what = boundary.split()
        self.fallen, self.back = threading.Event(), threading.Event()
        self.armed = False
        self.once = threading.Lock()
        self.error = None

    def reach(self, when, what, cut_for):
        """Called at every boundary; strikes at its own. A victim of `cut_for` hears nothing more on that connection."""
        if not self.armed or (when, what) != (self.when, self.what) or not self.once.acquire(blocking=False):
            return
        self.matrix.kill(self.victim)
        threading.Thread(target=self.revive, daemon=True).start()
        self.fallen.set()
        if self.victim in cut_for:
            raise Cut

    def revive(self):
        try:
            self.matrix.revive(self.victim)
        except Exception as error:
            self.error = error
            print(f"{self.victim} does not come back: {error!r}", file=sys.stderr, flush=True)
        self.at = time.monotonic()
        self.back.set()

    def wait_until_back(self):
        if not self.fallen.wait(60):
            raise Failure(f"«{self.when} {self.what}» did not come")
        if not self.back.wait(60) or self.error:
            raise Failure(f"{self.victim} did not come back: {self.error}")


class Matrix:
    def __init__(self, rig):
        self.rig = rig
        self.strike = None
        self.starts = collections.Counter()  # of containers, by lease
        self.charged = 0
        self.ordered = []  # jobs
        self.lease = None  # of the job whose life it is, as PostgreSQL is sent it
        self.prepare()

    def prepare(self):
        rig = self.rig
        rig.start_engine()
        rig.make_image(IMAGE)
        self.engine_path = rig.engine_socket
        rig.engine_socket = rig.folder / "engine-relay.sock"
        self.engine_relay = relay.on_unix(rig.engine_socket, self.engine_path)
        self.engine_relay.on_request, self.engine_relay.on_answer = self.on_engine_request, self.on_engine_answer
        self.renter_relay, port = relay.on_tcp(rig.port)
        self.renter_relay.on_answer = self.on_reply
        rig.transactions.on_commit = self.on_commit
        self.seller = rig.seller()
        self.renter = rig.organization("renter", "FR", ["renter:read", "renter:write"], DEPOSIT)
        self.neighbour = rig.organization("neighbour", "FR", ["renter:read", "renter:write"], DEPOSIT)
        self.client = Client(types.SimpleNamespace(ca=rig.ca, port=port), self.renter["key"])
        self.watcher = Client(rig, self.renter["key"])
        self.listings = {name: self.host(name) for name in ("alpha", "beta")}
        self.bystander = self.order_of(self.neighbour, "beta", WAITS)
        job = "/v1/jobs/" + self.bystander["job"]["id"]
        self.until(lambda: rig.get(job, self.neighbour["key"])["state"] == "running", "the neighbour's job to run")
        self.undisturbed = self.containers()

    def host(self, name):
        events = Events(self.rig, self.seller["key"])
        listing = self.rig.host_with_listing(self.seller, name, events, ask=PRICE)[2]
        events.close()
        return listing["id"]

    def body(self, listing, command):
        return {"requirements": {"listing_id": self.listings[listing]}, "price_max_micros_per_hour": PRICE,
                "term_ms": 3_600_000, "fill_or_kill": True,
                "job": {"image": IMAGE, "command": command, "max_duration_ms": 3_000_000}}

    def order_of(self, organization, listing, command):
        return self.rig.post("/v1/orders", self.body(listing, command), organization["key"], 201)

    # --- boundaries

    def reach(self, when, what, cut_for):
        if self.strike is not None:
            self.strike.reach(when, what, cut_for)

    def on_commit(self, commit):
        for what, table in TABLES.items():
            # The neighbour's job states its usage, too.
            if table in commit.tables and (what != "usage" or self.lease and self.lease in commit.values):
                self.reach("after" if commit.answered else "before", what, ("server", "postgres"))

    def on_reply(self, session, piece):
        self.reach("before", "reply", VICTIMS)

    def on_engine_request(self, session, piece):
        if not piece.startswith((b"POST /", b"GET /", b"DELETE /")):
            return  # the rest of a body
        session.request = piece.split(b"\r\n", 1)[0]
        for what, pattern in VERBS.items():
            if pattern.match(session.request):
                self.reach("before", what, ("agent",))

    def on_engine_answer(self, session, piece):
        request, session.request = session.request, b""
        started = VERBS["start"].match(request)
        if started and piece.startswith(b"HTTP/1.1 204"):
            container = started.group(1).decode()
            self.starts.update(lease for lease, its in self.containers().items() if its == container)
        for what, pattern in VERBS.items():
            if pattern.match(request):
                self.reach("after", what, ("agent",))

    # --- victims

    def agent(self):
        return next(p for p in reversed(self.rig.processes) if p.name == "agent-alpha")

    def kill(self, victim):
        {"server": self.rig.kill_server, "agent": lambda: self.agent().kill(),
         "postgres": self.rig.kill_postgres}[victim]()

    def revive(self, victim):
        {"server": self.rig.begin_server, "agent": lambda: self.rig.start_agent("alpha"),
         "postgres": self.rig.postgres.start}[victim]()

    # --- one kill

    def ask(self, path):
        reply = self.rig.answered(lambda: self.watcher.call("GET", path), 60)
        if reply.status != 200:
            raise Failure(f"GET {path} answered {reply}")
        return reply.body

    def until(self, condition, what, seconds=60):
        """Like World.until, less often: what is asked is the server."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise Failure(f"waited {seconds} s for {what}")
            threading.Event().wait(0.05)
        return found

    def containers(self):
        """{lease: container} of all that the engine has."""
        connection = EngineConnection(self.engine_path)
        connection.request("GET", "/v1.41/containers/json?all=1&filters=" +
                           urllib.parse.quote(json.dumps({"label": ["fallow.lease"]})))
        found = json.loads(connection.getresponse().read())
        connection.close()
        leases = {item["Labels"]["fallow.lease"]: item["Id"] for item in found}
        if len(leases) != len(found):
            raise Failure(f"a lease has two containers: {found}")
        return leases

    def cell(self, boundary, victim):
        """One job with one kill; returns (seconds until all was settled, seconds until orphans were gone)."""
        strike = self.strike = Strike(self, boundary, victim)
        self.ask("/v1/account")  # both connections are open, so that what comes now is the reply
        self.rig.answered(lambda: self.client.call("GET", "/v1/account"))
        strike.armed = strike.what != "stop"
        cancelled = strike.what == "stop"
        key, body = uuid.uuid4().hex, self.body("alpha", WAITS if cancelled else ENDS)
        reply = self.rig.answered(lambda: self.client.call("POST", "/v1/orders", body, idempotency_key=key), 60)
        self.reach("after", "reply", ())
        if reply.status != 201:
            raise Failure(f"the order was answered {reply}")
        placed = reply.body
        job, lease = placed["job"]["id"], placed["lease"]["id"]
        self.ordered.append(job)
        self.lease = octets_of(lease)
        if cancelled:
            self.until(lambda: self.ask("/v1/jobs/" + job)["state"] == "running" and self.logs(job), "the job to run")
            strike.armed = True  # not before: every create begins with a kill of what may be there
            stop = uuid.uuid4().hex
            self.rig.answered(lambda: self.client.call("POST", f"/v1/jobs/{job}/cancel", {}, idempotency_key=stop))
        strike.wait_until_back()
        job = self.until(lambda: self.final_job(job), f"the end of {job}", 120)
        since = max(strike.at, self.ended_at)
        self.until(lambda: self.containers() == self.undisturbed, "orphans to be gone")
        orphans = max(0.0, time.monotonic() - since)
        self.until(lambda: self.ask("/v1/listings/" + self.listings["alpha"])["cards_free"] == 1, "the card", 60)
        settled = time.monotonic() - strike.at
        self.strike = self.lease = None
        self.check(job, self.ask("/v1/leases/" + lease), cancelled, orphans)
        return settled, orphans

    def give_up(self):
        """After a kill that broke something: the next one begins with an empty host."""
        self.strike = self.lease = None
        for job in self.ordered[-1:]:
            again = uuid.uuid4().hex
            self.rig.answered(lambda: self.watcher.call("POST", f"/v1/jobs/{job}/cancel", {}, idempotency_key=again))
        self.until(lambda: self.ask("/v1/listings/" + self.listings["alpha"])["cards_free"] == 1, "the card", 60)
        self.charged = DEPOSIT - self.ask("/v1/account")["available_micros"]

    def final_job(self, job):
        found = self.ask("/v1/jobs/" + job)
        self.ended_at = time.monotonic()
        return found if found["state"] in FINAL else None

    def logs(self, job):
        return b"".join(base64.b64decode(item["data"]) for item in self.ask(f"/v1/jobs/{job}/logs")["items"])

    def check(self, job, lease, cancelled, orphans):
        wanted = ("cancelled", "cancelled_by_renter") if cancelled else ("succeeded", "completed")
        usage = self.ask(f"/v1/leases/{lease['id']}/usage")["items"]
        sequences = [item["sequence"] for item in usage]
        self.charged += lease["charged_micros"]
        account = self.ask("/v1/account")
        code, report = self.rig.prove_ledger()
        seen = {
            "the outcome": ((job["state"], lease["end_reason"]), wanted),
            "attempts": (job["attempts"], 1),
            "the log": (self.logs(job["id"]), b"one\n"),
            "the time that ran": (cancelled or lease["running_ms"] >= JOB_MS - 50, True),
            "the bill": (lease["charged_micros"], lease["price_micros_per_hour"] * lease["thousandths"] *
                         lease["running_ms"] // 3_600_000_000),
            "usage": (sequences, sorted(set(sequences))),
            "the renter's money": ((account["available_micros"], account["held_micros"]), (DEPOSIT - self.charged, 0)),
            "the ledger": ((code, report["balanced"], report["findings"]), (0, True, [])),
            "starts": (self.starts[lease["id"]], 1),
            "orphans within 10 s": (orphans <= ORPHANS_GONE, True),
        }
        wrong = [f"{what}: {found}, not {due}" for what, (found, due) in seen.items() if found != due]
        if wrong:
            raise Failure(f"{job['id']} on {lease['id']}: " + "; ".join(wrong))

    def check_bystander(self):
        job = self.rig.get("/v1/jobs/" + self.bystander["job"]["id"], self.neighbour["key"])
        if (job["state"], job["attempts"]) != ("running", 1) or self.containers() != self.undisturbed:
            raise Failure(f"the neighbour was disturbed: {job}")

    def orders(self):
        return self.watcher.items("/v1/orders")

    def close(self):
        self.client.close()
        self.watcher.close()
        self.engine_relay.close()
        self.renter_relay.close()


def run(binaries, rounds=6, only="", keep=False):
    """Plays the matrix and prints it as it goes; returns what does not hold."""
    bad, kills = [], 0
    with Rig(binaries, *SETTINGS, keep=keep) as rig:
        matrix = Matrix(rig)
        print(f"{'killed at':<14} {'victim':<8} {'kills':>5} {'held':>5} {'settled after':>14} {'orphans gone':>13}")
        for boundary, victim in [(b, v) for b in BOUNDARIES for v in VICTIMS if only in f"{b} {v}"]:
            row = []
            for _ in range(rounds):
                kills += 1
                try:
                    row.append(matrix.cell(boundary, victim))
                except (Failure, AssertionError, *LOST) as failure:
                    bad.append(f"{boundary}, {victim}: {failure!r}")
                    print("BROKEN: " + bad[-1], flush=True)
                    matrix.give_up()
            settled, orphans = (max((times[n] for times in row), default=0.0) for n in (0, 1))
            print(f"{boundary:<14} {victim:<8} {rounds:>5} {len(row):>5} {settled:>12.2f} s {orphans:>11.2f} s",
                  flush=True)
        matrix.check_bystander()
        if len(matrix.orders()) != kills:
            bad.append(f"{len(matrix.orders())} orders are there after {kills} were placed")
        print(f"{kills} kills")
        matrix.close()
    return bad


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=str(SOURCE / "build/release/bin"), help="where the programs are")
    parser.add_argument("--rounds", type=int, default=6, help="kills of each row; there are 36 rows")
    parser.add_argument("--only", default="", help="the rows whose boundary and victim have this in them")
    parser.add_argument("--keep", action="store_true", help="keep the folder with all logs and data")
    options = parser.parse_args(arguments)
    try:
        bad = run(options.bin, options.rounds, options.only, options.keep)
    except Failure as failure:
        bad = [str(failure)]
        print(f"BROKEN: {failure}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
