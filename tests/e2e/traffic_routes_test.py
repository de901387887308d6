"""Traffic through the whole server: what may be sent, what is held for it, what is billed of what a host states."""
from routes_fixture import HOUR, RENTER, SELLER, RoutesTest, run_tests

DEPOSIT = 1_000_000_000
PER_MS = 3_600_000  # an ask of one micro a card and millisecond
WINDOW = 30 * 60_000 + 10 * 60_000 + 60_000
MIB = 1 << 20
GIB = 1 << 30
PER_GIB = 640_000  # 625 micros a MiB


class Traffic(RoutesTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller = cls.organization(SELLER)
        cls.farm = cls.host(cls.seller, cards=60)
        cards = [card["id"] for card in cls.farm.cards]
        cls.offer = cls.listing(cls.seller, cls.farm, cards[:40], ask=PER_MS, egress_micros_per_gib=PER_GIB)
        cls.free = cls.listing(cls.seller, cls.farm, cards[40:], ask=PER_MS)

    def setUp(self):
        self.renter = self.organization(RENTER, DEPOSIT)

    def start(self, listing=None, **terms):
        """A lease that runs, and its order's reply."""
        placed = self.rent(self.renter, listing or self.offer, self.job(), **terms)
        lease = self.farm.take(placed["lease"]["id"])
        lease.start()
        return lease, placed

    def read(self, lease):
        return self.renter.get("/v1/leases/" + lease.id)

    def test_from_the_order_to_the_receipt_with_every_micro(self):
        earned_before = self.balances(self.seller)[2]
        lease, placed = self.start(egress_gib=1, egress_micros_per_gib_max=PER_GIB, overage_micros_max=10_624)
        limit = 1024 + 16
        made, order = placed["lease"], placed["order"]
        self.assertEqual((made["egress_micros_per_gib"], made["egress_mib_max"], made["egress_mib"],
                          made["egress_micros"], made["held_micros"]),
                         (PER_GIB, limit, 0, 0, WINDOW + limit * 625))
        self.assertEqual((order["egress_gib"], order["egress_micros_per_gib_max"], order["overage_micros_max"],
                          order["egress_mib_used"], order["overage_micros_used"]), (1, PER_GIB, 10_624, 0, 0))
        self.assertEqual(lease.desired["egress_bytes_max"], limit * MIB)

        used = lease.use(1000, egress_bytes=17 * MIB - 1)
        self.assertEqual((used["accepted_running_ms"], used["accepted_egress_mib"]), (1000, 16))
        seen = self.read(lease)
        self.assertEqual((seen["egress_mib"], seen["egress_micros"], seen["charged_micros"]), (16, 10_000, 11_000))
        reply = lease.state_usage(lease.statement(1001, egress_bytes=17 * MIB - 2))
        self.assert_problem(reply, 409, "usage_not_monotone", "/statement")

        used = lease.use(2000, final=True, egress_bytes=5 * GIB)  # far beyond what may be sent: not billed
        self.assertEqual(used["accepted_egress_mib"], limit)
        lease.exit(0)
        lease.gone()
        charged = 2000 + limit * 625
        fee = charged * 50_000 // 1_000_000
        seen = self.read(lease)
        self.assertEqual((seen["egress_mib"], seen["egress_micros"], seen["charged_micros"], seen["fee_micros"],
                          seen["held_micros"]), (limit, limit * 625, charged, fee, 0))
        self.assertEqual(self.balances(self.renter), (DEPOSIT - charged, 0, 0))
        self.assertEqual(self.balances(self.seller)[2], earned_before + charged - fee)
        usage = self.renter.items(f"/v1/leases/{lease.id}/usage")
        self.assertEqual([item["accepted_egress_mib"] for item in usage], [16, limit])
        receipt = self.renter.get(f"/v1/leases/{lease.id}/receipt")["receipt"].splitlines()
        at = receipt.index(f"egress_mib: {limit}")
        self.assertEqual(receipt[at - 1:at + 5],
                         ["segment: 3600000 2000", f"egress_mib: {limit}", f"egress_micros_per_gib: {PER_GIB}",
                          f"egress_micros: {limit * 625}", "running_ms: 2000", f"charged_micros: {charged}"])
        self.assert_ledger_proved()
        self.assertEqual(self.world.prove_ledger()[0], 0)

    def test_an_older_agent_says_nothing_of_traffic(self):
        lease, _ = self.start(egress_gib=1, egress_micros_per_gib_max=PER_GIB)
        self.assertEqual(lease.use(1000)["accepted_egress_mib"], 0)
        self.assertEqual(lease.use(2000, egress_bytes=3 * MIB)["accepted_egress_mib"], 3)
        self.assertEqual(lease.use(3000)["accepted_egress_mib"], 3)  # and takes nothing back
        self.assertEqual(self.read(lease)["charged_micros"], 3000 + 3 * 625)
        for change in ({"egress_bytes": -1}, {"egress_bytes": "01"}, {"egress_bytes": 1 << 63}):
            with self.subTest(change=change):
                reply = lease.state_usage(lease.statement(4000, **change))
                self.assert_problem(reply, 422, "invalid_field", "/statement")

    def test_who_names_nothing_sends_nothing_where_it_costs_something(self):
        lease, placed = self.start()
        self.assertEqual((placed["lease"]["egress_mib_max"], lease.desired["egress_bytes_max"]), (0, 0))
        self.assertEqual(placed["lease"]["held_micros"], WINDOW)
        self.assertEqual(lease.use(1000, egress_bytes=9 * GIB)["accepted_egress_mib"], 0)
        self.assertEqual(self.read(lease)["charged_micros"], 1000)
        lease, placed = self.start(self.free)
        self.assertEqual((placed["lease"]["egress_mib_max"], lease.desired["egress_bytes_max"]), (None, None))
        self.assertEqual(lease.use(1000, egress_bytes=9 * GIB)["accepted_egress_mib"], 9 * 1024)
        lease.use(1000, final=True, egress_bytes=9 * GIB)
        lease.exit(0)
        lease.gone()
        self.assertEqual((self.read(lease)["charged_micros"], self.read(lease)["egress_micros"]), (1000, 0))
        self.assertNotIn("egress", self.renter.get(f"/v1/leases/{lease.id}/receipt")["receipt"])

    def test_what_an_order_cannot_say_of_traffic(self):
        body = self.order_body(self.offer)
        limited = {**body, "egress_gib": 1, "egress_micros_per_gib_max": PER_GIB}
        rows = [({**body, "egress_gib": 1}, 422, "missing_field", "/egress_micros_per_gib_max"),
                ({**limited, "egress_gib": 1_000_001}, 422, "invalid_field", "/egress_gib"),
                ({**limited, "egress_gib": -1}, 422, "invalid_field", "/egress_gib"),
                ({**limited, "overage_micros_max": -1}, 422, "invalid_field", "/overage_micros_max"),
                ({**limited, "egress_micros_per_gib_max": -1}, 422, "invalid_field", "/egress_micros_per_gib_max"),
                ({**limited, "egress_micros_per_gib_max": PER_GIB - 1}, 409, "no_match", None),
                ({**limited, "egress_gib": 2000}, 402, "insufficient_funds", None)]
        self.assert_rows(rows, lambda wanted: self.renter.call("POST", "/v1/orders", wanted))
        reply = self.renter.call("POST", "/v1/orders", {**limited, "egress_micros_per_gib_max": PER_GIB - 1})
        change = next(item for item in reply.body["explanation"]["changes"] if item["constraint"] == "egress_price")
        self.assertEqual(change["egress_micros_per_gib_max"], PER_GIB)

    def test_a_quote_is_the_limit_and_an_overage_comes_on_top(self):
        wanted = {"requirements": {"listing_id": self.offer["id"]}, "term_ms": HOUR, "moved_gib": 2}
        reply = self.renter.call("POST", "/v1/quotes", {**wanted, "egress_micros_per_gib_max": PER_GIB - 1})
        self.assert_problem(reply, 409, "no_match")
        quote = self.renter.post("/v1/quotes", {**wanted, "egress_micros_per_gib_max": PER_GIB}, 201)
        self.assertEqual((quote["traffic_micros"], quote["total_micros"]), (2 * PER_GIB, PER_MS + 2 * PER_GIB))
        body = {"quote": {name: quote[name] for name in ("quote", "server_signature")}, "term_ms": HOUR}
        rows = [({**body, "egress_gib": 3}, 422, "invalid_field", "/egress_gib"),
                ({**body, "egress_micros_per_gib_max": PER_GIB}, 422, "invalid_field", "/egress_micros_per_gib_max")]
        self.assert_rows(rows, lambda order: self.renter.call("POST", "/v1/orders", order))
        placed = self.renter.post("/v1/orders", body, 201)
        self.assertEqual((placed["order"]["egress_gib"], placed["lease"]["egress_mib_max"]), (2, 2048))
        placed = self.renter.post("/v1/orders", {**body, "egress_gib": 1, "overage_micros_max": 20_000}, 201)
        self.assertEqual(placed["lease"]["egress_mib_max"], 1024 + 32)

    def test_the_next_attempt_sends_what_is_left(self):
        seller = self.organization(SELLER)
        host = self.host(seller, cards=1)
        listing = self.listing(seller, host, ask=PER_MS, egress_micros_per_gib=PER_GIB, reclaim_notice_ms=0)
        body = {**self.order_body(listing), "fill_or_kill": False, "egress_gib": 1, "overage_micros_max": 20_000,
                "egress_micros_per_gib_max": PER_GIB, "job": self.job(attempts_max=3)}
        placed = self.renter.post("/v1/orders", body, 201)
        lease = host.take(placed["lease"]["id"])
        lease.start()
        lease.use(1000, final=True, egress_bytes=1030 * MIB)
        lease.report("exited", exit_code=143, oom_killed=False, duration_exceeded=False, stop="reclaimed")
        lease.gone()
        job = self.renter.get("/v1/jobs/" + placed["job"]["id"])
        again = self.renter.get("/v1/leases/" + job["lease_id"])
        self.assertNotEqual(again["id"], lease.id)
        self.assertEqual(again["egress_mib_max"], 32 - 6)
        order = self.renter.get("/v1/orders/" + again["order_id"])
        self.assertEqual((order["egress_mib_used"], order["overage_micros_used"]), (1024, 6 * 625))


if __name__ == "__main__":
    run_tests()
