#!/usr/bin/env python3
"""Prices, trades and outlooks over the API, for a model that nobody else trades here."""
from routes_fixture import RENTER, SELLER, RoutesTest, run_tests

GIB = 1 << 30
PARTIES = {"org_", "lease_", "order_", "host_", "listing_"}


class PricesTest(RoutesTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller = cls.organization(SELLER)
        cls.renter = cls.organization(RENTER, deposit_micros=10**9)
        cls.stranger = cls.organization(RENTER)

    def trade(self, product, vram, asks):
        """A host whose cards are listed one by one, each rented at its ask."""
        host = self.host(self.seller, cards=len(asks) + 1, product=product, vram_bytes=vram)
        cards = [card["id"] for card in host.cards]
        for card, ask in zip(cards, asks):
            self.rent(self.renter, self.listing(self.seller, host, [card], ask=ask))
        self.listing(self.seller, host, [cards[-1]], ask=2_000_000)

    def test_a_modified_card_has_prices_of_its_own(self):
        self.trade("NVIDIA GeForce RTX 4090 D", 48 * GIB, [900_000, 600_000, 1_200_000])
        prices = self.stranger.get("/v1/market/prices/rtx-4090d?vram_gib=48")
        self.assertEqual((prices["trades"], prices["thousandths"], prices["low_micros_per_hour"],
                          prices["high_micros_per_hour"], prices["close_micros_per_hour"],
                          prices["weighted_micros_per_hour"]), (3, 3000, 600_000, 1_200_000, 1_200_000, 900_000))
        self.assertEqual(prices["depth"], [{"ask_micros_per_hour": 2_000_000, "thousandths": 1000, "listings": 1}])
        self.assertEqual(sum(candle["trades"] for candle in prices["candles"]), 3)
        self.assertIn(prices["utilisation_ppm"], range(10**6 + 1))  # when it was sampled is the server's affair
        stock = self.stranger.get("/v1/market/prices/rtx-4090d")
        self.assertEqual((stock["vram_gib"], stock["trades"], stock["depth"]), (24, 0, []))

        path = "/v1/market/prices/rtx-4090d/trades?vram_gib=48"
        trades = self.stranger.items(path, limit=2)
        self.assertEqual([trade["price_micros_per_hour"] for trade in trades], [1_200_000, 600_000, 900_000])
        for reply in (prices, trades):
            self.assertFalse(any(party in str(reply) for party in PARTIES), "prices tell who traded")

        outlook = self.seller.get("/v1/market/prices/rtx-4090d/outlook?vram_gib=48&resale_micros=6000000000"
                                  "&power_price_micros_per_kwh=200000")
        self.assertEqual((outlook["watts"], outlook["watts_from"], outlook["price_from"]), (425, "catalog", "trades"))
        expected = outlook["expected"]
        use = expected["utilisation_ppm"]
        gross = 900_000 * use // 10**6
        net = gross - gross * outlook["fee_ppm"] // 10**6 - 425 * 200_000 // 1000 * use // 10**6
        self.assertEqual(expected["price_micros_per_hour"], 900_000)
        self.assertEqual((expected["net_micros_per_hour"], expected["net_micros_per_month"]), (net, net * 730))
        self.assertEqual(expected["break_even_hours"], -(-6_000_000_000 // net) if net > 0 else None)

    def test_a_market_without_a_trade(self):
        self.assertEqual(self.stranger.get("/v1/market/prices/a2")["candles"], [])
        outlook = self.stranger.get("/v1/market/prices/a2/outlook")
        self.assertEqual((outlook["price_from"], outlook["expected"]), (None, None))
        self.assertEqual(self.stranger.get("/v1/market/prices/a2/trades")["items"], [])

    def test_what_cannot_be_asked(self):
        rows = [("prices/rtx-9999", 404, "not_found", None), ("prices/x/trades", 404, "not_found", None),
                ("prices/x/outlook", 404, "not_found", None),
                ("prices/a2?span=week", 422, "invalid_field", "query:span"),
                ("prices/a2?span=minute&history_ms=604800000", 422, "invalid_field", "query:history_ms"),
                ("prices/a2?vram_gib=0", 422, "invalid_field", "query:vram_gib"),
                ("prices/gh200-96gb/outlook", 422, "missing_field", "query:watts"),
                ("prices/a2/outlook?watts=-1", 422, "invalid_field", "query:watts"),
                ("prices?cursor=zz", 422, "invalid_cursor", "query:cursor")]
        for path, status, code, pointer in rows:
            with self.subTest(path=path):
                self.assert_problem(self.stranger.call("GET", "/v1/market/" + path), status, code, pointer)


if __name__ == "__main__":
    run_tests()
