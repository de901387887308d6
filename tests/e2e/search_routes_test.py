"""Searching with a query: what is found, in pages, in which order; what is refused; and explanations."""
from urllib.parse import quote_plus

from routes_fixture import HOUR, RENTER, SELLER, RoutesTest, run_tests

USD = 1_000_000


class SearchRoutes(RoutesTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller = cls.organization(SELLER)
        cls.farm = cls.host(cls.seller, cards=12)
        cls.cards = [card["id"] for card in cls.farm.cards]
        cls.cheap = cls.listing(cls.seller, cls.farm, cls.cards[:5], ask=USD)
        cls.dear = cls.listing(cls.seller, cls.farm, cls.cards[5:], ask=3 * USD)

    def setUp(self):
        self.renter = self.organization(RENTER, 1000 * USD)

    def own(self, text=""):
        return f"seller = {self.seller.organization}" + (f" and {text}" if text else "")

    def search(self, query, **options):
        extra = "".join(f"&{name}={value}" for name, value in options.items())
        return self.renter.get(f"/v1/search?q={quote_plus(query)}{extra}")

    def pages(self, query, limit, **options):
        found, cursor = [], {}
        while True:
            page = self.search(query, limit=limit, **cursor, **options)
            found += page["items"]
            self.assertLessEqual(len(page["items"]), limit)
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}

    def test_cards_are_found_in_order_with_facets(self):
        page = self.search(self.own())
        self.assertEqual([item["card"] for item in page["items"][:5]], sorted(self.cards[:5]))
        self.assertEqual([item["card"] for item in page["items"][5:]], sorted(self.cards[5:]))
        self.assertEqual((page["total"], page["next_cursor"]), (12, None))
        first = page["items"][0]
        self.assertEqual((first["listing"], first["host"], first["price"], first["free"], first["free_cards"],
                          first["cards"], first["country"], first["cuda"]),
                         (self.cheap["id"], self.farm.id, USD, True, 5, 5, "DE", None))
        self.assertEqual(page["facets"]["country"], [{"value": "DE", "count": 12, "price_min_micros_per_hour": USD,
                                                      "price_max_micros_per_hour": 3 * USD}])
        for query, wanted in (("price < 2", 5), ("price between 2 and 4", 7), ("country = FR", 0), ("free", 12),
                              ("class = GPU and vram >= 1GiB", 12), ("price > 2 limit 2", 2), ("vram is unknown", 0)):
            with self.subTest(query=query):
                self.assertEqual(len(self.search(self.own(query))["items"]), wanted)
        self.assertEqual([item["price"] for item in self.search(self.own() + " order by price desc limit 1")["items"]],
                         [3 * USD])

    def test_pages_hold_while_the_market_changes(self):
        whole = [item["card"] for item in self.search(self.own())["items"]]
        self.assertEqual([item["card"] for item in self.pages(self.own(), 5)], whole)
        self.assertEqual(len(self.pages(self.own() + " limit 7", 3)), 7)
        page = self.search(self.own(), limit=3, all="true")
        rented = self.rent(self.renter, self.dear)["lease"]
        seen = [item["card"] for item in page["items"]]
        while page["next_cursor"]:
            page = self.search(self.own(), limit=3, all="true", cursor=page["next_cursor"])
            self.assertEqual((page["total"], page["facets"]), (None, None))
            seen += [item["card"] for item in page["items"]]
        # The listing whose card was leased counts its free cards: all its cards have changed.
        self.assertEqual(sorted(seen), sorted(self.cards[:5]))
        self.assertEqual(len(self.search(self.own())["items"]), 11)
        self.assertEqual([item["card"] for item in self.search(self.own("not free"), all="true")["items"]],
                         rented["card_ids"])
        taken = self.farm.take(rented["id"])
        self.renter.post(f"/v1/leases/{rented['id']}/end")
        taken.gone()
        self.assertEqual(len(self.search(self.own())["items"]), 12)

    def test_what_is_refused(self):
        cursor = self.search(self.own(), limit=1)["next_cursor"]
        rows = [("q=" + quote_plus("vrm > 1GiB"), "invalid_field", "query:q"), ("q=vram", "invalid_field", "query:q"),
                ("all=maybe", "invalid_field", "query:all"), ("limit=0", "invalid_field", "query:limit"),
                ("cursor=x", "invalid_cursor", "query:cursor"), ("cursor=" + cursor, "invalid_cursor", "query:cursor"),
                ("query=free", "unknown_field", "query:query")]
        for query, code, pointer in rows:
            with self.subTest(query=query):
                self.assert_problem(self.renter.call("GET", "/v1/search?" + query), 422, code, pointer)
        refused = self.renter.call("GET", "/v1/search?q=" + quote_plus("free and vrm > 1GiB"))
        self.assertEqual(refused.body["detail"], 'At character 10: There is no field "vrm"; did you mean "vram"?')
        self.assert_problem(self.renter.call("GET", "/v1/explain?q=" + quote_plus("price > lots")), 422,
                            "invalid_field", "query:q")

    def test_saved_searches(self):
        colleague = self.key_with(self.renter.organization, ["seller:read"], "colleague")
        query = self.own("price < 2") + " order by card desc"
        made = self.renter.post("/v1/saved-searches", {"name": "cheap & near", "query": query}, 201)
        self.assertEqual((made["name"], made["query"], made["organization_id"]),
                         ("cheap & near", query, self.renter.organization))
        other = self.renter.post("/v1/saved-searches", {"name": "all", "query": self.own()}, 201)
        self.assertCountEqual(self.renter.items("/v1/saved-searches", limit=1), [other, made])
        # Any key of the organization runs it, in pages as if the query itself were given.
        path = "/v1/search?saved=cheap+%26+near"
        first = colleague.get(path + "&limit=3")
        self.assertEqual([item["card"] for item in first["items"]], sorted(self.cards[:5], reverse=True)[:3])
        rest = self.renter.get(f"{path}&limit=3&cursor={first['next_cursor']}")
        self.assertEqual([item["card"] for item in rest["items"]], sorted(self.cards[:5], reverse=True)[3:])
        asked = self.renter.get("/v1/explain?saved=all")
        self.assertEqual(asked["left"], 12)
        rows = [({"name": "all", "query": "free"}, 409, "name_taken", "/name"),
                ({"name": "x", "query": "vrm > 1GiB"}, 422, "invalid_field", "/query"),
                ({"name": "x", "query": ""}, 422, "invalid_field", "/query"),
                ({"name": "x", "query": "free or " * 300 + "free"}, 422, "invalid_field", "/query"),
                ({"name": " x", "query": "free"}, 422, "invalid_field", "/name"),
                ({"name": "x"}, 422, "missing_field", "/query")]
        self.assert_rows(rows, lambda body: self.renter.call("POST", "/v1/saved-searches", body))
        refused = self.renter.call("POST", "/v1/saved-searches", {"name": "x", "query": "free and vrm > 1GiB"})
        self.assertEqual(refused.body["detail"], 'At character 10: There is no field "vrm"; did you mean "vram"?')
        self.assert_problem(self.renter.call("GET", "/v1/search?saved=none"), 404, "not_found", "query:saved")
        self.assert_problem(self.renter.call("GET", "/v1/search?saved=all&q=free"), 422, "invalid_field", "query:saved")
        stranger = self.organization(RENTER)
        self.assert_problem(stranger.call("GET", "/v1/search?saved=all"), 404, "not_found", "query:saved")
        self.assert_problem(stranger.call("GET", "/v1/explain?saved=all"), 404, "not_found", "query:saved")
        self.assert_problem(stranger.call("DELETE", "/v1/saved-searches/" + other["id"]), 404, "not_found")
        stranger.post("/v1/saved-searches", {"name": "all", "query": "free"}, 201)
        self.renter.expect(204, "DELETE", "/v1/saved-searches/" + other["id"])
        self.assert_problem(self.renter.call("DELETE", "/v1/saved-searches/" + other["id"]), 404, "not_found")
        self.assertEqual(self.renter.get("/v1/saved-searches")["items"], [made])
        kinds = [event["type"] for event in self.renter.items("/v1/events") if "saved_search" in event["type"]]
        self.assertEqual(kinds, ["saved_search.created", "saved_search.created", "saved_search.deleted"])

    def test_the_fields(self):
        fields = self.renter.get("/v1/search/fields")
        self.assertIn("| `vram` |", fields["reference"])
        self.assertEqual(set(field["name"] for field in fields["fields"]), set(self.search("limit 1")["items"][0]))

    def test_an_order_with_a_query(self):
        body = {"requirements": {"query": self.own("price > 2")}, "price_max_micros_per_hour": 9 * USD, "term_ms": HOUR}
        placed = self.renter.post("/v1/orders", body, 201)
        self.assertEqual(placed["lease"]["listing_id"], self.dear["id"])
        self.assertEqual(self.renter.get("/v1/orders/" + placed["order"]["id"]), placed["order"])
        self.assertEqual(placed["order"]["requirements"]["query"], self.own("price > 2"))
        explained = self.renter.get(f"/v1/orders/{placed['order']['id']}/explain")
        self.assertEqual((explained["chosen"]["listing_id"], explained["chosen"]["price_micros_per_hour"]),
                         (self.dear["id"], 3 * USD))
        self.assertIn(explained["chosen"]["because"], ("price", "fragmentation", "lowest_id"))
        taken = self.farm.take(placed["lease"]["id"])
        self.renter.post(f"/v1/leases/{placed['lease']['id']}/end")
        taken.gone()
        self.assert_problem(self.renter.call("POST", "/v1/orders", {**body, "requirements": {"query": "pric > 2"}}),
                            422, "invalid_field", "/requirements/query")

    def test_explanations(self):
        body = {"requirements": {"query": self.own("country = DE")}, "price_max_micros_per_hour": USD // 2,
                "term_ms": HOUR}
        standing = self.renter.post("/v1/orders", body, 201)["order"]
        explained = self.renter.get(f"/v1/orders/{standing['id']}/explain")
        self.assertEqual(explained["left"], 0)
        change = next(c for c in explained["changes"] if c["constraint"] == "price")
        self.assertEqual((change["was"], change["now"], change["price_micros_per_hour"], change["cost_micros"]),
                         ("$0.50/h", "$1.00/h", USD, USD))
        # A fill-or-kill says the same, and the change, applied, is filled at the stated price.
        refused = self.renter.call("POST", "/v1/orders", {**body, "fill_or_kill": True})
        self.assert_problem(refused, 409, "no_match")
        told = next(c for c in refused.body["explanation"]["changes"] if c["constraint"] == "price")
        better = {name: told[name] for name in ("requirements", "count", "price_max_micros_per_hour", "term_ms")}
        placed = self.renter.post("/v1/orders", {**better, "fill_or_kill": True}, 201)
        self.assertEqual((placed["lease"]["listing_id"], placed["lease"]["price_micros_per_hour"]),
                         (told["listing_id"], told["price_micros_per_hour"]))
        taken = self.farm.take(placed["lease"]["id"])
        self.renter.post(f"/v1/leases/{placed['lease']['id']}/end")
        taken.gone()
        self.renter.post(f"/v1/orders/{standing['id']}/cancel")
        asked = self.renter.get("/v1/explain?q=" + quote_plus(self.own("price < 0.5 and free")))
        by = {count["condition"] or count["constraint"]: count for count in asked["constraints"]}
        self.assertEqual((by["price < 0.5"]["removed"], by["price < 0.5"]["alone"]), (12, asked["cards"]))
        self.assertEqual(asked["changes"][0]["now"], "price <= $1.00/h")
        stranger = self.organization(RENTER)
        self.assert_problem(stranger.call("GET", f"/v1/orders/{standing['id']}/explain"), 404, "not_found")


if __name__ == "__main__":
    run_tests()
