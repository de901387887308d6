"""What agents tell of hosts and cards, read by the seller and searched by a renter; and what a score follows from."""
import urllib.parse

from routes_fixture import RENTER, SELLER, RoutesTest, run_tests
from simulated_host import BOOT, CLAIMS, reported_cards


class HostFacts(RoutesTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller = cls.organization(SELLER)
        cls.renter = cls.organization(RENTER, 10**9)

    def test_what_is_told_of_host_and_cards_is_kept_and_found(self):
        host = self.host(self.seller, cards=2)
        speed = {"write_bytes_per_s": 10**9, "read_bytes_per_s": 3 * 10**9, "measured_at": "2026-01-01T00:00:00.000Z"}
        network = {"up_bytes_per_s": 5 * 10**6, "down_bytes_per_s": 60 * 10**6,
                   "measured_at": "2026-01-01T00:00:00.000Z"}
        told = {"cpu_model": "EPYC 7763", "cpu_clock_mhz": 3500, "rack": "r7", "disk_speed": speed,
                "network_speed": network}
        cards = reported_cards("facts", 2, clock_mhz=1980, ecc=True, ecc_errors=0, nvlink_links=18,
                               nvlink_bytes_per_s=450 * 10**9, nvlink_group=0,
                               verification={"state": "verified", "reason": None, "at": "2026-01-02T00:00:00.000Z"})
        for card in cards:
            card["capacity"].update(fp16_flops=10**14, to_device_bytes_per_s=50 * 10**9,
                                    from_device_bytes_per_s=40 * 10**9)
        body = {"boot_id": BOOT, **CLAIMS, **told, "cards": cards}
        host.expect(200, "PUT", "/v1/agent/inventory", body)
        shown = self.seller.get("/v1/hosts/" + host.id)
        self.assertEqual({name: shown[name] for name in told}, told)
        self.assertEqual((shown["verification"], shown["reliability_ppm"]), ("verified", 950_000))
        seen = [card for card in self.seller.items(f"/v1/hosts/{host.id}/cards") if card["state"] == "present"]
        for card, reported in zip(seen, cards):
            self.assertEqual({name: card[name] for name in reported}, reported | {"pci_address": None})
        self.seller.expect(201, "POST", "/v1/listings",
                           {"host_id": host.id, "card_ids": [card["id"] for card in seen], "ask_micros_per_hour": 10**6,
                            "term_min_ms": 60_000, "term_max_ms": 86_400_000, "storage_micros_per_gib_month": 720_000})
        query = (f"host = {host.id} and nvlink_group_free >= 2 and pcie_bandwidth = 40GB/s and disk_read > 2GB/s and "
                 "rack = r7 and reliability >= 950000 and verification = verified and cpu_clock > 3000 and "
                 "price_with_100gib = $1.10/h and fp16_measured >= 100TFLOPS and network_up = 5MB/s and "
                 "network_down >= 60MB/s and address_since is unknown")
        found = self.renter.get("/v1/search?q=" + urllib.parse.quote(query))["items"]
        self.assertEqual(len(found), 2)
        refused = {**cards[1], "offered": False,
                   "verification": {"state": "refused", "reason": "it claims 80 GiB, and has 40", "at": None}}
        host.expect(200, "PUT", "/v1/agent/inventory", {**body, "cards": [cards[0], refused]})
        self.assertEqual(self.seller.get("/v1/hosts/" + host.id)["verification"], "refused")
        unexplained = {**refused, "verification": {"state": "refused"}}
        reply = host.call("PUT", "/v1/agent/inventory", {**body, "cards": [cards[0], unexplained]})
        self.assert_problem(reply, 422, "invalid_field", "/cards/1/verification/reason")
        reply = host.call("PUT", "/v1/agent/inventory", {**body, "disk_speed": {"write_bytes_per_s": 1}})
        self.assert_problem(reply, 422, "missing_field", "/disk_speed/read_bytes_per_s")
        reply = host.call("PUT", "/v1/agent/inventory", {**body, "network_speed": {**network, "up_bytes_per_s": -1}})
        self.assert_problem(reply, 422, "invalid_field", "/network_speed/up_bytes_per_s")

    def test_a_runtime_that_nobody_has_seen_is_unknown(self):
        token = self.seller.expect(201, "POST", "/v1/enrollment-tokens", {"name": "early", "country": "DE"})["token"]
        body, agent = self.keys.enrollment(token), self.client(name="new agent")
        reply = agent.call("POST", "/v1/agent/enroll", {**body, "runtime": "rkt"}, idempotency_key=None)
        self.assert_problem(reply, 422, "invalid_field", "/runtime")
        del body["runtime"]
        reply = agent.call("POST", "/v1/agent/enroll", body, idempotency_key=None)
        self.assertEqual(reply.status, 201)
        self.assertEqual(self.seller.get("/v1/hosts/" + reply.body["host_id"])["runtime"], "unknown")

    def test_a_hosts_score_says_what_it_follows_from(self):
        host = self.host(self.seller)
        path = f"/v1/hosts/{host.id}/score"
        hour = 3_600_000
        unknown = {"host_id": host.id, "reliability_ppm": 950_000, "delivered_ms": 0, "lost_ms": 0, "reclaimed_ms": 0,
                   "start_failed_ms": 0, "clipped_ms": 0, "failed_ms": 0, "prior_delivered_ms": 95 * hour,
                   "prior_failed_ms": 5 * hour}
        self.assertEqual(self.seller.get(path), unknown)
        self.assert_problem(self.renter.call("GET", path), 404, "not_found")
        card, = self.seller.items(f"/v1/hosts/{host.id}/cards")
        listing = self.seller.expect(201, "POST", "/v1/listings",
                                     {"host_id": host.id, "card_ids": [card["id"]], "ask_micros_per_hour": 10**6,
                                      "term_min_ms": 60_000, "term_max_ms": 86_400_000})
        self.assertEqual(self.renter.get(path), unknown)
        lease = self.renter.expect(201, "POST", "/v1/orders",
                                   {"requirements": {"listing_id": listing["id"]}, "term_ms": 2 * hour,
                                    "price_max_micros_per_hour": 10**6, "job": self.job()})["lease"]
        taken = host.take(lease["id"])
        taken.accept()
        taken.fail("start_failed")
        taken.gone()
        score = self.renter.get(path)
        self.assertEqual((score["start_failed_ms"], score["failed_ms"]), (600_000, 600_000))
        self.assertEqual(score["reliability_ppm"], 95 * hour * 10**6 // (100 * hour + 600_000))
        self.assertEqual(self.seller.get("/v1/hosts/" + host.id)["reliability_ppm"], score["reliability_ppm"])


if __name__ == "__main__":
    run_tests()
