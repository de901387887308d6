#!/usr/bin/env python3
"""The card catalog over the API, and what it says of cards and listings."""
from routes_fixture import RENTER, SELLER, RoutesTest, run_tests


class CatalogTest(RoutesTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller = cls.organization(SELLER)
        cls.renter = cls.organization(RENTER)

    def test_the_whole_catalog_in_pages(self):
        first = self.renter.get("/v1/catalog?limit=7")
        self.assertEqual(len(first["items"]), 7)
        models = list(first["items"])
        cursor = first["next_cursor"]
        while cursor:
            page = self.renter.get(f"/v1/catalog?limit=7&cursor={cursor}")
            models += page["items"]
            cursor = page["next_cursor"]
        slugs = [model["model"] for model in models]
        self.assertEqual(slugs, sorted(set(slugs)))
        self.assertGreaterEqual(len(slugs), 60)
        for slug in ("rtx-4090", "rtx-4090d", "h100-sxm", "mi300x", "arc-a770"):
            self.assertEqual(self.renter.get("/v1/catalog/" + slug), models[slugs.index(slug)])

    def test_one_maker(self):
        items = self.renter.get("/v1/catalog?maker=intel&limit=100")["items"]
        self.assertEqual({model["maker"] for model in items}, {"intel"})

    def test_what_is_not_there(self):
        self.assert_problem(self.renter.call("GET", "/v1/catalog/rtx-9999"), 404, "not_found")
        for query, pointer in (("maker=acme", "query:maker"), ("limit=0", "query:limit")):
            self.assert_problem(self.renter.call("GET", "/v1/catalog?" + query), 422, "invalid_field", pointer)
        self.assert_problem(self.renter.call("GET", "/v1/catalog?model=x"), 422, "unknown_field", "query:model")
        self.assert_problem(self.renter.call("GET", "/v1/catalog?cursor=zz"), 422, "invalid_cursor", "query:cursor")

    def test_a_card_has_its_model_and_class(self):
        rows = [("NVIDIA GeForce RTX 4090 D", 24 << 30, "rtx-4090d", "stock"),
                ("NVIDIA GeForce RTX 4090 D", 48 << 30, "rtx-4090d", "modified"),
                ("A card nobody has", 8 << 30, None, None)]
        for product, vram, model, verification_class in rows:
            host = self.host(self.seller, product=product, vram_bytes=vram)
            card, = self.seller.get(f"/v1/hosts/{host.id}/cards")["items"]
            self.assertEqual((card["model"], card["verification_class"]), (model, verification_class))
            listing = self.listing(self.seller, host, [card["id"]])
            self.assertEqual((listing["model"], listing["verification_class"]), (model, verification_class))


if __name__ == "__main__":
    run_tests()
