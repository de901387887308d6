"""A host falls silent: what was proved is paid and no more, the job moves on, the cards wait for the host's word."""
from routes_fixture import RENTER, SELLER, RoutesTest, run_tests
from world import Events

DEPOSIT = 1_000_000_000
PER_MS = 3_600_000


class LostHosts(RoutesTest):
    settings = ("heartbeat_interval_ms=500", "heartbeat_timeout_ms=200", "fence_ms=1500", "kill_ms=500",
                "host_lost_ms=5000", "host_lost_declared_ms=6000")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller = cls.organization(SELLER)
        cls.renter = cls.organization(RENTER, DEPOSIT)

    def wait(self, events, kind, object_id):
        return events.wait(lambda e: e["type"] == kind and e["object"]["id"] == object_id, f"{kind} of {object_id}")

    def test_a_host_is_lost_and_comes_back(self):
        first, second = self.host(self.seller, cards=2), self.host(self.seller)
        stop_beating = [host.beat_regularly(0.5) for host in (first, second)]
        offer = self.listing(self.seller, first, ask=PER_MS)
        self.listing(self.seller, second, ask=2 * PER_MS)
        events = Events(self.world, self.renter.key)
        self.addCleanup(events.close)
        body = {"price_max_micros_per_hour": 3 * PER_MS, "term_ms": 600_000, "fill_or_kill": True}
        placed = self.renter.post("/v1/orders", {**body, "job": self.job(attempts_max=2)}, 201)  # on the cheaper host
        rental = self.renter.post("/v1/orders", {**body, "requirements": {"listing_id": offer["id"]}}, 201)
        lost, kept = first.take(placed["lease"]["id"]), rental["lease"]["id"]
        lost.start()
        lost.use(200)
        self.renter.post(f"/v1/leases/{kept}/job", self.job(), 201)
        kept = first.take(kept)
        # The rental's cards go to nobody for ten minutes after the loss, and its fence falls that much later.
        self.assertEqual((lost.desired["fence_ms"], kept.desired["fence_ms"]), (1500, 1500 + 600_000))
        kept.start()
        kept.use(100)

        stop_beating[0]()
        ended = self.wait(events, "lease.ended", lost.id)["data"]
        self.assertEqual((ended["end_reason"], ended["running_ms"], ended["charged_micros"], ended["held_micros"]),
                         ("host_lost", 200, 200, 0))
        self.assertEqual(self.seller.get("/v1/hosts/" + first.id)["state"], "unreachable")
        self.assertEqual(self.renter.get("/v1/listings/" + offer["id"])["cards_free"], 0)  # until its word
        self.wait(events, "lease.host_silent", kept.id)  # a rental of its own outlives the silence
        self.assertEqual(self.renter.get("/v1/leases/" + kept.id)["state"], "running")

        job = self.renter.get("/v1/jobs/" + placed["job"]["id"])
        self.assertEqual((job["state"], job["attempts"]), ("assigned", 2))
        moved = second.take(job["lease_id"])
        self.assertEqual((moved.desired["attempt"], moved.desired["job_id"]), (2, job["id"]))
        moved.start()
        moved.use(300, final=True)
        moved.exit(0)
        moved.gone()
        self.assertEqual(self.renter.get("/v1/jobs/" + job["id"])["state"], "succeeded")

        stop_beating.append(first.beat_regularly(0.5))
        self.wait(events, "lease.host_back", kept.id)
        desired = {lease["lease_id"]: lease["want"] for lease in first.desired()["leases"]}
        self.assertEqual(desired, {lost.id: "stop", kept.id: "run"})
        self.assert_problem(lost.state_usage(lost.statement(400)), 409, "wrong_state")  # too late
        lost.gone()
        self.assertEqual(self.renter.get("/v1/listings/" + offer["id"])["cards_free"], 1)
        kept.use(150)
        kept.exit(0)
        kept.gone()
        receipt = self.renter.get(f"/v1/leases/{lost.id}/receipt")
        self.assertIn("\nend_reason: host_lost\nsegment: 3600000 200\nrunning_ms: 200\n", receipt["receipt"])
        self.assertEqual(self.balances(self.renter), (DEPOSIT - 200 - 600 - 150, 0, 0))
        self.assert_ledger_proved()
        for stop in stop_beating[1:]:
            stop()


if __name__ == "__main__":
    run_tests()
