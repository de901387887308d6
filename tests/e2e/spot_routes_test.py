"""Spot through the whole server: a bid, a better one, notice and promise, prices that change, receipt and proof."""
import json
import subprocess

from routes_fixture import HOUR, RENTER, SELLER, SLOW_HEART, RoutesTest, run_tests

DEPOSIT = 1_000_000_000
CENT = 10_000
# A price in micros an hour at which a millisecond costs a micro.
PER_MS = 3_600_000


class Spot(RoutesTest):
    settings = (*SLOW_HEART, "spot_reprice_ms=200", "bid_lower_ms=0")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller = cls.organization(SELLER)
        cls.ann, cls.bob, cls.cat = (cls.organization(RENTER, DEPOSIT) for _ in range(3))

    def bid(self, renter, listing, price, **changes):
        body = {**self.order_body(listing), "fill_or_kill": False, "pricing": "spot", "job": self.job(attempts_max=3),
                "price_max_micros_per_hour": price, **changes}
        return renter.post("/v1/orders", body, 201)

    def pool(self):
        return self.ann.get("/v1/spot/pools")["items"][0]

    def priced(self, price):
        self.world.until(lambda: self.pool()["price_micros_per_hour"] == price, f"the pool to cost {price}")

    def test_a_bid_is_outbid_and_the_winner_pays_what_the_loser_bids(self):
        host = self.host(self.seller)
        listing = self.listing(self.seller, host, ask=10 * PER_MS, spot_floor_micros_per_hour=PER_MS,
                               reclaim_notice_ms=60_000)
        self.assertEqual(listing["spot_floor_micros_per_hour"], PER_MS)
        self.priced(PER_MS)
        self.assertEqual(self.pool()["name"], "simulated-80g-80gib")

        placed = self.bid(self.ann, listing, 2 * PER_MS)
        lease = placed["lease"]
        self.assertEqual((lease["price_micros_per_hour"], lease["spot_floor_micros_per_hour"]), (PER_MS, PER_MS))
        anns = host.take(lease["id"])
        anns.start()
        anns.use(1000)

        # A bid that is higher by less than a step stands, and is what Ann pays from her next statement on.
        losing = self.bid(self.cat, listing, 2 * PER_MS - 1)["order"]
        self.assertEqual((losing["state"], losing["promised_card_ids"]), ("standing", []))
        self.priced(2 * PER_MS - 1)
        self.assertEqual(self.pool()["bids"], 1)
        anns.use(1500)
        lease = self.ann.get("/v1/leases/" + lease["id"])
        self.assertEqual((lease["charged_micros"], lease["price_micros_per_hour"]), (1500, 2 * PER_MS - 1))
        anns.use(2000, final=True)

        winner = self.bid(self.bob, listing, 2 * PER_MS + CENT)["order"]
        self.assertEqual((winner["state"], winner["promised_card_ids"]), ("standing", listing["card_ids"]))
        lease = self.ann.get("/v1/leases/" + lease["id"])
        self.assertEqual((lease["state"], lease["stop_reason"]), ("running", "outbid"))
        told = host.desired_lease(anns.id)
        self.assertEqual((told["want"], told["stop_reason"]), ("stop", "outbid"))
        self.assertGreater(told["grace_ms"], 30_000)
        self.assert_problem(self.ann.call("POST", f"/v1/orders/{placed['order']['id']}/bid",
                                          {"price_micros_per_hour": 9 * PER_MS}), 409, "wrong_state")

        anns.report("exited", exit_code=143, oom_killed=False, duration_exceeded=False, stop="wanted")
        anns.gone()
        winner = self.bob.get("/v1/orders/" + winner["id"])
        self.assertEqual((winner["state"], winner["promised_card_ids"]), ("filled", []))
        job = self.ann.get("/v1/jobs/" + placed["job"]["id"])
        self.assertEqual((job["state"], job["reason"], job["attempts"]), ("queued", "outbid", 1))

        receipt = self.ann.get(f"/v1/leases/{anns.id}/receipt")
        self.assertIn(f"segment: {PER_MS} 1500\nsegment: {2 * PER_MS - 1} 500\n", receipt["receipt"])
        charged = (PER_MS * 1500 + (2 * PER_MS - 1) * 500) // PER_MS
        self.assertIn(f"charged_micros: {charged}\n", receipt["receipt"])
        self.check_receipt(receipt)
        self.change_bid_of(host, winner, listing)

        history = self.ann.get(f"/v1/spot/pools/{self.pool()['name']}/history")["items"]
        self.assertEqual([history[-1]["price_micros_per_hour"], history[-2]["price_micros_per_hour"]],
                         [PER_MS, 2 * PER_MS - 1])
        code, report = self.world.prove_ledger()
        self.assertEqual((code, report["findings"]), (0, []))

    def check_receipt(self, receipt):
        file = self.world.folder / "spot-receipt.json"
        file.write_text(json.dumps(receipt))
        done = subprocess.run([str(self.world.bin / "fallow"), "receipt", "verify", "--server-key",
                               str(self.world.data / "server_signing.pub"), str(file)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def change_bid_of(self, host, winner, listing):
        path = f"/v1/orders/{winner['id']}/bid"
        bobs = host.take(winner["lease_id"])
        bobs.start()
        held = self.bob.get("/v1/leases/" + bobs.id)["held_micros"]
        raised = self.bob.expect(200, "POST", path, {"price_micros_per_hour": 3 * PER_MS})
        self.assertEqual(raised["price_max_micros_per_hour"], 3 * PER_MS)
        self.assertGreater(self.bob.get("/v1/leases/" + bobs.id)["held_micros"], held)
        self.assert_problem(self.bob.call("POST", path, {"price_micros_per_hour": PER_MS - 1}), 422, "invalid_field",
                            "/price_micros_per_hour")
        self.assert_problem(self.cat.call("POST", path, {"price_micros_per_hour": PER_MS}), 404, "not_found")
        # A fixed price comes before every bid.
        fixed = self.cat.post("/v1/orders", {**self.order_body(listing, price_max_micros_per_hour=10 * PER_MS),
                                             "fill_or_kill": False, "job": self.job()}, 201)["order"]
        self.assertEqual(fixed["promised_card_ids"], listing["card_ids"])
        self.assertEqual(self.bob.get("/v1/leases/" + bobs.id)["stop_reason"], "outbid")

    def test_what_is_no_spot(self):
        listing = self.listing(self.seller, self.host(self.seller), ask=PER_MS)
        placed = self.bid(self.ann, listing, 9 * PER_MS)
        self.assertEqual((placed["order"]["state"], placed["lease"]), ("standing", None))
        fixed = self.ann.post("/v1/orders", {"requirements": {"products": ["none"]}, "term_ms": HOUR,
                                             "price_max_micros_per_hour": 1}, 201)["order"]
        self.assert_problem(self.ann.call("POST", f"/v1/orders/{fixed['id']}/bid", {"price_micros_per_hour": 2}), 409,
                            "wrong_state")
        self.assert_problem(self.ann.call("POST", f"/v1/orders/{placed['order']['id']}/bid", {}), 422, "missing_field",
                            "/price_micros_per_hour")
        self.assert_problem(self.ann.call("GET", "/v1/spot/pools/nothing-1gib"), 404, "not_found")


if __name__ == "__main__":
    run_tests()
