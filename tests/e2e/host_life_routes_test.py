"""How a host leaves the market, as its seller asks for it; and what renters' unpaid starts come to."""
import datetime

from routes_fixture import RENTER, SELLER, RoutesTest, run_tests
from simulated_host import BOOT, CLAIMS, reported_cards

HOUR = 3_600_000


def moment(ms):
    """So many milliseconds from now, as the API writes a time."""
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(milliseconds=ms)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


class HostLife(RoutesTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller = cls.organization(SELLER)
        cls.renter = cls.organization(RENTER, 10**9)

    def window(self, begin, end):
        return {"from": moment(begin), "until": moment(end), "reason": "a new fan"}

    def test_maintenance_keeps_new_leases_out_and_tells_running_ones(self):
        host = self.host(self.seller, cards=2)
        path = f"/v1/hosts/{host.id}"
        listing = self.listing(self.seller, host, reclaim_notice_ms=0)
        lease = self.rent(self.renter, listing, job=self.job(), term_ms=10 * HOUR)["lease"]
        taken = host.take(lease["id"])
        taken.start()
        window = self.window(2 * HOUR, 3 * HOUR)
        shown = self.seller.post(path + "/maintenance", window)
        self.assertEqual(shown["maintenance"], window)
        self.assertEqual(self.renter.get("/v1/leases/" + lease["id"])["maintenance_at"], window["from"])
        told, = [event for event in self.renter.items("/v1/events") if event["type"] == "lease.maintenance_announced"]
        self.assertEqual((told["object"]["id"], told["data"]["maintenance_at"] is None), (lease["id"], False))
        self.assertEqual(host.desired_lease(lease["id"])["run_until"], window["from"])
        body = self.order_body(listing, fill_or_kill=True)
        self.assert_problem(self.renter.call("POST", "/v1/orders", {**body, "term_ms": 4 * HOUR}), 409, "no_match")
        short = self.renter.post("/v1/orders", {**body, "term_ms": HOUR}, 201)["lease"]
        self.assertLess(short["ends_by"], window["from"])
        self.assert_problem(self.seller.call("POST", path + "/maintenance", self.window(HOUR, 2 * HOUR)), 409,
                            "wrong_state")
        self.assertEqual(self.seller.call("DELETE", path + "/maintenance").status, 204)
        self.assertIsNone(self.seller.get(path)["maintenance"])
        self.assertIsNone(self.renter.get("/v1/leases/" + lease["id"])["maintenance_at"])
        self.assert_problem(self.seller.call("DELETE", path + "/maintenance"), 409, "wrong_state")

    def test_maintenance_stops_what_runs_with_its_own_reason(self):
        host = self.host(self.seller)
        listing = self.listing(self.seller, host, reclaim_notice_ms=0)
        placed = self.rent(self.renter, listing, job=self.job(attempts_max=2), term_ms=10 * HOUR)
        taken = host.take(placed["lease"]["id"])
        taken.start()
        self.seller.post(f"/v1/hosts/{host.id}/maintenance", self.window(1500, 60_000))
        self.world.until(lambda: self.renter.get("/v1/leases/" + placed["lease"]["id"])["stop_reason"] ==
                         "host_maintenance", "the lease to be told", 20)
        taken.report("exited", exit_code=143, oom_killed=False, duration_exceeded=False, stop="wanted")
        taken.gone()
        self.assertEqual(self.renter.get("/v1/leases/" + placed["lease"]["id"])["end_reason"], "host_maintenance")
        self.assertEqual(self.renter.get("/v1/jobs/" + placed["job"]["id"])["state"], "queued")

    def test_a_wrong_window_is_refused_with_its_field(self):
        host = self.host(self.seller)
        path = f"/v1/hosts/{host.id}/maintenance"
        good = self.window(HOUR, 2 * HOUR)
        for change, code, pointer in (
                ({"from": moment(-HOUR)}, "invalid_field", "/from"),
                ({"until": good["from"]}, "invalid_field", "/until"),
                ({"until": moment(40 * 24 * HOUR)}, "invalid_field", "/until"),
                ({"reason": ""}, "invalid_field", "/reason"),
                ({"reason": "r" * 201}, "invalid_field", "/reason"),
                ({"from": "tomorrow"}, "invalid_field", "/from"),
                ({"extra": 1}, "unknown_field", "/extra")):
            with self.subTest(change=change):
                self.assert_problem(self.seller.call("POST", path, {**good, **change}), 422, code, pointer)
        self.assert_problem(self.renter.call("POST", path, good), 403, "scope_missing")
        other = self.organization(SELLER)
        self.assert_problem(other.call("POST", path, good), 404, "not_found")

    def test_a_retiring_host_keeps_its_history(self):
        host = self.host(self.seller)
        listing = self.listing(self.seller, host)
        lease = self.rent(self.renter, listing, job=self.job())["lease"]
        taken = host.take(lease["id"])
        taken.start()
        shown = self.seller.post(f"/v1/hosts/{host.id}/retire")
        self.assertEqual((shown["state"], shown["retiring"]), ("draining", True))
        taken.exit(0)
        taken.gone()
        shown = self.seller.get(f"/v1/hosts/{host.id}")
        self.assertEqual((shown["state"], shown["retiring"]), ("retired", False))
        self.assertEqual(self.seller.get("/v1/listings/" + listing["id"])["state"], "withdrawn")
        self.assertEqual(self.renter.get("/v1/leases/" + lease["id"])["end_reason"], "completed")
        self.assertEqual(len(self.seller.items(f"/v1/hosts/{host.id}/cards")), 1)
        self.world.until(lambda: host.call("GET", "/v1/agent/desired?wait_ms=0").status == 401,
                         "the certificate to be refused", 5)

    def test_unpaid_starts_are_shown_to_the_seller_and_limited(self):
        host = self.host(self.seller)
        listing = self.listing(self.seller, host)
        renter = self.organization(RENTER, 10**9)
        path = f"/v1/hosts/{host.id}/failed-starts"
        self.assertEqual(self.seller.get(path)["renters"], [])
        for number in range(20):
            lease = self.rent(renter, listing, job=self.job())["lease"]
            taken = host.take(lease["id"])
            taken.accept()
            taken.fail("image_pull_failed" if number < 12 else "start_failed")
            taken.gone()
        shown, = self.seller.get(path)["renters"]
        self.assertEqual((shown["organization_id"], shown["failed_starts"], shown["failed_pulls"]),
                         (renter.organization, 20, 12))
        self.assertEqual(shown["last_reason"], "start_failed")
        body = self.order_body(listing, fill_or_kill=True, job=self.job())
        self.assert_problem(renter.call("POST", "/v1/orders", body), 429, "rate_limited")
        self.assertEqual(self.rent(self.renter, listing, job=self.job())["lease"]["state"], "allocated")
        self.assert_problem(self.renter.call("GET", path), 403, "scope_missing")
        self.assert_problem(self.organization(SELLER).call("GET", path), 404, "not_found")

    def test_what_an_agent_says_of_network_and_storage_is_shown_and_found(self):
        host = self.host(self.seller)
        host.expect(200, "PUT", "/v1/agent/inventory",
                    {"boot_id": BOOT, **CLAIMS, "guest_network": "internet", "working_storage": "encrypted",
                     "cards": reported_cards("said", 1)})
        shown = self.seller.get(f"/v1/hosts/{host.id}")
        self.assertEqual((shown["guest_network"], shown["working_storage"]), ("internet", "encrypted"))
        card, = [card for card in self.seller.items(f"/v1/hosts/{host.id}/cards") if card["state"] == "present"]
        self.listing(self.seller, host, [card["id"]])
        query = f"host+%3D+{host.id}+and+guest_network+%3D+internet+and+working_storage+%3D+encrypted"
        self.assertEqual(len(self.renter.get("/v1/search?q=" + query)["items"]), 1)


if __name__ == "__main__":
    run_tests()
