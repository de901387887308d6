#!/usr/bin/env python3
"""Idempotency keys under fire: twins of every request, and the server killed between execution and reply.

    idempotency.py [--bin DIR] [--keys 1000] [--keys-per-kill 20] [--seed N]

Each key is sent by eight clients at once, on TLS connections that stay open; each repeats until it is answered, as a
client would. In each round the server is killed with SIGKILL once: at the proxy before PostgreSQL, when the COMMIT that
holds a key's effect has been answered and the server cannot have replied, or when it has been asked for; or at a random
moment. Prints one row for each kind of moment; exits with 1 when a promise does not hold.
"""
import argparse
import collections
import random
import sys
import threading
import time

from rig import Cut, Failure, Rig
from routes_client import Client
from simulated_host import HostKeys, SimulatedHost, reported_cards
from world import SOURCE

TWINS = 8
GROUPS = 4  # of twins; each goes through keys of its own
HOUR = 3_600_000
STUCK = 5  # seconds after the restart
PRICE = 3_600_000
DEPOSIT = 1_000_000
# Nothing ends by itself: the leases wait for an agent, and the host keeps still.
SETTINGS = ("accept_ms=3600000", "attach_ms=86400000", "heartbeat_interval_ms=120000", "heartbeat_timeout_ms=2000",
            "fence_ms=130000", "host_lost_ms=600000", "host_lost_declared_ms=610000")
Moment = collections.namedtuple("Moment", "name session answered")
MOMENTS = (Moment("engine: committed, not replied", "fallowd engine", True),
           Moment("request: committed, not replied", "fallowd worker", True),
           Moment("engine: COMMIT not yet sent", "fallowd engine", False),
           Moment("any moment", None, None))
TURNS = (0, 1, 0, 2, 0, 3)  # which of them a round has


class Kind:
    """A request that leaves an effect: its route, body, and where the effect's id is in the reply."""

    def __init__(self, path, body, id_of):
        self.path, self.body, self.id_of = path, body, id_of


class Key:
    def __init__(self, name, kind):
        self.name, self.kind = name, kind
        self.begun = False
        self.replies = []  # of all twins, whatever they were sent
        self.seconds = []  # from a restart to the answer, of those who had waited for it


