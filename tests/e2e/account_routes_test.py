"""Keys, money, events, and what the operator does: organizations, deposits, the fee, freezes, the audit."""
import concurrent.futures
import datetime
import json
import time

from routes_client import Client
from routes_fixture import HOUR, RENTER, SELLER, SLOW_HEART, RoutesTest, run_tests

DAY = 24 * HOUR
PER_MS = 3_600_000


def milliseconds(later, earlier):
    """Between two times of the API."""
    parse = datetime.datetime.fromisoformat
    return round((parse(later) - parse(earlier)).total_seconds() * 1000)


class Accounts(RoutesTest):
    settings = (*SLOW_HEART, "stream_heartbeat_ms=500")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller = cls.organization(SELLER)
        cls.farm = cls.host(cls.seller, cards=100)
        cls.cards = iter([card["id"] for card in cls.farm.cards])

    def offer(self, count=1, **terms):
        return self.listing(self.seller, self.farm, [next(self.cards) for _ in range(count)], **terms)

    # --- keys

    def test_who_am_i(self):
        renter = self.organization(RENTER, country="FR")
        me = renter.get("/v1/whoami")
        self.assertEqual((me["organization"]["id"], me["organization"]["country"], me["organization"]["status"]),
                         (renter.organization, "FR", "active"))
        self.assertEqual((me["key"]["organization_id"], sorted(me["key"]["scopes"]), me["key"]["revoked_at"]),
                         (renter.organization, sorted(RENTER), None))
        self.assertTrue(renter.key.startswith(me["key"]["prefix"]))
        self.assertEqual(milliseconds(me["key"]["expires_at"], me["key"]["created_at"]), 90 * DAY)

    def test_a_key_passes_on_no_more_than_it_has(self):
        renter = self.organization(RENTER)
        made = renter.post("/v1/keys", {"name": "robot", "scopes": ["renter:read"], "expires_in_ms": HOUR}, 201)
        self.assertEqual((made["key"]["name"], made["key"]["scopes"]), ("robot", ["renter:read"]))
        self.assertEqual(milliseconds(made["key"]["expires_at"], made["key"]["created_at"]), HOUR)
        robot = self.client(made["secret"], "robot")
        self.assertEqual(robot.get("/v1/whoami")["key"]["id"], made["key"]["id"])
        rows = [({"name": "x", "scopes": [scope]}, 403, "scope_missing", "/scopes/0")
                for scope in ("renter:write", "seller:read", "admin")]
        rows.append(({"name": "x", "scopes": ["renter:read", "admin"]}, 403, "scope_missing", "/scopes/1"))
        self.assert_rows(rows, lambda body: robot.call("POST", "/v1/keys", body))
        robot.post("/v1/keys", {"name": "child", "scopes": ["renter:read"]}, 201)
        wider = renter.get("/v1/whoami")["key"]["id"]
        self.assert_problem(robot.call("DELETE", "/v1/keys/" + wider), 403, "scope_missing")
        self.assert_problem(robot.call("POST", f"/v1/keys/{wider}/rotate", {}), 403, "scope_missing")
        self.assertEqual(renter.get("/v1/whoami")["key"]["revoked_at"], None)

    def test_a_revoked_key_is_refused_within_a_second(self):
        renter = self.organization(RENTER)
        made = renter.post("/v1/keys", {"name": "lost", "scopes": ["renter:read"]}, 201)
        lost = self.client(made["secret"], "a lost key")
        lost.get("/v1/whoami")
        renter.expect(204, "DELETE", "/v1/keys/" + made["key"]["id"])
        revoked = time.monotonic()
        while True:
            begun = time.monotonic()
            reply = lost.call("GET", "/v1/whoami")
            if reply.status == 401:
                break
            self.assertLess(begun - revoked, 1, "a request begun a second after the revocation was let in")
        self.assert_problem(reply, 401, "key_revoked")
        for _ in range(3):
            self.assert_problem(lost.call("GET", "/v1/whoami"), 401, "key_revoked")
        listed = next(key for key in renter.items("/v1/keys") if key["id"] == made["key"]["id"])
        self.assertIsNotNone(listed["revoked_at"])
        renter.expect(204, "DELETE", "/v1/keys/" + made["key"]["id"])
        again = next(key for key in renter.items("/v1/keys") if key["id"] == made["key"]["id"])
        self.assertEqual(again, listed)
        self.assert_problem(renter.call("POST", f"/v1/keys/{made['key']['id']}/rotate", {}), 409, "wrong_state")

    def test_rotation(self):
        renter = self.organization(RENTER)
        old = renter.post("/v1/keys", {"name": "robot", "scopes": ["renter:write", "renter:read"],
                                       "expires_in_ms": 30 * DAY}, 201)
        short = renter.post("/v1/keys", {"name": "short", "scopes": ["renter:read"], "expires_in_ms": HOUR}, 201)
        fresh = self.client(old["secret"]).post(f"/v1/keys/{old['key']['id']}/rotate", {}, 201)
        self.assertNotEqual(fresh["secret"], old["secret"])
        self.assertEqual((fresh["key"]["name"], fresh["key"]["scopes"]), ("robot", old["key"]["scopes"]))
        self.assertEqual(milliseconds(fresh["key"]["expires_at"], fresh["key"]["created_at"]), 30 * DAY)
        for secret in (old["secret"], fresh["secret"]):  # both, for a while
            self.client(secret).get("/v1/whoami")
        keys = {key["id"]: key for key in renter.items("/v1/keys")}
        self.assertEqual(keys[old["key"]["id"]]["revoked_at"], None)
        self.assertEqual(milliseconds(keys[old["key"]["id"]]["expires_at"], fresh["key"]["created_at"]), 7 * DAY)
        self.assert_problem(renter.call("POST", f"/v1/keys/{old['key']['id']}/rotate", {}), 409, "wrong_state")
        renter.post(f"/v1/keys/{short['key']['id']}/rotate", {}, 201)
        keys = {key["id"]: key for key in renter.items("/v1/keys")}
        self.assertEqual(keys[short["key"]["id"]]["expires_at"], short["key"]["expires_at"])

    def test_secrets_are_shown_once(self):
        renter = self.organization(RENTER)
        made = renter.post("/v1/keys", {"name": "robot", "scopes": ["renter:read"]}, 201)
        seen = [renter.call("GET", path).raw.decode() for path in ("/v1/keys", "/v1/whoami", "/v1/events")]
        seen.append(json.dumps(self.admin.items("/v1/admin/audit")))
        seen.append((self.world.folder / "fallowd.log").read_text())
        for text in seen:
            self.assertNotIn(made["secret"], text)
            self.assertNotIn(made["secret"][20:50], text)
        dump = b"".join(path.read_bytes() for path in (self.world.data / "postgres/data/base").rglob("*")
                        if path.is_file())
        self.assertNotIn(made["secret"].encode(), dump)

    def test_a_sealed_reply_opens_to_its_own_key_alone(self):
        renter = self.organization(RENTER)
        body = {"name": "robot", "scopes": ["renter:read"]}
        first = renter.call("POST", "/v1/keys", body, idempotency_key="sealed")
        other = self.key_with(renter.organization, RENTER)
        reply = other.call("POST", "/v1/keys", body, idempotency_key="sealed")
        self.assertEqual(reply.status, 422, reply)
        self.assertNotIn(first.body["secret"].encode(), reply.raw)
        again = renter.call("POST", "/v1/keys", body, idempotency_key="sealed")
        self.assertEqual((again.raw, again.headers["Idempotent-Replay"]), (first.raw, "true"))

    def test_keys_have_a_limit_and_pages(self):
        renter = self.organization(RENTER)
        made = [renter.get("/v1/whoami")["key"]["id"]]
        for number in range(99):
            made.append(renter.post("/v1/keys", {"name": f"k{number}", "scopes": ["renter:read"]}, 201)["key"]["id"])
        reply = renter.call("POST", "/v1/keys", {"name": "one more", "scopes": ["renter:read"]})
        self.assert_problem(reply, 409, "limit_reached")
        for limit in (100, 33, 7):
            found = [key["id"] for key in renter.items("/v1/keys", limit)]
            self.assertEqual((found[0], sorted(found)), (made[0], sorted(made)))
        renter.expect(204, "DELETE", "/v1/keys/" + made[5])
        renter.post("/v1/keys", {"name": "one more", "scopes": ["renter:read"]}, 201)

    # --- money

    def test_money_in_and_out(self):
        renter = self.organization(RENTER)
        to = {"organization_id": renter.organization}
        self.assertEqual(renter.get("/v1/account"), {"available_micros": 0, "held_micros": 0, "earned_micros": 0,
                                                     "currency": "USD"})
        deposit = self.admin.post("/v1/admin/deposits", {**to, "amount_micros": 1000, "reference": "bank 1"}, 201)
        self.assertEqual((deposit["amount_micros"], deposit["reason"], deposit["reference"], deposit["debit_kind"],
                          deposit["credit_kind"], deposit["lease_id"]),
                         (1000, "deposit", "bank 1", "external", "available", None))
        out = {**to, "account": "available", "amount_micros": 400, "reference": "bank 2"}
        withdrawal = self.admin.post("/v1/admin/withdrawals", out, 201)
        self.assertEqual((withdrawal["reason"], withdrawal["debit_kind"], withdrawal["credit_kind"]),
                         ("withdrawal", "available", "external"))
        self.assertEqual(self.balances(renter), (600, 0, 0))
        self.assertEqual(renter.items("/v1/account/transfers"), [withdrawal, deposit])
        self.assertEqual(renter.items("/v1/account/transfers", limit=1), [withdrawal, deposit])
        rows = [(("withdrawals", {**out, "amount_micros": 601}), 402, "insufficient_funds", None),
                (("withdrawals", {**out, "account": "earned", "amount_micros": 1}), 402, "insufficient_funds", None),
                (("withdrawals", {**out, "organization_id": "org_" + "0" * 26}), 404, "not_found", "/organization_id"),
                (("withdrawals", {**out, "account": "held"}), 422, "invalid_field", "/account"),
                (("withdrawals", {**out, "account": "fees"}), 422, "invalid_field", "/account")]
        self.assert_rows(rows, lambda sent: self.admin.call("POST", "/v1/admin/" + sent[0], sent[1]))
        self.admin.post("/v1/admin/withdrawals", {**out, "amount_micros": 600}, 201)
        self.assertEqual(self.balances(renter), (0, 0, 0))
        self.assert_ledger_proved()
        code, report = self.world.prove_ledger()
        self.assertEqual((code, report["balanced"]), (0, True), report)

    def test_earned_money_is_paid_out(self):
        renter = self.organization(RENTER, 10**9)
        seller = self.organization(SELLER)
        host = self.host(seller)
        lease = host.take(self.rent(renter, self.listing(seller, host, ask=PER_MS), self.job())["lease"]["id"])
        lease.start()
        lease.use(1000)
        self.assertEqual(self.balances(seller), (0, 0, 950))
        body = {"organization_id": seller.organization, "account": "earned", "amount_micros": 951, "reference": "r"}
        self.assert_problem(self.admin.call("POST", "/v1/admin/withdrawals", body), 402, "insufficient_funds")
        paid = self.admin.post("/v1/admin/withdrawals", {**body, "amount_micros": 950}, 201)
        self.assertEqual((paid["debit_kind"], paid["credit_kind"]), ("earned", "external"))
        self.assertEqual(seller.items("/v1/account/transfers")[0], paid)
        self.assertEqual(self.balances(seller), (0, 0, 0))

    def test_simultaneous_withdrawals_never_pass_the_balance(self):
        renter = self.organization(RENTER, 1000)
        body = {"organization_id": renter.organization, "account": "available", "amount_micros": 300, "reference": "r"}
        clients = [Client(self.world, self.admin.key, contract=self.contract) for _ in range(8)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(lambda c: c.call("POST", "/v1/admin/withdrawals", body), clients))
        for client in clients:
            client.close()
        self.assertEqual(sorted(r.status for r in replies), [201] * 3 + [402] * 5)
        self.assertEqual(self.balances(renter), (100, 0, 0))
        self.assert_ledger_proved()

    def test_the_fee_counts_for_new_leases_alone(self):
        renter = self.organization(RENTER, 10**9)
        listing = self.offer(2, ask=PER_MS)
        fees = lambda: {kind["kind"]: kind["balance_micros"]
                        for kind in self.admin.get("/v1/admin/ledger")["by_kind"]}["fees"]
        self.assertEqual(self.admin.get("/v1/admin/fee"), {"fee_ppm": 50_000})
        before = fees()
        old = self.farm.take(self.rent(renter, listing, self.job())["lease"]["id"])
        self.addCleanup(self.admin.expect, 200, "PUT", "/v1/admin/fee", {"fee_ppm": 50_000})
        self.assertEqual(self.admin.expect(200, "PUT", "/v1/admin/fee", {"fee_ppm": 500_000}), {"fee_ppm": 500_000})
        self.assertEqual(self.admin.get("/v1/admin/fee"), {"fee_ppm": 500_000})
        new = self.farm.take(self.rent(renter, listing, self.job())["lease"]["id"])
        for lease, fee in ((old, 50), (new, 500)):
            lease.start()
            lease.use(1001)
            row = renter.get("/v1/leases/" + lease.id)
            self.assertEqual((row["charged_micros"], row["fee_micros"]), (1001, fee))
        self.assertEqual(fees() - before, 550)

    # --- events

    def test_events_page_by_page_and_as_a_stream(self):
        renter = self.organization(RENTER, 10**9)
        stream = renter.stream("/v1/events")
        self.addCleanup(stream.close)
        self.assertEqual(stream.kind.split(";")[0], "text/event-stream")
        lease = self.farm.take(self.rent(renter, self.offer(ask=PER_MS), self.job())["lease"]["id"])
        lease.start()
        lease.use(5)
        lease.exit(0)
        lease.gone()
        seen = []
        for number, kind, event in stream:
            self.assertEqual((number, kind), (event["id"], event["type"]))
            seen.append(event)
            if kind == "job.succeeded":
                break
        types = [event["type"] for event in seen if event["object"]["id"] == lease.id]
        self.assertEqual(types[:5], ["lease.allocated", "lease.preparing", "lease.running", "lease.metered",
                                     "lease.reclaiming"])
        by_type = {event["type"]: event for event in seen}
        self.assertEqual((by_type["lease.running"]["actor"], by_type["lease.running"]["object"]["kind"],
                          by_type["lease.running"]["data"]["state"]), (self.farm.id, "lease", "running"))
        self.assertTrue(by_type["order.placed"]["actor"].startswith("key_"))
        self.assertEqual(by_type["job.succeeded"]["reason"], "completed")

        listed = renter.items("/v1/events")
        self.assertEqual(listed, renter.items("/v1/events", limit=3))
        self.assertEqual(len({event["id"] for event in listed}), len(listed))
        self.assertEqual([e for e in listed if e["id"] in {s["id"] for s in seen}], seen)
        self.assertLess({"organization.created", "transfer.made"}, {event["type"] for event in listed})

        middle = by_type["lease.metered"]["id"]
        resumed = renter.stream("/v1/events", last_event_id=middle)
        self.addCleanup(resumed.close)
        wanted = [event["id"] for event in seen[[s["id"] for s in seen].index(middle) + 1:]]
        got = []
        for number, _, _ in resumed:
            if number.startswith(middle.split("-")[0] + "-"):  # the other stream may overlap
                got.append(number)
            if number == wanted[-1]:
                break
        self.assertEqual(got, wanted)

    def test_a_quiet_stream_sends_comments_and_their_number_is_bounded(self):
        renter = self.organization(RENTER)
        streams = []
        try:
            for _ in range(100):
                streams.append(renter.stream("/v1/events"))
            reply = renter.call("GET", "/v1/events", headers={"Accept": "text/event-stream"})
            self.assert_problem(reply, 429, "rate_limited")
            self.assertEqual((reply.headers["Retry-After"], reply.body["retryable"]), ("1", True))
            self.assertEqual(next(line for line in streams[0].reply if line.strip())[:1], b":")
        finally:
            for stream in streams:
                stream.close()

        def has_room():
            try:
                renter.stream("/v1/events").close()
            except AssertionError:
                return False
            return True
        self.world.until(has_room, "a place for a stream", 10)

    def test_bad_resumptions(self):
        renter = self.organization(RENTER)
        for seen in ("x", "main-1", "main-x-0", "main-999999999-0", "other-1-0", "-1-0", "main--1-0"):
            with self.subTest(seen=seen):
                reply = renter.call("GET", "/v1/events", headers={"Last-Event-ID": seen,
                                                                  "Accept": "text/event-stream"})
                self.assert_problem(reply, 422, "invalid_cursor", "header:Last-Event-ID")

    def test_no_event_shows_what_is_secret_or_anothers(self):
        renter, other = self.organization(RENTER, 10**9), self.organization(RENTER, 10**9)
        self.rent(renter, self.offer(), self.job(env={"PASSWORD": "swordfish-1"}, command=["swordfish-2"]))
        self.rent(other, self.offer(), self.job())
        events = renter.items("/v1/events")
        text = json.dumps(events)
        for hidden in ("swordfish-1", other.organization, self.world.admin_key):
            self.assertNotIn(hidden, text)
        audit = self.admin.items("/v1/admin/audit")
        self.assertLessEqual({event["id"] for event in events}, {event["id"] for event in audit})
        self.assertNotIn("swordfish-1", json.dumps(audit))
        self.assertEqual([event["at"] for event in audit], sorted(event["at"] for event in audit))

    # --- the operator

    def test_organizations(self):
        body = {"name": "Acme Rendering", "country": "DE"}
        made = self.admin.call("POST", "/v1/admin/organizations", body)
        self.assertEqual((made.status, made.headers["ETag"]), (201, '"1"'))
        self.assertEqual((made.body["name"], made.body["country"], made.body["status"]),
                         ("Acme Rendering", "DE", "active"))
        self.assert_problem(self.admin.call("POST", "/v1/admin/organizations", body), 409, "name_taken", "/name")
        all_of_them = self.admin.items("/v1/admin/organizations")
        self.assertEqual(all_of_them, self.admin.items("/v1/admin/organizations", limit=2))
        self.assertEqual([o["id"] for o in all_of_them].count(made.body["id"]), 1)

    def test_the_scheduler_counts(self):
        before = self.admin.get("/v1/admin/scheduler")
        self.assertEqual((before["market"], before["quarantined"]), ("main", 0))
        renter = self.organization(RENTER, 10**9)
        self.rent(renter, self.offer())
        renter.post("/v1/orders", {"requirements": {"products": ["none"]}, "price_max_micros_per_hour": 1,
                                   "term_ms": HOUR}, 201)
        after = self.admin.get("/v1/admin/scheduler")
        self.assertEqual((after["active_leases"] - before["active_leases"],
                          after["standing_orders"] - before["standing_orders"], after["epoch"]),
                         (1, 1, before["epoch"]))
        self.assertGreaterEqual(after["commands"] - before["commands"], 4)
        self.assertGreater(after["sequence"], before["sequence"])

    def freeze(self, kind, target):
        made = self.admin.post("/v1/admin/freezes", {"kind": kind, "target": target, "note": "a drill"}, 201)
        self.assertEqual((made["kind"], made["target"], made["note"]), (kind, target, "a drill"))
        self.addCleanup(self.admin.call, "DELETE", "/v1/admin/freezes/" + made["id"])
        return made["id"]

    def lift(self, freeze):
        self.admin.expect(204, "DELETE", "/v1/admin/freezes/" + freeze)
        self.assert_problem(self.admin.call("DELETE", "/v1/admin/freezes/" + freeze), 404, "not_found")

    def assert_revoked(self, lease):
        """A running lease was told to stop, and ends by policy."""
        desired = self.farm.desired_lease(lease.id)
        self.assertEqual((desired["want"], desired["stop_reason"]), ("stop", "policy_revoked"))
        self.assertEqual(lease.exit(143)["end_reason"], "policy_revoked")
        lease.gone()

    def running(self, renter, listing, **job):
        lease = self.farm.take(self.rent(renter, listing, self.job(**job))["lease"]["id"])
        lease.start()
        return lease

    def test_a_frozen_organization(self):
        renter = self.organization(RENTER, 10**9)
        listing = self.offer(2)
        lease = self.running(renter, listing)
        freeze = self.freeze("organization", renter.organization)
        self.assertEqual(renter.get("/v1/whoami")["organization"]["status"], "frozen")
        self.assert_revoked(lease)
        refused = lambda: renter.call("POST", "/v1/orders", self.order_body(listing))
        self.assert_problem(refused(), 403, "frozen")

        def keys_refused():
            reply = renter.call("POST", "/v1/keys", {"name": "x", "scopes": ["renter:read"]})
            return reply.code == "frozen"
        self.world.until(keys_refused, "a frozen organization to make no keys", 5)
        self.assertEqual(renter.items("/v1/leases")[0]["state"], "ended")  # it may still read
        self.lift(freeze)
        self.assertEqual(renter.get("/v1/whoami")["organization"]["status"], "active")
        self.rent(renter, listing)

    def test_a_frozen_host(self):
        renter = self.organization(RENTER, 10**9)
        listing = self.offer(2)
        lease = self.running(renter, listing)
        freeze = self.freeze("host", self.farm.id)
        self.assert_problem(renter.call("POST", "/v1/orders", self.order_body(listing)), 409, "no_match")
        self.assert_revoked(lease)
        self.lift(freeze)
        self.rent(renter, listing)

    def test_a_frozen_image(self):
        renter = self.organization(RENTER, 10**9)
        listing = self.offer(4)
        bad, digest = "registry.example/miner:1", "sha256:" + "a" * 64
        lease = self.running(renter, listing, image=bad)
        good = self.running(renter, listing)
        freeze = self.freeze("image", bad)
        self.assert_revoked(lease)
        self.assertEqual(self.farm.desired_lease(good.id)["want"], "run")
        reply = renter.call("POST", "/v1/orders", self.order_body(listing, job=self.job(image=bad)))
        self.assert_problem(reply, 403, "frozen", "/job/image")
        self.freeze("image", digest)
        reply = renter.call("POST", "/v1/orders", self.order_body(listing, job=self.job(image="other/name@" + digest)))
        self.assert_problem(reply, 403, "frozen", "/job/image")
        self.lift(freeze)
        self.rent(renter, listing, self.job(image=bad))

    def test_a_frozen_market(self):
        renter = self.organization(RENTER, 10**9)
        listing = self.offer(3)
        lease = self.running(renter, listing)
        standing = renter.post("/v1/orders", {"requirements": {"products": ["awaited"]}, "term_ms": HOUR,
                                              "price_max_micros_per_hour": 10_000_000}, 201)["order"]["id"]
        seller = self.organization(SELLER)
        host = self.host(seller, product="awaited")
        dear = self.listing(seller, host, ask=10_000_001)  # beyond the standing order's limit
        freeze = self.freeze("market", "main")
        self.assert_problem(renter.call("POST", "/v1/orders", self.order_body(listing)), 403, "frozen")
        seller.expect(200, "PATCH", "/v1/listings/" + dear["id"], {"ask_micros_per_hour": 1},
                      headers={"If-Match": '"1"'})
        self.assertEqual(renter.get("/v1/orders/" + standing)["state"], "standing")
        lease.use(10)  # running ones go on
        self.assertEqual(self.farm.desired_lease(lease.id)["want"], "run")
        self.lift(freeze)
        self.assertEqual(renter.get("/v1/orders/" + standing)["state"], "filled")

    def test_freezes_that_cannot_be(self):
        freeze = self.freeze("image", "frozen/once:1")
        rows = [({"kind": "image", "target": "frozen/once:1"}, 409, "wrong_state", "/target"),
                ({"kind": "organization", "target": "nobody"}, 422, "invalid_id", "/target"),
                ({"kind": "host", "target": "host_x"}, 422, "invalid_id", "/target"),
                ({"kind": "organization", "target": "org_" + "0" * 26}, 422, "invalid_field", "/target"),
                ({"kind": "host", "target": "host_" + "0" * 26}, 422, "invalid_field", "/target"),
                ({"kind": "market", "target": "other"}, 422, "invalid_field", "/target")]
        self.assert_rows([({**body, "note": "x"}, *rest) for body, *rest in rows],
                         lambda body: self.admin.call("POST", "/v1/admin/freezes", body))
        self.assertIn(freeze, [item["id"] for item in self.admin.items("/v1/admin/freezes", limit=1)])


if __name__ == "__main__":
    run_tests()
