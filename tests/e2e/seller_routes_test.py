"""What sellers do: hosts through their states, listings and terms, search, pages that hold while rows are added."""
from routes_fixture import HOUR, RENTER, SELLER, RoutesTest, run_tests
from simulated_host import SimulatedHost

DAY = 24 * HOUR


class Sellers(RoutesTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller = cls.organization(SELLER)
        cls.farm = cls.host(cls.seller, cards=100)
        cls.cards = iter([card["id"] for card in cls.farm.cards])
        cls.renter = cls.organization(RENTER, 10**13)

    def take_cards(self, count):
        return [next(self.cards) for _ in range(count)]

    def offer(self, count=1, **terms):
        return self.listing(self.seller, self.farm, self.take_cards(count), **terms)

    def change(self, listing, body, version):
        return self.seller.call("PATCH", "/v1/listings/" + listing["id"], body, headers={"If-Match": f'"{version}"'})

    # --- hosts

    def test_a_host_as_its_owner_sees_it(self):
        host = self.seller.get("/v1/hosts/" + self.farm.id)
        self.assertEqual((host["id"], host["organization_id"], host["name"], host["state"], host["country"],
                          host["runtime"], host["engine"], host["cpu_cores"], host["memory_bytes"]),
                         (self.farm.id, self.seller.organization, self.farm.name, "online", "DE", "runc", "none", 2,
                          1 << 30))
        self.assertEqual(host["signing_key"], self.keys.public)

    def test_an_etag_saves_the_body(self):
        listing = self.offer()
        for path in ("/v1/hosts/" + self.farm.id, "/v1/listings/" + listing["id"]):
            first = self.seller.call("GET", path)
            etag = first.headers["ETag"]
            self.assertEqual(etag, f'"{first.body["version"]}"')
            for known in (etag, f'"0", {etag}', "W/" + etag, "*"):
                reply = self.seller.call("GET", path, headers={"If-None-Match": known})
                self.assertEqual((reply.status, reply.raw, reply.headers["ETag"]), (304, b"", etag))
            for other in ('"0"', f'"{first.body["version"] + 1}"', "nonsense"):
                self.assertEqual(self.seller.call("GET", path, headers={"If-None-Match": other}).status, 200)

    def test_a_host_through_its_states(self):
        host = self.host(self.seller)
        path = f"/v1/hosts/{host.id}"
        listing = self.listing(self.seller, host)
        order = self.order_body(listing)
        steps = [("resume", 409, "online", 201), ("drain", 200, "draining", 409), ("drain", 409, "draining", 409),
                 ("resume", 200, "online", 201), ("resume", 409, "online", None),
                 ("retire", 200, "draining", None), ("retire", 409, "draining", None)]
        for action, status, state, ordered in steps:
            with self.subTest(action=action, state=state):
                before = self.seller.get(path)
                reply = self.seller.call("POST", f"{path}/{action}", {})
                self.assertEqual(reply.status, status, reply)
                after = self.seller.get(path)
                self.assertEqual(after["state"], state)
                self.assertEqual(after["version"] - before["version"], 1 if status == 200 else 0)
                if status == 409:
                    self.assertEqual(reply.code, "wrong_state")
            if ordered == 201:
                lease = self.renter.post("/v1/orders", order, 201)["lease"]["id"]
                if action == "resume" and status == 409:
                    self.renter.post(f"/v1/leases/{lease}/end")
                    taken = host.desired_lease(lease)
                    host.expect(200, "POST", f"/v1/agent/leases/{lease}/report",
                                {"lease_epoch": taken["lease_epoch"], "phase": "gone"})
            elif ordered == 409:
                self.assert_problem(self.renter.call("POST", "/v1/orders", order), 409, "no_match")
        self.renter.post(f"/v1/leases/{lease}/end")
        taken = host.desired_lease(lease)
        host.expect(200, "POST", f"/v1/agent/leases/{lease}/report", {"lease_epoch": taken["lease_epoch"],
                                                                      "phase": "gone"})
        self.assertEqual(self.seller.get(path)["state"], "retired")
        self.assertEqual(self.seller.get("/v1/listings/" + listing["id"])["state"], "withdrawn")
        for action in ("drain", "resume", "retire"):
            self.assert_problem(self.seller.call("POST", f"{path}/{action}", {}), 409, "wrong_state")
        self.assert_problem(self.seller.call("POST", "/v1/listings", {
            "host_id": host.id, "card_ids": [host.cards[0]["id"]], "ask_micros_per_hour": 1}), 409, "wrong_state",
            "/host_id")

    def test_a_host_that_never_came_online_can_only_be_retired(self):
        host = self.host(self.seller, online=False)
        for action in ("drain", "resume"):
            self.assert_problem(self.seller.call("POST", f"/v1/hosts/{host.id}/{action}", {}), 409, "wrong_state")
        self.assertEqual(self.seller.post(f"/v1/hosts/{host.id}/retire")["state"], "retired")

    # --- listings

    def test_a_listing_with_its_defaults(self):
        cards = self.take_cards(3)
        made = self.seller.call("POST", "/v1/listings", {"host_id": self.farm.id, "card_ids": cards,
                                                         "ask_micros_per_hour": 1_900_000})
        self.assertEqual((made.status, made.headers["ETag"]), (201, '"1"'))
        listing = made.body
        wanted = {"organization_id": self.seller.organization, "host_id": self.farm.id, "card_ids": cards,
                  "state": "open", "paused_by": None, "ask_micros_per_hour": 1_900_000, "term_min_ms": 60_000,
                  "term_max_ms": 30 * DAY,
                  "reclaim_notice_ms": 60_000, "bundle_min": 1, "available_from": None, "available_until": None,
                  "version": 1, "product": "Simulated 80G", "device_class": "gpu", "vram_bytes": 80 << 30,
                  "country": "DE", "runtime": "runc", "cards_total": 3, "cards_free": 3,
                  "share_min_thousandths": 1000, "thousandths_free": 3000,
                  "windows": [], "windows_utc_offset_minutes": 0, "images_allowed": [], "renters_allowed": [],
                  "renters_blocked": []}
        self.assertEqual({name: listing[name] for name in wanted}, wanted)
        self.assertEqual(self.seller.get("/v1/listings/" + listing["id"]), listing)
        self.assertEqual(self.renter.get("/v1/listings/" + listing["id"]),
                         {**listing, "renters_allowed": None, "renters_blocked": None})

    def test_listings_that_cannot_be(self):
        taken = self.offer()
        other = self.host(self.seller, online=False)
        bare = self.host(self.seller, online=False, capacity=None)
        card, = self.take_cards(1)
        good = {"host_id": self.farm.id, "card_ids": [card], "ask_micros_per_hour": 1}
        rows = [({**good, "card_ids": taken["card_ids"]}, 409, "card_already_listed", "/card_ids/0"),
                ({**good, "card_ids": [card, *taken["card_ids"]]}, 409, "card_already_listed", "/card_ids/1"),
                ({**good, "card_ids": [other.cards[0]["id"]]}, 404, "not_found", "/card_ids/0"),
                ({**good, "host_id": bare.id, "card_ids": [bare.cards[0]["id"]]}, 409, "card_not_verified",
                 "/card_ids/0"),
                ({**good, "card_ids": ["card_" + "0" * 26]}, 404, "not_found", "/card_ids/0"),
                ({**good, "host_id": "host_" + "0" * 26}, 404, "not_found", "/host_id"),
                ({**good, "bundle_min": 2}, 422, "invalid_field", "/bundle_min"),
                ({**good, "share_min_thousandths": 0}, 422, "invalid_field", "/share_min_thousandths"),
                ({**good, "term_min_ms": 2 * HOUR, "term_max_ms": HOUR}, 422, "invalid_field", "/term_max_ms"),
                ({**good, "available_from": "2030-01-02T00:00:00.000Z", "available_until": "2030-01-01T00:00:00.000Z"},
                 422, "invalid_field", "/available_until"),
                ({**good, "available_from": "2030-01-01T00:00:00.000Z", "available_until": "2030-01-01T00:00:00.000Z"},
                 422, "invalid_field", "/available_until")]
        self.assert_rows(rows, lambda body: self.seller.call("POST", "/v1/listings", body))
        self.seller.post("/v1/listings", good, 201)

    def test_whom_a_seller_lets_in_and_what_may_run(self):
        allowed, blocked = (self.organization(RENTER, deposit_micros=10**9) for _ in range(2))
        listing = self.offer(4, renters_blocked=[blocked.organization], images_allowed=["registry.example/team/*"])
        path = "/v1/listings/" + listing["id"]
        body = {"requirements": {"listing_id": listing["id"]}, "price_max_micros_per_hour": 10**7, "term_ms": HOUR,
                "fill_or_kill": True}
        job = lambda image: {**body, "job": {"image": image, "max_duration_ms": HOUR}}
        self.assert_problem(blocked.call("POST", "/v1/orders", body), 409, "no_match")
        self.assert_problem(allowed.call("POST", "/v1/orders", job("elsewhere.example/tool")), 409, "no_match")
        lease = allowed.post("/v1/orders", body, 201)["lease"]
        reply = allowed.call("POST", f"/v1/leases/{lease['id']}/job", job("elsewhere.example/tool")["job"])
        self.assert_problem(reply, 422, "invalid_field", "/image")
        allowed.post("/v1/orders", job("registry.example/team/tool:1"), 201)
        self.seller.call("PATCH", path, {"renters_allowed": [blocked.organization], "renters_blocked": []},
                         headers={"If-Match": '"1"'})
        self.assert_problem(allowed.call("POST", "/v1/orders", body), 409, "no_match")
        blocked.post("/v1/orders", body, 201)
        self.assertEqual(self.seller.get(path)["renters_allowed"], [blocked.organization])
        self.assertEqual(self.seller.get("/v1/leases/" + lease["id"])["state"], "allocated")

    def test_many_listings_are_changed_together_or_not_at_all(self):
        seller = self.organization(SELLER)
        host = self.host(seller, cards=3)
        listings = [self.listing(seller, host, [card["id"]]) for card in host.cards]
        ids = [listing["id"] for listing in listings]
        asks = lambda: [seller.get("/v1/listings/" + id)["ask_micros_per_hour"] for id in ids]
        before = asks()
        change = {"filter": {"host_id": host.id, "listing_ids": ids[:2]}, "change": {"ask_micros_per_hour": 77}}
        tried = seller.post("/v1/listing-changes", {**change, "dry_run": True})
        self.assertEqual((tried["dry_run"], [item["id"] for item in tried["items"]]), (True, sorted(ids[:2])))
        self.assertEqual([item["ask_micros_per_hour"] for item in tried["items"]], [77, 77])
        self.assertEqual(asks(), before)
        seller.post("/v1/listing-changes", change)
        self.assertEqual(asks(), [77, 77, before[2]])
        rows = [({"filter": {"listing_ids": ["listing_" + "0" * 26]}, "change": {"state": "open"}}, 404, "not_found",
                 "/filter/listing_ids/0"),
                ({"change": {"term_min_ms": 366 * DAY}}, 422, "invalid_field", "/change/term_min_ms"),
                ({"change": {}}, 422, "missing_field", "/change"),
                ({"filter": {"query": "vrm > 1GiB"}, "change": {"state": "open"}}, 422, "invalid_field",
                 "/filter/query")]
        self.assert_rows(rows, lambda body: seller.call("POST", "/v1/listing-changes", body))
        self.assertEqual(self.renter.call("POST", "/v1/listing-changes", change).status, 403)

    def test_a_change_needs_the_version_it_was_made_for(self):
        listing = self.offer()
        path = "/v1/listings/" + listing["id"]
        reply = self.seller.call("PATCH", path, {"ask_micros_per_hour": 5})
        self.assert_problem(reply, 428, "precondition_required", "header:If-Match")
        self.assert_problem(self.change(listing, {"ask_micros_per_hour": 5}, 2), 412, "precondition_failed",
                            "header:If-Match")
        for header in ("1", "*", '"x"', '"1", "2"', 'W/"1"', '"-1"', '""', '"1'):
            reply = self.seller.call("PATCH", path, {"ask_micros_per_hour": 5}, headers={"If-Match": header})
            self.assert_problem(reply, 422, "invalid_field", "header:If-Match")
        self.assertEqual(self.seller.get(path), listing)
        done = self.change(listing, {"ask_micros_per_hour": 5}, 1)
        self.assertEqual((done.status, done.headers["ETag"], done.body["version"], done.body["ask_micros_per_hour"]),
                         (200, '"2"', 2, 5))
        self.assert_problem(self.change(listing, {"ask_micros_per_hour": 6}, 1), 412, "precondition_failed")
        self.assertEqual(self.seller.get(path), done.body)

    def test_changes_one_by_one(self):
        listing = self.offer(2)
        version = 1
        for body in ({"ask_micros_per_hour": 0}, {"reclaim_notice_ms": 0}, {"term_min_ms": HOUR}, {"term_max_ms": HOUR},
                     {"state": "paused"}, {"state": "paused"}, {"state": "open", "ask_micros_per_hour": 77}):
            done = self.change(listing, body, version)
            self.assertEqual(done.status, 200, done)
            self.assertEqual({name: done.body[name] for name in body}, body)
            version = done.body["version"]
        rows = [({}, 422, "missing_field", None), ({"term_min_ms": 2 * HOUR}, 422, "invalid_field", "/term_min_ms"),
                ({"state": "withdrawn"}, 422, "invalid_field", "/state"),
                ({"card_ids": []}, 422, "unknown_field", "/card_ids"), ({"id": "x"}, 422, "unknown_field", "/id")]
        self.assert_rows(rows, lambda body: self.change(listing, body, version))

    def test_running_leases_keep_their_price(self):
        listing = self.offer(2, ask=3_600_000, reclaim_notice_ms=5000)
        first = self.rent(self.renter, listing, self.job())["lease"]["id"]
        self.change(listing, {"ask_micros_per_hour": 7_200_000, "reclaim_notice_ms": 0}, 1)
        second = self.rent(self.renter, listing, self.job())["lease"]["id"]
        charged = []
        for lease in (first, second):
            taken = self.farm.take(lease)
            taken.start()
            taken.use(10_000)
            row = self.renter.get("/v1/leases/" + lease)
            charged.append((row["price_micros_per_hour"], row["reclaim_notice_ms"], row["charged_micros"]))
        self.assertEqual(charged, [(3_600_000, 5000, 10_000), (7_200_000, 0, 20_000)])

    def test_paused_and_withdrawn_listings_are_not_matched(self):
        listing = self.offer(2)
        running = self.rent(self.renter, listing)["lease"]["id"]
        self.change(listing, {"state": "paused"}, 1)
        self.assert_problem(self.renter.call("POST", "/v1/orders", self.order_body(listing)), 409, "no_match")
        self.assert_problem(self.renter.call("GET", "/v1/listings/" + listing["id"]), 404, "not_found")
        self.change(listing, {"state": "open"}, 2)
        self.rent(self.renter, listing)
        withdrawn = self.seller.post(f"/v1/listings/{listing['id']}/withdraw")
        self.assertEqual((withdrawn["state"], withdrawn["version"]), ("withdrawn", 4))
        self.assertEqual(self.renter.get("/v1/leases/" + running)["state"], "allocated")
        self.assert_problem(self.seller.call("POST", f"/v1/listings/{listing['id']}/withdraw", {}), 409, "wrong_state")
        self.assert_problem(self.change(listing, {"state": "open"}, 4), 409, "wrong_state")
        self.assertEqual(self.listing(self.seller, self.farm, listing["card_ids"])["state"], "open")

    def test_reclaiming_a_lease(self):
        listing = self.offer(3)
        allocated, preparing, running = [self.rent(self.renter, listing, self.job())["lease"]["id"] for _ in range(3)]
        self.farm.take(preparing).accept()
        taken = self.farm.take(running)
        taken.start()
        states = [self.seller.post(f"/v1/leases/{lease}/reclaim")["state"] for lease in (allocated, preparing, running)]
        self.assertEqual(states, ["ended", "reclaiming", "running"])
        for lease in (allocated, preparing):
            self.assert_problem(self.seller.call("POST", f"/v1/leases/{lease}/reclaim", {}), 409, "wrong_state")
        again = self.seller.post(f"/v1/leases/{running}/reclaim")  # the first notice counts
        self.assertEqual(again["reclaim_deadline"], self.renter.get("/v1/leases/" + running)["reclaim_deadline"])
        self.assertEqual(self.renter.get("/v1/leases/" + allocated)["end_reason"], "reclaimed_by_owner")

    # --- search

    def test_search_by_every_filter(self):
        seller = self.organization(SELLER, country="FR")
        number = next(self.numbers)
        host = SimulatedHost(self.world, seller.key, self.keys, f"search-{number}", "PT", contract=self.contract)
        self.addCleanup(host.close)
        small = {"index": 0, "uuid": f"small-{number}", "pci_address": "0000:01:00.0", "product": "Small 8G",
                 "vendor": "V", "device_class": "accelerator", "backend": "opencl", "driver_version": "", "capacity": {
                     "vram_bytes": 8 << 30, "memory_bandwidth_bytes_per_s": 1, "fp32_flops": 1,
                     "measured_at": "2026-01-01T00:00:00.000Z"}}
        big = {**small, "index": 1, "uuid": f"big-{number}", "product": "Big 48G", "device_class": "gpu",
               "capacity": {**small["capacity"], "vram_bytes": 48 << 30}}
        cards = host.put_inventory([small, big])
        mine = {card["product"]: self.listing(seller, host, [card["id"]], ask=ask)["id"]
                for card, ask in zip(cards, (300, 200))}
        one, two = mine["Small 8G"], mine["Big 48G"]
        base = f"/v1/listings?seller_id={seller.organization}"
        rows = [("", [two, one]), ("&product=Small+8G", [one]), ("&product=small+8G", []), ("&device_class=gpu", [two]),
                ("&device_class=cpu", []), (f"&vram_bytes_min={8 << 30}", [two, one]),
                (f"&vram_bytes_min={(8 << 30) + 1}", [two]), (f"&vram_bytes_min={49 << 30}", []),
                ("&country=PT", [two, one]), ("&country=DE", []), ("&price_max_micros_per_hour=299", [two]),
                ("&price_max_micros_per_hour=300", [two, one]), ("&price_max_micros_per_hour=0", []),
                (f"&host_id={host.id}", [two, one]), (f"&host_id={self.farm.id}", []), ("&state=open", [two, one]),
                ("&state=paused", []), ("&country=PT&device_class=accelerator&price_max_micros_per_hour=300", [one])]
        for query, wanted in rows:
            with self.subTest(query=query):
                self.assertEqual([item["id"] for item in self.renter.get(base + query)["items"]], wanted)
        seller.expect(200, "PATCH", "/v1/listings/" + two, {"state": "paused"}, headers={"If-Match": '"1"'})
        self.assertEqual([item["id"] for item in seller.get(base + "&state=paused")["items"]], [two])
        self.assertEqual(self.renter.get(base + "&state=paused")["items"], [])
        self.assertEqual([item["id"] for item in self.renter.get(base)["items"]], [one])

    def test_free_cards_follow_the_leases(self):
        listing = self.offer(3)
        free = lambda: self.renter.get("/v1/listings/" + listing["id"])["cards_free"]
        self.assertEqual(free(), 3)
        lease = self.rent(self.renter, listing, count=2)["lease"]["id"]
        self.assertEqual(free(), 1)
        taken = self.farm.take(lease)
        self.renter.post(f"/v1/leases/{lease}/end")
        self.assertEqual(free(), 1)  # until the host has said that all is gone
        taken.gone()
        self.assertEqual(free(), 3)

    # --- pages

    def test_pages_neither_miss_nor_repeat_while_rows_are_added(self):
        seller = self.organization(SELLER)
        hosts = [self.host(seller, cards=3, online=False) for _ in range(5)]
        before = [host.id for host in reversed(hosts)]
        found, cursor = [], ""
        while True:
            page = seller.get(f"/v1/hosts?limit=2{cursor}")
            found += [host["id"] for host in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = "&cursor=" + page["next_cursor"]
            self.host(seller, online=False)  # newer than all of them: before the first page, never in a later one
        self.assertEqual(found, before)
        self.assertEqual(len(seller.items("/v1/hosts")), 7)
        self.assertEqual([h["id"] for h in seller.items("/v1/hosts", limit=1)],
                         [h["id"] for h in seller.items("/v1/hosts")])

        asks = [500, 100, 300, 300, 100, 900]
        cards = [card["id"] for host in hosts for card in host.cards]
        owner = {card["id"]: host for host in hosts for card in host.cards}
        made = [self.listing(seller, owner[card], [card], ask=ask) for card, ask in zip(cards, asks)]
        wanted = [listing["id"] for listing in sorted(made, key=lambda l: (l["ask_micros_per_hour"], l["id"]))]
        found, cursor, extra = [], "", iter(cards[len(asks):])
        base = f"/v1/listings?seller_id={seller.organization}&limit=2"
        while True:
            page = self.renter.get(base + cursor)
            found += [listing["id"] for listing in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = "&cursor=" + page["next_cursor"]
            card = next(extra)
            self.listing(seller, owner[card], [card], ask=1)  # cheaper than the place where the walk stands
        self.assertEqual(found, wanted)

    def test_cards_come_by_index(self):
        cards = self.seller.items(f"/v1/hosts/{self.farm.id}/cards", limit=7)
        self.assertEqual([card["index"] for card in cards], list(range(100)))
        self.assertEqual(self.seller.get(f"/v1/hosts/{self.farm.id}/cards?limit=100")["next_cursor"], None)

    def test_tokens_have_a_limit(self):
        seller = self.organization(SELLER)
        body = {"name": "h", "country": "DE"}
        for _ in range(100):
            seller.post("/v1/enrollment-tokens", body, 201)
        self.assert_problem(seller.call("POST", "/v1/enrollment-tokens", body), 409, "limit_reached")


if __name__ == "__main__":
    run_tests()