class Fire:
    """The server with something to sell, and the requests."""

    def __init__(self, binaries, keys, seed):
        self.rig = Rig(binaries, *SETTINGS)
        self.random = random.Random(seed)
        self.keys_max = keys
        self.rows = {moment: collections.Counter() for moment in MOMENTS}
        self.longest = collections.defaultdict(float)
        self.restarted = float("inf")
        self.lock = threading.Lock()

    def prepare(self):
        rig = self.rig
        self.seller = rig.organization("seller", "DE", ["seller:read", "seller:write"])
        self.renter = rig.organization("renter", "FR", ["renter:read", "renter:write"], 10**12)
        self.saver = rig.organization("saver", "FR", ["renter:read", "renter:write"])
        host = SimulatedHost(rig, self.seller["key"], HostKeys(rig.folder / "hosts"), "farm")
        host.put_inventory(reported_cards(1, self.keys_max // 4 + 1))
        host.heartbeat()
        shop = Client(rig, self.seller["key"])
        rig.until(lambda: shop.get("/v1/hosts/" + host.id)["state"] == "online", "the host to be online")
        listing = shop.post("/v1/listings", {"host_id": host.id, "card_ids": [card["id"] for card in host.cards],
                                             "ask_micros_per_hour": PRICE}, 201)
        shop.close()
        host.close()
        order = {"price_max_micros_per_hour": PRICE, "term_ms": HOUR}
        self.kinds = (
            Kind("/v1/orders", {**order, "requirements": {"products": ["nobody has it"]}}, lambda r: r["order"]["id"]),
            Kind("/v1/orders", {**order, "requirements": {"listing_id": listing["id"]}, "fill_or_kill": True},
                 lambda r: r["lease"]["id"]),
            Kind("/v1/artifacts", {"name": "twin", "bytes": 0, "sha256": "0" * 64}, lambda r: r["id"]),
            Kind("/v1/admin/deposits", {"organization_id": self.saver["id"], "amount_micros": DEPOSIT,
                                        "reference": "twin"}, lambda r: str(r)))
        self.keys = [Key(f"key-{number}", self.kinds[number % 4]) for number in range(self.keys_max)]

    # --- a round

    def twin(self, client, key):
        """One client's work for one key: sends until it is answered."""
        begun, key.begun = time.monotonic(), True
        bearer = self.rig.admin_key if key.kind.path.startswith("/v1/admin") else self.renter["key"]
        reply = self.rig.answered(lambda: client.call("POST", key.kind.path, key.kind.body, key=bearer,
                                                      idempotency_key=key.name))
        now = time.monotonic()
        with self.lock:
            key.replies.append(reply)
            # What the killed server had sent already may be read before the next one is started.
            if begun < self.killed < now:
                key.seconds.append(max(0.0, now - self.restarted))

    def group(self, clients, keys):
        """Eight twins, key by key together."""
        together = threading.Barrier(TWINS)

        def work(client):
            for key in keys:
                together.wait(60)
                self.twin(client, key)

        return [threading.Thread(target=self.guarded, args=(work, client, together)) for client in clients]

    def guarded(self, work, client, together):
        try:
            work(client)
        except Exception as error:  # a broken barrier of the others says no more than the first one
            together.abort()
            self.errors.append(error)

    def play(self, moment, keys, clients):
        """One round: these keys, and one kill."""
        self.errors, self.killed, self.restarted = [], float("inf"), float("inf")
        fallen = threading.Event()
        self.random.shuffle(keys)
        self.arm(moment, self.random.randint(1, max(1, len(keys) // 5)), fallen)
        shares = [keys[n::GROUPS] for n in range(GROUPS)]
        threads = [thread for n, share in enumerate(shares) if share
                   for thread in self.group(clients[n * TWINS:(n + 1) * TWINS], share)]
        for thread in threads:
            thread.start()
        if moment.session is None:
            threading.Event().wait(self.random.uniform(0.0, 0.15))
            self.kill(fallen)
        if not fallen.wait(30):
            raise Failure(f"the moment «{moment.name}» did not come")
        row = self.rows[moment]
        row["kills"] += 1
        waiting = [key for key in keys if key.begun and len(key.replies) < TWINS]
        row["in flight"] += len(waiting)
        row["executed"] += self.executed_of(waiting)
        self.restarted = self.rig.begin_server()
        for thread in threads:
            thread.join()
        if self.errors:
            raise self.errors[0]
        for key in keys:
            self.longest[moment] = max([self.longest[moment], *key.seconds])

    def arm(self, moment, count, fallen):
        """Kills at the so many-th commit of that kind which keeps a reply."""
        left = iter(range(count - 1, -1, -1))

        def on_commit(commit):
            if "idempotency_keys" not in commit.tables or commit.session != moment.session:
                return
            if commit.answered == moment.answered and next(left, None) == 0:
                self.kill(fallen)
                raise Cut

        self.rig.transactions.on_commit = on_commit

    def kill(self, fallen):
        self.rig.kill_server()
        self.killed = time.monotonic()
        fallen.set()

    def executed_of(self, keys):
        """How many of them, each with a twin that waits, have their effect in the database. Another twin may have its
        reply: a key that is in the database is answered from there, while the engine still waits for its commit."""
        if not keys:
            return 0
        names = ",".join(f"'{key.name}'" for key in keys)
        return int(self.rig.postgres.sql(f"SELECT count(*) FROM idempotency_keys WHERE key IN ({names})"))

    def burn(self, keys_per_kill):
        clients = [Client(self.rig) for _ in range(GROUPS * TWINS)]
        for number, start in enumerate(range(0, len(self.keys), keys_per_kill)):
            self.play(MOMENTS[TURNS[number % len(TURNS)]], self.keys[start:start + keys_per_kill], clients)
        for client in clients:
            client.close()

    # --- afterwards

    def faults(self):
        """What does not hold, in words."""
        bad = []
        for key in self.keys:
            if len(key.replies) != TWINS or any(reply.status != 201 for reply in key.replies):
                bad.append(f"{key.name}: {[reply.status for reply in key.replies]}")
            different = {(reply.raw, reply.headers.get("Location"), reply.headers.get("ETag")) for reply in key.replies}
            if len(different) != 1:
                bad.append(f"{key.name}: {len(different)} different replies")
            if sum("Idempotent-Replay" not in reply.headers for reply in key.replies) > 1:
                bad.append(f"{key.name}: more than one reply says that it was not a repeat")
            bad += [f"{key.name}: answered {s:.2f} s after the restart" for s in key.seconds if s > STUCK]
        return bad or self.wrong_effects() + self.wrong_ledger()

    def wrong_effects(self):
        client = Client(self.rig, self.renter["key"])
        leases = client.items("/v1/leases")
        orders = client.items("/v1/orders")
        account = client.get("/v1/account")
        ids = {kind: [kind.id_of(key.replies[0].body) for key in self.keys if key.kind is kind] for kind in self.kinds}
        standing, filled, artifacts, deposits = (ids[kind] for kind in self.kinds)
        found_artifacts = [client.get("/v1/artifacts/" + artifact)["id"] for artifact in artifacts]
        client.close()
        bad = []
        for name, wanted, found in (("orders", len(standing) + len(filled), len(orders)),
                                    ("leases", sorted(filled), sorted(lease["id"] for lease in leases)),
                                    ("artifacts", artifacts, found_artifacts),
                                    ("artifacts in all", len(set(artifacts)),
                                     int(self.rig.postgres.sql("SELECT count(*) FROM artifacts"))),
                                    ("money held", sum(lease["held_micros"] for lease in leases),
                                     account["held_micros"]),
                                    ("money paid in", len(deposits) * DEPOSIT, self.paid_in())):
            if wanted != found:
                bad.append(f"{name}: {wanted} were acknowledged, {found} are there")
        if not {order["id"] for order in orders} >= set(standing):
            bad.append("an acknowledged order is not there")
        return bad

    def paid_in(self):
        client = Client(self.rig, self.saver["key"])
        available = client.get("/v1/account")["available_micros"]
        client.close()
        return available

    def wrong_ledger(self):
        code, report = self.rig.prove_ledger()
        return [] if code == 0 and report["balanced"] else [f"the ledger does not prove: {report}"]

    def print(self):
        print(f"{'the server was killed at':<34} {'kills':>5} {'keys in flight':>14} {'executed, unanswered':>20}"
              f" {'longest after restart':>21}")
        for moment, row in self.rows.items():
            if row["kills"]:
                print(f"{moment.name:<34} {row['kills']:>5} {row['in flight']:>14} {row['executed']:>20}"
                      f" {self.longest[moment]:>19.2f} s")
        replies = sum(len(key.replies) for key in self.keys)
        print(f"{len(self.keys)} keys, {replies} replies, {sum(row['kills'] for row in self.rows.values())} kills")


def run(binaries, keys=1000, keys_per_kill=20, seed=1):
    """Plays all of it and prints the table; returns what does not hold."""
    fire = Fire(binaries, keys, seed)
    with fire.rig:
        fire.prepare()
        fire.burn(keys_per_kill)
        bad = fire.faults()
        fire.print()
        committed = sum(row["executed"] for moment, row in fire.rows.items() if moment.answered)
        kills = sum(row["kills"] for moment, row in fire.rows.items() if moment.answered)
        if committed < kills:
            bad.append(f"only {committed} keys were executed and unanswered at {kills} kills after a commit")
    return bad


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=str(SOURCE / "build/release/bin"), help="where the programs are")
    parser.add_argument("--keys", type=int, default=1000)
    parser.add_argument("--keys-per-kill", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    options = parser.parse_args(arguments)
    try:
        bad = run(options.bin, options.keys, options.keys_per_kill, options.seed)
    except Failure as failure:
        bad = [str(failure)]
    for what in bad[:20]:
        print("BROKEN: " + what)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
