"""Two servers on one database: reads and commands on either, takeovers, a stale leader, a handover at a stop."""
import os
import pathlib
import signal
import sys
import threading
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))

from pg_proxy import Proxy
from replicas import Replicas, keyed, logged, until_answered
from routes_fixture import HOUR, RENTER, SELLER, SLOW_HEART, run_tests
from simulated_host import HostKeys, SimulatedHost, reported_cards
from world import Events

ORDER = {"requirements": {"products": ["nobody has it"]}, "price_max_micros_per_hour": 1, "term_ms": HOUR}


class ReplicasTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.world = Replicas(os.environ["FALLOW_BIN_DIR"], settings=SLOW_HEART)
        self.addCleanup(self.world.stop)
        self.first, self.second = self.world.servers.first, self.world.servers.second
        self.renter = self.world.organization("renter", "FR", RENTER, 10**9)

    def client(self, server, key=None, **options):
        client = server.client(key or self.renter["key"], **options)
        self.addCleanup(client.close)
        return client

    def host(self, server, seller, name="host"):
        """A host that speaks to `server`, which need not lead."""
        self.world.use(server)
        host = SimulatedHost(server_world(self.world, server), seller["key"], HostKeys(self.world.folder / name), name)
        self.addCleanup(host.close)
        host.put_inventory(reported_cards(name, 2))
        return host

    def until(self, condition, what):
        self.world.until(condition, what, 30)

    def assert_ledger_proved(self):
        code, report = self.world.prove_ledger()
        self.assertEqual((code, report["balanced"]), (0, True), report)

    def test_a_follower_reads_and_takes_commands_for_the_leader(self):
        leader, follower = self.first.scheduler(), self.second.scheduler()
        self.assertEqual((leader["role"], follower["role"]), ("leader", "follower"))
        self.assertEqual((follower["leader"], follower["epoch"]), (leader["server"], leader["epoch"]))
        self.assertEqual(follower["leader_address"], f"127.0.0.1:{self.first.port}")
        self.assertTrue(self.first.is_ready() and self.second.is_ready())

        # A stream on the follower tells of what was commanded there and carried out elsewhere.
        self.world.use(self.second)
        events = Events(self.world, self.renter["key"])
        self.addCleanup(events.close)
        here = self.client(self.second)
        key, placed = keyed(here, "/v1/orders", ORDER)
        self.assertEqual(placed.status, 201, placed)
        events.wait(lambda e: e["type"] == "order.placed" and e["object"]["id"] == placed.body["order"]["id"],
                    "the order on the follower's stream")
        for server in (self.first, self.second):
            again = self.client(server).call("POST", "/v1/orders", ORDER, idempotency_key=key)
            self.assertEqual((again.status, again.raw, again.headers["Idempotent-Replay"]), (201, placed.raw, "true"))
            self.assertEqual(len(self.client(server).items("/v1/orders")), 1)
        # A refusal is the follower's own, or the leader's with the follower's request id in it.
        refused = here.call("POST", "/v1/orders", {**ORDER, "term_ms": 1})
        self.assertEqual((refused.status, refused.code), (422, "invalid_field"))
        self.assertEqual(refused.body["request_id"], refused.headers["X-Request-Id"])

        # A host that knows the follower alone: enrolment, inventory, heartbeat, lease and usage.
        seller = self.world.organization("seller", "DE", SELLER)
        host = self.host(self.second, seller)
        self.assertEqual(host.heartbeat()["epoch"], leader["epoch"])
        offer = self.client(self.second, seller["key"])
        self.until(lambda: offer.get("/v1/hosts/" + host.id)["state"] == "online", "the host to be online")
        listing = offer.post("/v1/listings", {"host_id": host.id, "card_ids": [c["id"] for c in host.cards],
                                              "ask_micros_per_hour": 3_600_000}, 201)
        rented = here.post("/v1/orders", {
            "requirements": {"listing_id": listing["id"]}, "price_max_micros_per_hour": 10**7, "term_ms": HOUR,
            "fill_or_kill": True, "job": {"image": "registry.example/tool:1", "command": ["run"],
                                          "max_duration_ms": HOUR}}, 201)
        lease = host.take(rented["lease"]["id"])
        lease.start()
        lease.use(1000, final=True)
        lease.exit(0)
        lease.gone()
        self.assertEqual(self.client(self.first).get("/v1/leases/" + lease.id)["charged_micros"], 1000)
        self.assert_ledger_proved()

    def test_nobody_can_pretend_to_be_a_replica(self):
        seller = self.world.organization("seller", "DE", SELLER)
        host = self.host(self.first, seller)
        claim = {"Fallow-Forwarded-Certificate-Name": host.id, "Fallow-Forwarded-Certificate-Sha256": "00",
                 "Fallow-Forwarded-Certificate-Serial": "00", "Fallow-Forwarded-Request-Id": "req_forged"}
        other = self.host(self.first, seller, "other")
        for server in (self.first, self.second):
            stranger = server.client()
            self.addCleanup(stranger.close)
            reply = stranger.call("POST", "/v1/agent/heartbeat", {"boot_id": "b", "sequence": 1, "leases": []},
                                  headers=claim, idempotency_key=None)
            self.assertEqual((reply.status, reply.code), (401, "unauthenticated"))
            self.assertNotEqual(reply.body["request_id"], "req_forged")
        # A host's certificate opens nothing of another's, whatever it says beside.
        reply = other.call("GET", "/v1/agent/desired?wait_ms=0", headers=claim)
        self.assertEqual(reply.status, 200)
        renamed = other.call("POST", "/v1/orders", ORDER, headers={**claim, "Authorization": "Bearer x"})
        self.assertEqual(renamed.status, 401)

    def test_kill_of_the_leader_loses_nothing_and_the_other_goes_on(self):
        seller = self.world.organization("seller", "DE", SELLER)
        host = self.host(self.first, seller)
        epoch = host.heartbeat()["epoch"]
        here = self.client(self.second)
        acknowledged = {}
        for _ in range(20):
            key, reply = keyed(here, "/v1/orders", ORDER)
            acknowledged[key] = reply.raw
        self.world.use(self.second)
        events = Events(self.world, self.renter["key"])
        self.addCleanup(events.close)

        self.first.process.kill()
        key = uuid.uuid4().hex
        reply, seconds, refusals = until_answered(
            lambda: here.call("POST", "/v1/orders", ORDER, idempotency_key=key))
        self.assertEqual(reply.status, 201, reply)
        print(f"an order was placed {seconds:.2f} s after the leader was killed, {refusals} refusals")
        scheduler = self.second.scheduler()
        self.assertEqual((scheduler["role"], scheduler["epoch"]), ("leader", epoch + 1))
        events.wait(lambda e: e["type"] == "order.placed" and e["object"]["id"] == reply.body["order"]["id"],
                    "the order under the new leader")
        for known, raw in acknowledged.items():
            again = here.call("POST", "/v1/orders", ORDER, idempotency_key=known)
            self.assertEqual((again.raw, again.headers["Idempotent-Replay"]), (raw, "true"))
        self.assertEqual(len(here.items("/v1/orders")), len(acknowledged) + 1)
        warm = [line for line in logged(self.second, "info") if "warm" in line]
        self.assertEqual([line["warm"] for line in warm], [True], "the new leader had followed the journal")
        audit = self.client(self.second, self.world.admin_key).items("/v1/admin/audit")
        self.assertEqual([e["type"] for e in audit if e["type"] == "host.unreachable"], [], "no host was declared lost")

        # The killed one comes back and follows.
        self.first.start()
        self.assertEqual(self.first.scheduler()["role"], "follower")
        self.assertEqual(len(self.client(self.first).items("/v1/orders")), len(acknowledged) + 1)
        self.assert_ledger_proved()

    def test_a_leader_stopped_before_its_batch_writes_nothing_and_follows(self):
        self.stale_leader("BEGIN")

    def test_a_leader_stopped_before_its_commit_writes_nothing_and_follows(self):
        """It holds the leader row's lock then: the database ends a transaction that idles that long."""
        self.stale_leader("COMMIT")

    def stale_leader(self, statement):
        """Stopped between the decision and the commit of a batch, a leader wakes up under another's epoch."""
        proxy = Proxy(self.world.postgres.port)
        self.addCleanup(proxy.close)
        for server in (self.first, self.second):
            self.assertEqual(server.process.stop(), 0)
            self.world.processes.remove(server.process)
        stale = self.world.server_of("stale", *SLOW_HEART, database_url=self.world.postgres.url(port=proxy.port))
        stale.start()
        self.second.start()
        self.assertEqual((stale.scheduler()["role"], self.second.scheduler()["role"]), ("leader", "follower"))
        epoch = stale.scheduler()["epoch"]
        stopped, woken, key, answers = threading.Event(), threading.Event(), uuid.uuid4().hex, []

        def stop_there(session, text):
            if session.name == "fallowd engine" and statement == text and not stopped.is_set():
                os.kill(stale.process.child.pid, signal.SIGSTOP)
                stopped.set()
                woken.wait()  # what it has sent is still on its way

        proxy.on_query = stop_there
        caller = threading.Thread(target=lambda: answers.append(
            self.client(stale).call("POST", "/v1/orders", ORDER, idempotency_key=key)))
        caller.start()
        self.assertTrue(stopped.wait(30), "no such statement was seen")
        here = self.client(self.second)
        taken, seconds, refusals = until_answered(
            lambda: here.call("POST", "/v1/orders", ORDER, idempotency_key=key))
        self.assertEqual(taken.status, 201, taken)
        print(f"an order was placed {seconds:.2f} s after the leader was stopped, {refusals} refusals")
        self.assertEqual(self.second.scheduler()["epoch"], epoch + 1)

        os.kill(stale.process.child.pid, signal.SIGCONT)
        woken.set()
        caller.join(60)
        self.assertEqual((answers[0].status, answers[0].code), (503, "not_leader"), answers)
        self.until(lambda: stale.scheduler()["role"] == "follower" and stale.is_ready(), "the old leader to follow")
        again = self.client(stale).call("POST", "/v1/orders", ORDER, idempotency_key=key)
        self.assertEqual((again.status, again.raw, again.headers["Idempotent-Replay"]), (201, taken.raw, "true"))
        self.assertEqual(len(here.items("/v1/orders")), 1)
        self.assert_ledger_proved()

    def test_a_stop_hands_the_leadership_over_and_ends_streams_so_that_they_resume(self):
        stream = self.client(self.first).stream("/v1/events")
        self.addCleanup(stream.close)
        placed = self.client(self.first).post("/v1/orders", ORDER, 201)
        last = next(seen[0] for seen in stream if seen[1] == "order.placed")
        epoch = self.first.scheduler()["epoch"]
        self.first.process.child.send_signal(signal.SIGTERM)
        self.assertEqual(list(stream), [])
        reply = self.client(self.second).call("POST", "/v1/orders", ORDER)
        self.assertEqual(reply.status, 201, reply)
        self.assertEqual(self.second.scheduler()["epoch"], epoch + 1)
        self.assertEqual(self.first.process.child.wait(60), 0)
        resumed = self.client(self.second).stream("/v1/events", last_event_id=last)
        self.addCleanup(resumed.close)
        # What the other stream of the journal told within seconds of it may come once more; the market's does not.
        orders = (seen[2]["object"]["id"] for seen in resumed if seen[1] == "order.placed")
        self.assertEqual(next(orders), reply.body["order"]["id"])
        self.assertNotEqual(placed["order"]["id"], reply.body["order"]["id"])

    def test_without_the_database_requests_are_told_to_come_back(self):
        here = self.client(self.first)
        keys = here.items("/v1/keys")
        self.world.postgres.stop("immediate")
        body = {"name": "late", "scopes": ["renter:read"]}
        for method, path, sent in (("GET", "/v1/orders", None), ("GET", "/v1/listings", None),
                                   ("GET", "/v1/account", None), ("POST", "/v1/keys", body)):
            for server in (self.first, self.second):
                with self.subTest(path=path, server=server.name):
                    reply = self.client(server).call(method, path, sent)
                    self.assertEqual((reply.status, reply.body["retryable"], reply.headers["Retry-After"]),
                                     (503, True, "1"), reply)
                    self.assertIn(reply.code, ("database_unavailable", "queue_full"))
        self.world.postgres.start()
        reply, _, _ = until_answered(lambda: here.call("GET", "/v1/keys"))
        self.assertEqual([key["id"] for key in reply.body["items"]], [key["id"] for key in keys])
        reply, _, _ = until_answered(lambda: here.call("POST", "/v1/orders", ORDER))
        self.assertEqual(reply.status, 201, reply)

    def test_a_server_with_other_keys_does_not_start(self):
        stranger = self.world.server_of("stranger", *SLOW_HEART)
        stranger.settings[0] = "keys_folder=" + str(self.world.folder / "other-keys")
        stranger.start(wait=False)
        self.assertEqual(stranger.process.child.wait(60), 1)
        self.assertIn("server_signing.key", stranger.process.log.read_text())
        self.world.processes.remove(stranger.process)


def server_world(world, server):
    """What SimulatedHost asks of a world, about one server."""
    view = Replicas.__new__(Replicas)
    view.__dict__.update(world.__dict__)
    view.use(server)
    return view


if __name__ == "__main__":
    run_tests()
