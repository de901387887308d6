"""What renters do: orders and their matching, holds, leases ended, jobs, artifacts; and the same at the same time."""
import concurrent.futures
import hashlib
import json
import subprocess

from routes_client import Client
from routes_fixture import HOUR, RENTER, SELLER, RoutesTest, run_tests
from world import Events

DEPOSIT = 1_000_000_000
PER_MS = 3_600_000
WINDOW = 30 * 60_000 + 10 * 60_000 + 60_000
MIB = 1 << 20


class Renters(RoutesTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller = cls.organization(SELLER)
        cls.farm = cls.host(cls.seller, cards=200)
        cls.cards = iter([card["id"] for card in cls.farm.cards])

    def setUp(self):
        self.renter = self.organization(RENTER, DEPOSIT)

    def offer(self, count=1, **terms):
        return self.listing(self.seller, self.farm, [next(self.cards) for _ in range(count)], **terms)

    def events(self, client):
        events = Events(self.world, client.key)
        self.addCleanup(events.close)
        return events

    def release(self, lease):
        """The host's word that nothing of a lease is left."""
        taken = self.farm.desired_lease(lease)
        self.farm.expect(200, "POST", f"/v1/agent/leases/{lease}/report", {"lease_epoch": taken["lease_epoch"],
                                                                           "phase": "gone"})

    # --- orders

    def test_an_order_that_is_filled_at_once(self):
        listing = self.offer(2, ask=PER_MS)
        reply = self.renter.call("POST", "/v1/orders", self.order_body(listing, count=2, job=self.job()))
        self.assertEqual(reply.status, 201)
        order, lease, job = reply.body["order"], reply.body["lease"], reply.body["job"]
        self.assertEqual((order["state"], order["lease_id"], order["job_id"], order["count"], order["reason"]),
                         ("filled", lease["id"], job["id"], 2, None))
        self.assertEqual((lease["order_id"], lease["job_id"], lease["seller_id"], lease["organization_id"],
                          lease["host_id"], lease["listing_id"], sorted(lease["card_ids"])),
                         (order["id"], job["id"], self.seller.organization, self.renter.organization, self.farm.id,
                          listing["id"], sorted(listing["card_ids"])))
        self.assertEqual(lease["price_micros_per_hour"], PER_MS)  # the ask, not the order's limit
        self.assertEqual(lease["held_micros"], 2 * WINDOW)
        self.assertEqual((job["state"], job["image"], job["cpu_millis"], job["memory_bytes"], job["pids_max"]),
                         ("assigned", "registry.example/tool:1", 1000, 1 << 30, 256))
        for path, body in (("/v1/orders/", order), ("/v1/leases/", lease), ("/v1/jobs/", job)):
            again = self.renter.call("GET", path + body["id"])
            self.assertEqual((again.body, again.headers["ETag"]), (body, f'"{body["version"]}"'))
            unchanged = self.renter.call("GET", path + body["id"], headers={"If-None-Match": again.headers["ETag"]})
            self.assertEqual((unchanged.status, unchanged.raw), (304, b""))
        for path, body in (("/v1/orders", order), ("/v1/leases", lease), ("/v1/jobs", job)):
            self.assertEqual(self.renter.items(path), [body])

    def test_what_keeps_an_order_from_a_listing(self):
        listing = self.offer(3, ask=1000, term_min_ms=120_000, term_max_ms=HOUR, bundle_min=2)
        later = self.offer(available_from="2099-01-01T00:00:00.000Z")
        ended = self.offer(available_until="2026-01-01T00:00:00.000Z")
        requirements = {"listing_id": listing["id"]}
        good = {"requirements": requirements, "price_max_micros_per_hour": 1000, "term_ms": HOUR, "count": 2,
                "fill_or_kill": True}
        wanting = lambda **more: {**good, "requirements": {**requirements, **more}}
        bad = [{**good, "price_max_micros_per_hour": 999}, {**good, "term_ms": HOUR + 1}, {**good, "term_ms": 119_999},
               {**good, "count": 1}, {**good, "count": 4}, wanting(products=["Simulated 80g"]),
               wanting(device_class="cpu"), wanting(vram_bytes_min=(80 << 30) + 1), wanting(countries=["FR", "US"]),
               wanting(countries_excluded=["DE"]), wanting(host_id="host_" + "0" * 26),
               {**good, "count": 1, "requirements": {"listing_id": later["id"]}},
               {**good, "count": 1, "requirements": {"listing_id": ended["id"]}}]
        self.assert_rows([(body, 409, "no_match", None) for body in bad],
                         lambda body: self.renter.call("POST", "/v1/orders", body))
        for body in (good, wanting(products=["x", "Simulated 80G"], device_class="gpu", vram_bytes_min=80 << 30,
                                   countries=["FR", "DE"], countries_excluded=["US"], host_id=self.farm.id),
                     wanting(products=[], countries=None, device_class=None)):
            placed = self.renter.post("/v1/orders", body, 201)
            self.renter.post(f"/v1/leases/{placed['lease']['id']}/end")
            self.release(placed["lease"]["id"])
        reply = self.renter.call("POST", "/v1/orders", {**good, "requirements": {"listing_id": "listing_" + "0" * 26}})
        self.assert_problem(reply, 404, "not_found", "/requirements/listing_id")

    def quoted(self, listing, **more):
        quote = self.renter.post("/v1/quotes", {"requirements": {"listing_id": listing["id"]}, "term_ms": HOUR,
                                                **more}, 201)
        return quote, {"quote": quote["quote"], "server_signature": quote["server_signature"]}

    def verifies(self, quote):
        done = subprocess.run([str(self.world.bin / "fallow"), "quote", "verify", "--server-key",
                               str(self.world.data / "server_signing.pub"), "/dev/stdin"], input=json.dumps(quote),
                              text=True, capture_output=True, timeout=60)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return done.returncode == 0

    def test_a_quote_is_signed_and_caps_the_price(self):
        listing = self.offer(3, ask=PER_MS, storage_micros_per_gib_month=73_000, egress_micros_per_gib=5_000)
        self.assertEqual((listing["storage_micros_per_gib_month"], listing["egress_micros_per_gib"]),
                         (73_000, 5_000))
        quote, signed = self.quoted(listing, count=2, stored_gib=1000, moved_gib=3)
        self.assertEqual((quote["listing_id"], quote["seller_id"], quote["price_micros_per_hour"],
                          quote["cards_micros"], quote["storage_micros"], quote["traffic_micros"],
                          quote["total_micros"]),
                         (listing["id"], self.seller.organization, PER_MS, 2 * PER_MS, 100_000, 15_000,
                          2 * PER_MS + 115_000))
        self.assertTrue(self.verifies(quote))
        forged = {**quote, "quote": quote["quote"].replace("count: 2", "count: 3")}
        self.assertFalse(self.verifies(forged))
        self.seller.expect(200, "PATCH", f"/v1/listings/{listing['id']}", {"ask_micros_per_hour": 10 * PER_MS},
                           headers={"If-Match": '"1"'})
        body = {"quote": signed, "count": 1, "term_ms": HOUR}
        placed = self.renter.post("/v1/orders", body, 201)
        self.assertEqual((placed["lease"]["price_micros_per_hour"], placed["order"]["quote_id"],
                          placed["order"]["fill_or_kill"]), (PER_MS, quote["id"], True))
        other = self.organization(RENTER, DEPOSIT)
        self.assert_problem(other.call("POST", "/v1/orders", body), 422, "invalid_field", "/quote")
        rows = [({**body, "count": 3}, 422, "invalid_field", "/count"),
                ({**body, "term_ms": HOUR + 1}, 422, "invalid_field", "/term_ms"),
                ({**body, "price_max_micros_per_hour": 1}, 422, "invalid_field", "/price_max_micros_per_hour"),
                ({**body, "quote": {**signed, "quote": forged["quote"]}}, 422, "signature_invalid", "/quote"),
                ({**body, "requirements": {"device_class": "cpu"}}, 409, "no_match", None),
                ({"term_ms": HOUR}, 422, "missing_field", "/price_max_micros_per_hour")]
        self.assert_rows(rows, lambda wanted: self.renter.call("POST", "/v1/orders", wanted))
        plain = {"requirements": {"listing_id": listing["id"]}, "price_max_micros_per_hour": PER_MS, "term_ms": HOUR,
                 "fill_or_kill": True}
        self.assert_problem(self.renter.call("POST", "/v1/orders", plain), 409, "no_match")
        self.renter.post("/v1/orders", {**body, "count": 2}, 201)  # a quote may be used again, while there are cards
        self.assert_problem(self.renter.call("POST", "/v1/orders", body), 409, "no_match")

    def test_storage_is_paid_with_the_cards(self):
        listing = self.offer(2, ask=PER_MS, storage_micros_per_gib_month=73_000_000, share_min_thousandths=250)
        job = {**self.job(), "disk_bytes": 10 << 30}
        body = {"requirements": {"listing_id": listing["id"]}, "term_ms": HOUR, "price_max_micros_per_hour": PER_MS,
                "fill_or_kill": True, "job": job}
        reply = self.renter.call("POST", "/v1/orders", {**body, "storage_micros_per_gib_month_max": 72_999_999})
        self.assert_problem(reply, 409, "no_match")
        placed = self.renter.post("/v1/orders", {**body, "storage_micros_per_gib_month_max": 73_000_000}, 201)
        lease, order = placed["lease"], placed["order"]
        self.assertEqual([lease[name] for name in ("storage_bytes", "storage_micros_per_gib_month",
                                                   "all_in_micros_per_hour")],
                         [10 << 30, 73_000_000, PER_MS + 1_000_000])
        self.assertEqual((order["storage_bytes"], order["all_in_micros_per_hour"]), (10 << 30, PER_MS + 1_000_000))
        quote, signed = self.quoted(listing, thousandths=250, stored_gib=9)
        self.assertEqual((quote["thousandths"], quote["cards_micros"], quote["storage_micros"],
                          quote["all_in_micros_per_hour"]), (250, PER_MS // 4, 900_000, PER_MS // 4 + 900_000))
        self.assertTrue(self.verifies(quote))
        with_quote = {"quote": signed, "term_ms": HOUR, "thousandths": 250}
        reply = self.renter.call("POST", "/v1/orders", {**with_quote, "job": job})
        self.assert_problem(reply, 422, "invalid_field", "/job/disk_bytes")
        reply = self.renter.call("POST", "/v1/orders", {**with_quote, "storage_micros_per_gib_month_max": 1})
        self.assert_problem(reply, 422, "invalid_field", "/storage_micros_per_gib_month_max")
        rental = self.renter.post("/v1/orders", with_quote, 201)["lease"]
        self.assertEqual((rental["storage_bytes"], rental["all_in_micros_per_hour"]), (0, PER_MS // 4))
        path = f"/v1/leases/{rental['id']}/job"
        self.assert_problem(self.renter.call("POST", path, job), 422, "invalid_field", "/disk_bytes")
        self.renter.post(path, {**job, "disk_bytes": 9 << 30}, 201)
        rental = self.renter.get("/v1/leases/" + rental["id"])
        self.assertEqual(rental["all_in_micros_per_hour"], PER_MS // 4 + 900_000)

    def test_a_quote_for_several_hosts(self):
        seller = self.organization(SELLER)
        product = f"Quoted {next(self.numbers)}"
        listings = []
        for place in range(2):
            host = self.host(seller, cards=2, product=product)
            listings.append(self.listing(seller, host, ask=PER_MS * (1 + place)))
        wanted = {"requirements": {"products": [product]}, "term_ms": HOUR, "count": 2, "hosts": 2}
        quote = self.renter.post("/v1/quotes", wanted, 201)
        self.assertTrue(self.verifies(quote))
        self.assertEqual([(host["listing_id"], host["price_micros_per_hour"]) for host in quote["hosts"]],
                         [(listing["id"], PER_MS * (1 + place)) for place, listing in enumerate(listings)])
        self.assertEqual((quote["cards_micros"], quote["price_micros_per_hour"]), (6 * PER_MS, 2 * PER_MS))
        signed = {"quote": quote["quote"], "server_signature": quote["server_signature"]}
        placed = self.renter.post("/v1/orders", {"quote": signed, "term_ms": HOUR, "count": 2, "hosts": 2}, 201)
        self.assertEqual([member["price_micros_per_hour"] for member in placed["members"]], [PER_MS, 2 * PER_MS])
        self.assertEqual(placed["order"]["all_in_micros_per_hour"], 6 * PER_MS)

    def test_a_quote_moves_nothing(self):
        listing = self.offer(1, ask=PER_MS)
        self.quoted(listing)
        self.assertEqual(self.balances(self.renter), (DEPOSIT, 0, 0))
        self.assertEqual(self.renter.items("/v1/orders"), [])
        self.assert_problem(self.renter.call("POST", "/v1/quotes", {"requirements": {"listing_id": listing["id"]},
                                                                   "count": 2, "term_ms": HOUR}), 409, "no_match")

    def test_parts_of_a_card_lie_beside_each_other_for_one_organization(self):
        listing = self.offer(2, ask=1000, share_min_thousandths=250)
        body = lambda part: {"requirements": {"listing_id": listing["id"]}, "price_max_micros_per_hour": 1000,
                             "term_ms": HOUR, "thousandths": part, "fill_or_kill": True}
        rent = lambda client, part: client.post("/v1/orders", body(part), 201)["lease"]
        other = self.organization(RENTER, deposit_micros=10**9)
        leases = [rent(self.renter, 250), rent(self.renter, 500), rent(other, 600), rent(self.renter, 250)]
        self.assertEqual([lease["thousandths"] for lease in leases], [250, 500, 600, 250])
        self.assertEqual([lease["card_ids"][0] for lease in leases],
                         [listing["card_ids"][place] for place in (0, 0, 1, 0)])
        free = lambda: [self.renter.get("/v1/listings/" + listing["id"])[name]
                        for name in ("cards_free", "thousandths_free")]
        self.assertEqual(free(), [0, 400])
        self.assertEqual(self.farm.desired_lease(leases[0]["id"])["environment"], {"FALLOW_THOUSANDTHS": "250"})
        rows = [(body(400), 409, "no_match", None), (body(200), 409, "no_match", None),
                (body(1000), 409, "no_match", None), ({**body(500), "count": 2}, 422, "invalid_field", "/thousandths")]
        self.assert_rows(rows, lambda wanted: self.renter.call("POST", "/v1/orders", wanted))
        for client, lease in zip((self.renter, self.renter, other, self.renter), leases):
            client.post(f"/v1/leases/{lease['id']}/end")
            self.release(lease["id"])
        self.assertEqual(free(), [2, 2000])

    def test_an_order_over_several_hosts_is_one_attempt(self):
        seller = self.organization(SELLER)
        product = f"Ganged {next(self.numbers)}"
        hosts = [self.host(seller, cards=2, product=product) for _ in range(2)]
        for place, host in enumerate(hosts):
            self.listing(seller, host, ask=1000 + place)
        body = {"requirements": {"products": [product]}, "price_max_micros_per_hour": 2000, "term_ms": HOUR,
                "count": 2, "hosts": 2, "fill_or_kill": True, "job": self.job()}
        self.assert_problem(self.renter.call("POST", "/v1/orders", {**body, "hosts": 3}), 409, "no_match")
        self.assert_problem(self.renter.call("POST", "/v1/orders", {**body, "hosts": 17}), 422, "invalid_field",
                            "/hosts")
        placed = self.renter.post("/v1/orders", body, 201)
        members = placed["members"]
        places = [(lease["rank"], lease["hosts"], lease["host_id"], len(lease["card_ids"])) for lease in members]
        self.assertEqual(places,
                         [(0, 2, hosts[0].id, 2), (1, 2, hosts[1].id, 2)])
        self.assertEqual((placed["order"]["hosts"], placed["lease"]), (2, members[0]))
        jobs = [self.renter.get("/v1/jobs/" + lease["job_id"]) for lease in members]
        self.assertEqual([(job["rank"], job["hosts"], job["order_id"]) for job in jobs],
                         [(rank, 2, placed["order"]["id"]) for rank in range(2)])
        for rank, host in enumerate(hosts):
            desired = host.desired_lease(members[rank]["id"])
            self.assertEqual(desired["environment"], {"FALLOW_RANK": str(rank), "FALLOW_WORLD_SIZE": "2"})
            self.assertEqual(desired["spec"]["image"], jobs[rank]["image"])
        self.renter.post(f"/v1/leases/{members[1]['id']}/end")
        ends = [self.renter.get("/v1/leases/" + lease["id"]) for lease in members]
        self.assertEqual([(lease["state"], lease["end_reason"]) for lease in ends],
                         [("ended", "cancelled_by_renter")] * 2)
        self.assertEqual([self.renter.get("/v1/jobs/" + job["id"])["state"] for job in jobs], ["cancelled"] * 2)

    def test_the_cheapest_ask_serves_and_equal_asks_by_id(self):
        seller = self.organization(SELLER)
        number = next(self.numbers)
        host = self.host(seller, cards=4, product=f"Ordered {number}")
        asks = [300, 100, 200, 100]
        made = [self.listing(seller, host, [card["id"]], ask=ask) for card, ask in zip(host.cards, asks)]
        wanted = [l["id"] for l in sorted(made, key=lambda l: (l["ask_micros_per_hour"], l["id"]))]
        body = {"requirements": {"products": [f"Ordered {number}"]}, "price_max_micros_per_hour": 250, "term_ms": HOUR,
                "fill_or_kill": True}
        got = [self.renter.post("/v1/orders", body, 201)["lease"]["listing_id"] for _ in range(3)]
        self.assertEqual(got, wanted[:3])
        self.assert_problem(self.renter.call("POST", "/v1/orders", body), 409, "no_match")

    def test_standing_orders_are_served_by_price_then_time(self):
        seller = self.organization(SELLER)
        number = next(self.numbers)
        host = self.host(seller, cards=3, product=f"Awaited {number}")
        body = {"requirements": {"products": [f"Awaited {number}"]}, "term_ms": HOUR}
        prices = [100, 300, 300, 200, 50]
        orders = [self.renter.post("/v1/orders", {**body, "price_max_micros_per_hour": price}, 201) for price in prices]
        self.assertEqual([(o["order"]["state"], o["lease"], o["job"]) for o in orders], [("standing", None, None)] * 5)
        self.assertEqual(self.balances(self.renter), (DEPOSIT, 0, 0))
        listings = [self.listing(seller, host, [card["id"]], ask=60) for card in host.cards[:2]]
        state = lambda: [self.renter.get("/v1/orders/" + o["order"]["id"])["state"] for o in orders]
        self.assertEqual(state(), ["standing", "filled", "filled", "standing", "standing"])
        leases = [self.renter.get("/v1/orders/" + orders[n]["order"]["id"])["lease_id"] for n in (1, 2)]
        self.assertEqual([self.renter.get("/v1/leases/" + lease)["listing_id"] for lease in leases],
                         [listing["id"] for listing in listings])
        self.listing(seller, host, [host.cards[2]["id"]], ask=60)
        self.assertEqual(state(), ["standing", "filled", "filled", "filled", "standing"])
        taken = host.desired_lease(leases[0])
        self.renter.post(f"/v1/leases/{leases[0]}/end")
        host.expect(200, "POST", f"/v1/agent/leases/{leases[0]}/report", {"lease_epoch": taken["lease_epoch"],
                                                                          "phase": "gone"})
        self.assertEqual(state(), ["filled", "filled", "filled", "filled", "standing"])

    def test_money_is_checked_with_the_match(self):
        listing = self.offer(2, ask=PER_MS)
        poor = self.organization(RENTER, WINDOW - 1)
        reply = poor.call("POST", "/v1/orders", self.order_body(listing))
        self.assert_problem(reply, 402, "insufficient_funds")
        self.assertEqual(self.balances(poor), (WINDOW - 1, 0, 0))
        self.assertEqual(poor.items("/v1/orders"), [])
        self.admin.post("/v1/admin/deposits", {"organization_id": poor.organization, "amount_micros": 1,
                                               "reference": "the last micro"}, 201)
        lease = self.rent(poor, listing)["lease"]["id"]
        self.assertEqual(self.balances(poor), (0, WINDOW, 0))
        self.assert_problem(poor.call("POST", "/v1/orders", self.order_body(listing)), 402, "insufficient_funds")
        poor.post(f"/v1/leases/{lease}/end")
        self.assertEqual(self.balances(poor), (WINDOW, 0, 0))
        short = self.rent(poor, listing, term_ms=60_000)  # a short term holds no more than itself
        self.assertEqual(short["lease"]["held_micros"], 60_000)

    def test_an_order_expires(self):
        events = self.events(self.renter)
        placed = self.renter.post("/v1/orders", {"requirements": {"products": ["none"]}, "term_ms": HOUR,
                                                 "job": self.job(), "price_max_micros_per_hour": 1,
                                                 "expires_in_ms": 1000}, 201)
        order, job = placed["order"]["id"], placed["job"]["id"]
        events.wait(lambda e: e["object"]["id"] == order and e["type"] == "order.expired", "the expiry")
        row = self.renter.get("/v1/orders/" + order)
        self.assertEqual((row["state"], row["reason"]), ("expired", "term_reached"))
        self.assertEqual(self.renter.get("/v1/jobs/" + job)["state"], "failed")
        self.assert_problem(self.renter.call("POST", f"/v1/orders/{order}/cancel", {}), 409, "wrong_state")

    def test_cancelling(self):
        body = {"requirements": {"products": ["none"]}, "term_ms": HOUR, "price_max_micros_per_hour": 1}
        by_order = self.renter.post("/v1/orders", {**body, "job": self.job()}, 201)
        by_job = self.renter.post("/v1/orders", {**body, "job": self.job()}, 201)
        self.assertEqual(by_job["job"]["state"], "queued")
        order = self.renter.post(f"/v1/orders/{by_order['order']['id']}/cancel")
        self.assertEqual((order["state"], order["reason"], order["version"]), ("cancelled", "cancelled_by_renter", 2))
        self.assertEqual(self.renter.post(f"/v1/jobs/{by_job['job']['id']}/cancel")["state"], "cancelled")
        for placed in (by_order, by_job):
            self.assertEqual(self.renter.get("/v1/orders/" + placed["order"]["id"])["state"], "cancelled")
            self.assertEqual(self.renter.get("/v1/jobs/" + placed["job"]["id"])["state"], "cancelled")
            for path in ("/v1/orders/" + placed["order"]["id"], "/v1/jobs/" + placed["job"]["id"]):
                self.assert_problem(self.renter.call("POST", path + "/cancel", {}), 409, "wrong_state")
        filled = self.rent(self.renter, self.offer())
        self.assert_problem(self.renter.call("POST", f"/v1/orders/{filled['order']['id']}/cancel", {}), 409,
                            "wrong_state")

    # --- leases and jobs

    def test_a_lease_is_ended_by_its_renter(self):
        listing = self.offer(3, ask=PER_MS)
        placed = [self.rent(self.renter, listing, self.job()) for _ in range(3)]
        allocated, preparing, running = [one["lease"]["id"] for one in placed]
        self.farm.take(preparing).accept()
        taken = self.farm.take(running)
        taken.start()
        states = [self.renter.post(f"/v1/leases/{lease}/end")["state"] for lease in (allocated, preparing, running)]
        self.assertEqual(states, ["ended", "reclaiming", "running"])
        for lease in (allocated, preparing):
            self.assert_problem(self.renter.call("POST", f"/v1/leases/{lease}/end", {}), 409, "wrong_state")
        self.release(preparing)
        taken.use(123)
        taken.exit(0)
        taken.gone()
        self.release(allocated)
        for lease in (allocated, preparing, running):
            row = self.renter.get("/v1/leases/" + lease)
            self.assertEqual((row["state"], row["end_reason"]), ("ended", "cancelled_by_renter"))
            self.assert_problem(self.renter.call("POST", f"/v1/leases/{lease}/end", {}), 409, "wrong_state")
        self.assertEqual(self.balances(self.renter), (DEPOSIT - 123, 0, 0))
        self.assertEqual({self.renter.get("/v1/jobs/" + one["job"]["id"])["state"] for one in placed}, {"cancelled"})
        for one in placed:  # over and settled, but still known to its owner
            self.assert_problem(self.renter.call("POST", f"/v1/jobs/{one['job']['id']}/cancel", {}), 409, "wrong_state")
            self.assert_problem(self.renter.call("POST", f"/v1/orders/{one['order']['id']}/cancel", {}), 409,
                                "wrong_state")
            self.assert_problem(self.seller.call("POST", f"/v1/leases/{one['lease']['id']}/reclaim", {}), 409,
                                "wrong_state")

    def test_a_job_is_brought_to_a_lease(self):
        lease = self.rent(self.renter, self.offer())["lease"]
        self.assertIsNone(lease["job_id"])
        self.assertEqual(self.farm.desired_lease(lease["id"])["spec"], None)
        job = self.renter.post(f"/v1/leases/{lease['id']}/job", self.job(command=["a"]), 201)
        self.assertEqual((job["state"], job["lease_id"], job["attempts"]), ("assigned", lease["id"], 1))
        self.assertEqual(self.renter.get("/v1/leases/" + lease["id"])["job_id"], job["id"])
        reply = self.renter.call("POST", f"/v1/leases/{lease['id']}/job", self.job())
        self.assert_problem(reply, 409, "wrong_state")
        taken = self.farm.take(lease["id"])
        self.assertEqual(taken.desired["spec"]["command"], ["a"])
        taken.start()
        taken.exit(0)
        taken.gone()
        self.assertEqual(self.renter.get("/v1/jobs/" + job["id"])["state"], "succeeded")
        reply = self.renter.call("POST", f"/v1/leases/{lease['id']}/job", self.job())
        self.assert_problem(reply, 409, "wrong_state")

    def test_a_receipt_comes_with_the_end(self):
        lease = self.rent(self.renter, self.offer())["lease"]["id"]
        self.assert_problem(self.renter.call("GET", f"/v1/leases/{lease}/receipt"), 409, "wrong_state")
        self.renter.post(f"/v1/leases/{lease}/end")
        receipt = self.renter.get(f"/v1/leases/{lease}/receipt")["receipt"]
        self.assertIn("\nend_reason: cancelled_by_renter\n", receipt)
        self.assertIn("\nstarted_at: none\n", receipt)
        self.assertEqual(self.renter.get(f"/v1/leases/{lease}/usage"), {"items": [], "next_cursor": None})

    def test_bad_inputs_and_outputs_of_a_job(self):
        listing = self.offer()
        uploading = self.renter.post("/v1/artifacts", {"name": "a", "bytes": 1, "sha256": "0" * 64}, 201)["id"]
        paths = ["/abs", "../up", "a/../b", "a//b", "./a", "a/", "a\\b", "a\nb", ".", ".."]
        one = lambda path, artifact=uploading: {"path": path, "artifact_id": artifact}
        rows = [(self.job(inputs=[one(path)]), 422, "invalid_field", "/job/inputs/0/path") for path in paths]
        rows += [(self.job(outputs=["fine", path]), 422, "invalid_field", "/job/outputs/1") for path in paths]
        rows += [(self.job(inputs=[one("a"), one("a")]), 422, "invalid_field", "/job/inputs/1/path"),
                 (self.job(outputs=["a", "a"]), 422, "invalid_field", "/job/outputs/1"),
                 (self.job(inputs=[one("a")]), 409, "wrong_state", "/job/inputs/0/artifact_id"),
                 (self.job(inputs=[one("a", "artifact_" + "0" * 26)]), 404, "not_found", "/job/inputs/0/artifact_id"),
                 (self.job(env={"LD_PRELOAD": "x"}), 422, "invalid_field", "/job/env/LD_PRELOAD"),
                 (self.job(env={"NVIDIA_X": "x"}), 422, "invalid_field", "/job/env/NVIDIA_X"),
                 (self.job(command=["x" * 200_000]), 422, "invalid_field", None),
                 (self.job(image="-x"), 422, "invalid_field", "/job/image"),
                 (self.job(image="a b"), 422, "invalid_field", "/job/image")]
        self.assert_rows(rows, lambda job: self.renter.call("POST", "/v1/orders", self.order_body(listing, job=job)))
        self.assertEqual(self.balances(self.renter), (DEPOSIT, 0, 0))

    # --- at the same time

    def together(self, count, work):
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            return list(pool.map(work, range(count)))

    def test_the_last_card_goes_to_one(self):
        listing = self.offer()
        clients = [Client(self.world, self.renter.key, contract=self.contract) for _ in range(8)]
        replies = self.together(8, lambda n: clients[n].call("POST", "/v1/orders", self.order_body(listing)))
        for client in clients:
            client.close()
        self.assertEqual(sorted((r.status, r.code) for r in replies), [(201, None)] + [(409, "no_match")] * 7)
        self.assertEqual(self.balances(self.renter)[1], replies[[r.status for r in replies].index(201)].body["lease"]
                         ["held_micros"])

    def test_twins_with_one_key_are_one_order(self):
        listing = self.offer(8)
        clients = [Client(self.world, self.renter.key, contract=self.contract) for _ in range(8)]
        body = self.order_body(listing)
        replies = self.together(8, lambda n: clients[n].call("POST", "/v1/orders", body, idempotency_key="twin"))
        names = self.together(8, lambda n: clients[n].call("POST", "/v1/artifacts", {
            "name": "a", "bytes": 0, "sha256": hashlib.sha256(b"").hexdigest()}, idempotency_key="twin"))
        for client in clients:
            client.close()
        self.assertEqual({r.status for r in replies + names}, {201})
        self.assertEqual(len({r.raw for r in replies}), 1)
        self.assertEqual(len({r.raw for r in names}), 1)
        self.assertEqual(sum("Idempotent-Replay" in r.headers for r in replies), 7)
        self.assertEqual(len(self.renter.items("/v1/orders")), 1)

    def test_a_refusal_is_repeated_as_it_was(self):
        listing = self.offer()
        self.rent(self.renter, listing)
        body = self.order_body(listing)
        first = self.renter.call("POST", "/v1/orders", body, idempotency_key="too late")
        self.assert_problem(first, 409, "no_match")
        free = self.offer()
        again = self.renter.call("POST", "/v1/orders", body, idempotency_key="too late")
        self.assertEqual((again.status, again.raw, again.headers["Idempotent-Replay"]), (409, first.raw, "true"))
        self.rent(self.renter, free)

    # --- artifacts

    def state_artifact(self, content, name="data"):
        return self.renter.post("/v1/artifacts", {"name": name, "bytes": len(content),
                                                  "sha256": hashlib.sha256(content).hexdigest()}, 201)

    def test_an_artifact_in_parts(self):
        content = b"".join(hashlib.sha256(n.to_bytes(4, "big")).digest() for n in range(2 * MIB // 32)) + b"rest"
        parts = [content[:MIB], content[MIB:2 * MIB], content[2 * MIB:]]
        made = self.state_artifact(content, "weights.bin")
        path = "/v1/artifacts/" + made["id"]
        self.assertEqual((made["name"], made["bytes"], made["state"], made["parts_received"]),
                         ("weights.bin", len(content), "uploading", 0))
        self.assert_problem(self.renter.call("POST", path + "/complete", {}), 409, "wrong_state")
        rows = [((0, parts[2]), 422, "invalid_field", None), ((2, parts[0]), 422, "invalid_field", None),
                ((3, b"x"), 404, "not_found", None), ((0, b""), 422, "invalid_field", None)]
        self.assert_rows(rows, lambda sent: self.renter.call("PUT", f"{path}/parts/{sent[0]}", sent[1]))
        for bad in ("-1", "x", "00000000001", "256", "99999999999", "1.0"):
            self.assertIn(self.renter.call("PUT", f"{path}/parts/{bad}", b"x").status, (404, 422))
        missing = lambda: self.renter.get(path + "/missing-parts")["missing"]
        self.assertEqual(missing(), [0, 1, 2])
        for n, left in ((2, [0, 1]), (0, [1]), (0, [1]), (1, [])):
            self.renter.expect(204, "PUT", f"{path}/parts/{n}", parts[n])
            self.assertEqual(missing(), left)
        self.assertEqual(self.renter.get(path)["parts_received"], 3)
        self.assert_problem(self.renter.call("GET", path + "/parts/0"), 409, "wrong_state")
        complete = self.renter.post(path + "/complete")
        self.assertEqual((complete["state"], complete["parts_received"]), ("complete", 3))
        self.assertEqual(b"".join(self.renter.get(f"{path}/parts/{n}") for n in range(3)), content)
        self.assert_problem(self.renter.call("GET", path + "/parts/3"), 404, "not_found")
        self.renter.expect(204, "PUT", path + "/parts/2", parts[2])
        self.assert_problem(self.renter.call("PUT", path + "/parts/2", b"tser"), 409, "wrong_state")
        self.assertEqual(self.renter.post(path + "/complete"), complete)

    def test_an_upload_is_found_again_by_its_content(self):
        content = b"found again"
        query = "/v1/artifacts?sha256=" + hashlib.sha256(content).hexdigest()
        self.assertEqual(self.renter.get(query)["items"], [])
        first, second = (self.state_artifact(content, name)["id"] for name in ("first", "second"))
        other = self.state_artifact(b"another content")["id"]
        ids = lambda page: [item["id"] for item in page["items"]]
        self.assertEqual(set(ids(self.renter.get(query))), {first, second})
        self.assertIn(other, ids(self.renter.get("/v1/artifacts?limit=100")))
        page = self.renter.get(query + "&limit=1")
        rest = self.renter.get(f"{query}&limit=1&cursor={page['next_cursor']}")
        self.assertEqual((set(ids(page) + ids(rest)), rest["next_cursor"]), ({first, second}, None))
        stranger = self.organization(RENTER)
        self.assertEqual(stranger.get("/v1/artifacts")["items"], [])
        self.assert_problem(stranger.call("GET", f"/v1/artifacts/{first}/missing-parts"), 404, "not_found")

    def test_a_wrong_hash_and_its_repair(self):
        made = self.state_artifact(b"right")
        path = "/v1/artifacts/" + made["id"]
        self.renter.expect(204, "PUT", path + "/parts/0", b"wrong")
        self.assert_problem(self.renter.call("POST", path + "/complete", {}), 422, "hash_mismatch")
        self.assertEqual(self.renter.get(path)["state"], "uploading")
        self.renter.expect(204, "PUT", path + "/parts/0", b"right")
        self.assertEqual(self.renter.post(path + "/complete")["state"], "complete")

    def test_an_empty_artifact_and_one_of_exactly_one_part(self):
        empty = self.state_artifact(b"")["id"]
        self.assertEqual(self.renter.post(f"/v1/artifacts/{empty}/complete")["state"], "complete")
        self.assert_problem(self.renter.call("GET", f"/v1/artifacts/{empty}/parts/0"), 404, "not_found")
        full = self.state_artifact(bytes(MIB))["id"]
        self.renter.expect(204, "PUT", f"/v1/artifacts/{full}/parts/0", bytes(MIB))
        self.assertEqual(self.renter.post(f"/v1/artifacts/{full}/complete")["state"], "complete")
        reply = self.renter.call("PUT", f"/v1/artifacts/{full}/parts/0", bytes(MIB + 1))
        self.assert_problem(reply, 413, "body_too_large")

    def test_artifacts_have_a_limit_together(self):
        body = {"name": "big", "bytes": 256 * MIB, "sha256": "0" * 64}
        for _ in range(16):
            self.renter.post("/v1/artifacts", body, 201)
        self.assert_problem(self.renter.call("POST", "/v1/artifacts", {**body, "bytes": 1}), 409, "limit_reached")
        self.renter.post("/v1/artifacts", {**body, "bytes": 0}, 201)

    # --- pages

    def test_pages_newest_first_while_orders_are_added(self):
        body = {"requirements": {"products": ["none"]}, "term_ms": HOUR, "price_max_micros_per_hour": 1}
        placed = [self.renter.post("/v1/orders", {**body, "job": self.job()}, 201) for _ in range(7)]
        for kind in ("order", "job"):
            before = [one["id"] for one in self.renter.items(f"/v1/{kind}s")]
            self.assertEqual(sorted(before[-7:]), sorted(one[kind]["id"] for one in placed))
            found, cursor = [], ""
            while True:
                page = self.renter.get(f"/v1/{kind}s?limit=3{cursor}")
                found += [one["id"] for one in page["items"]]
                if page["next_cursor"] is None:
                    break
                cursor = "&cursor=" + page["next_cursor"]
                self.renter.post("/v1/orders", {**body, "job": self.job()}, 201)
            self.assertEqual(found, before)


if __name__ == "__main__":
    run_tests()
