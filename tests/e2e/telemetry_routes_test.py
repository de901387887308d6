"""What a host may tell of its leases' use, and who reads what of it, spoken by simulated hosts."""
import subprocess

from routes_fixture import RENTER, SELLER, SLOW_HEART, RoutesTest, run_tests
from routes_telemetry import GIB, measured, tell, this_minute

DEPOSIT = 1_000_000_000


class TelemetryRoutes(RoutesTest):
    settings = SLOW_HEART

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller, cls.other_seller = cls.organization(SELLER), cls.organization(SELLER)
        cls.renter, cls.stranger = cls.organization(RENTER, DEPOSIT), cls.organization(RENTER + SELLER)

    def begun(self, start=True, **order):
        """A job that runs, and its lease on a host of its own."""
        host = self.host(self.seller)
        placed = self.rent(self.renter, self.listing(self.seller, host, share_min_thousandths=100), self.job(), **order)
        lease = host.take(placed["lease"]["id"])
        lease.job = placed["job"]["id"]
        if start:
            lease.start()
        return lease

    def seen(self, client, lease, query=""):
        return client.get(f"/v1/leases/{lease.id}/telemetry{query}")

    def test_renter_seller_and_operator_read_and_nobody_else(self):
        lease = self.begun()
        self.assertEqual(tell(lease, measured(lease)).status, 204)
        whole = self.seen(self.renter, lease)
        self.assertEqual((whole["lease_id"], whole["job_id"], whole["role"], whole["step_ms"]),
                         (lease.id, lease.job, "renter", 60_000))
        card = whole["cards"][0]
        self.assertEqual((card["source"], card["shared"], card["memory_bytes"], card["minutes"]),
                         ("nvml", False, 80 * GIB, 1))
        self.assertEqual(card["utilization_thousandths"], {"mean": 120, "p50": 120, "p95": 120, "max": 130})
        self.assertEqual(card["memory_used_bytes"]["max"], 9 * GIB)
        self.assertEqual(card["points"][0]["power_milliwatts"], {"mean": 210_400, "max": 250_000})
        self.assertEqual(whole["efficiency"], {"minutes": 1, "used_thousandths": 120, "verdict": "too_little_measured",
                                               "hint": None})
        of_seller = self.seen(self.seller, lease)
        self.assertEqual((of_seller["role"], of_seller["efficiency"]), ("seller", None))
        for name in ("utilization_thousandths", "power_milliwatts", "temperature_celsius"):
            self.assertEqual(of_seller["cards"][0][name], card[name])
            self.assertEqual(of_seller["cards"][0]["points"][0][name], card["points"][0][name])
        self.assertIsNone(of_seller["cards"][0]["memory_used_bytes"])
        self.assertIsNone(of_seller["cards"][0]["points"][0]["memory_used_bytes"])
        any_lease = self.admin.get(f"/v1/admin/leases/{lease.id}/telemetry")
        self.assertEqual((any_lease["role"], any_lease["cards"]), ("admin", whole["cards"]))
        for client in (self.stranger, self.other_seller):
            self.assert_problem(client.call("GET", f"/v1/leases/{lease.id}/telemetry"), 404, "not_found")
        for client in (self.stranger, self.renter, self.seller):
            self.assert_problem(client.call("GET", f"/v1/admin/leases/{lease.id}/telemetry"), 403, "scope_missing")
        efficiency = self.renter.get(f"/v1/jobs/{lease.job}/efficiency")
        self.assertEqual(efficiency, {"job_id": lease.job, "efficiency": whole["efficiency"]})
        self.assert_problem(self.stranger.call("GET", f"/v1/jobs/{lease.job}/efficiency"), 404, "not_found")

    def test_a_repetition_changes_nothing_and_more_samples_do(self):
        lease = self.begun()
        at = this_minute()
        for utilization, samples, expected in ((100, 30, 100), (900, 30, 100), (300, 31, 300), (1, 2, 300)):
            self.assertEqual(tell(lease, measured(lease, utilization, at, samples)).status, 204)
            card = self.seen(self.renter, lease)["cards"][0]
            self.assertEqual((card["minutes"], card["utilization_thousandths"]["mean"]), (1, expected))

    def test_of_a_part_of_a_card_what_was_paid_counts(self):
        lease = self.begun(thousandths=250)
        tell(lease, measured(lease, 100))
        self.assertEqual(self.seen(self.renter, lease)["efficiency"]["used_thousandths"], 400)
        tell(lease, measured(lease, 100, samples=61, shared=True))
        efficiency = self.seen(self.renter, lease)["efficiency"]
        self.assertEqual((efficiency["used_thousandths"], efficiency["verdict"]), (None, "shared_card"))

    def test_a_job_that_needed_less_is_told_what_would_have_done(self):
        lease = self.begun()
        tell(lease, measured(lease, samples=47))
        # Eleven minutes more, which no test waits for: the same as the one that was told, before it.
        done = subprocess.run(["psql", self.world.database_url.replace("user='fallow'", "user='postgres'"), "-qc", """
            INSERT INTO telemetry_minutes (lease_id, card_id, at, organization_id, seller_id, samples,
                utilization_thousandths_mean, utilization_thousandths_max,
                memory_used_bytes_mean, memory_used_bytes_max)
            SELECT lease_id, card_id, at - n * 60000, organization_id, seller_id, 60, 120, 130, 9663676416, 9663676416
            FROM telemetry_minutes, generate_series(1, 11) AS n WHERE samples = 47"""], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        efficiency = self.renter.get(f"/v1/jobs/{lease.job}/efficiency")["efficiency"]
        self.assertEqual((efficiency["minutes"], efficiency["used_thousandths"], efficiency["verdict"]),
                         (12, 120, "oversized"))
        self.assertEqual(efficiency["hint"], {
            "thousandths": 150, "vram_bytes": 12 * GIB, "cards": None, "cpu_millis": None, "memory_bytes": None,
            "text": "peak memory 9 GiB of 80 GiB, utilisation 12 % on average and 12 % in its busiest minutes: "
                    "a share of 150 thousandths or a card with 12 GiB would have done."})

    def test_what_is_refused(self):
        lease, other = self.begun(), self.begun()
        foreign = measured(other)["cards"][0]["card_id"]
        late, early = this_minute(-24 * 60 - 1), this_minute(-5)
        twice = measured(lease)
        twice["cards"].append(twice["cards"][0])
        self.assert_rows([
            (measured(lease, card_id=foreign), 422, "invalid_field", "/cards/0/card_id"),
            (twice, 422, "invalid_field", "/cards/1/card_id"),
            (measured(lease, at=this_minute(5)), 422, "invalid_field", "/cards/0/minutes/0/at"),
            (measured(lease, at=late), 422, "invalid_field", "/cards/0/minutes/0/at"),
            (measured(lease, at=early), 422, "invalid_field", "/cards/0/minutes/0/at"),
            (measured(lease, at=this_minute()[:-8] + "01.000Z"), 422, "invalid_field", "/cards/0/minutes/0/at"),
            (measured(lease, 995), 422, "invalid_field", "/cards/0/minutes/0/utilization_thousandths/max"),
            ({}, 422, "missing_field", "/cards"),
        ], lambda body: tell(lease, body))
        self.assertEqual(self.seen(self.renter, lease)["cards"], [])
        # Only the lease's own host is heard, and nobody with a key.
        self.assert_problem(other.host.call("POST", lease.path + "/telemetry", measured(lease)), 404, "not_found")
        for client in (self.renter, self.seller, self.admin):
            reply = client.call("POST", lease.path + "/telemetry", measured(lease))
            self.assert_problem(reply, 401, "unauthenticated")

    def test_before_it_runs_there_is_nothing_and_after_its_end_what_was(self):
        lease = self.begun(start=False)
        self.assert_problem(tell(lease, measured(lease)), 409, "wrong_state")
        self.assertEqual(self.seen(self.renter, lease)["cards"], [])
        lease.start()
        lease.exit()
        lease.gone()
        # The last minute may come after the end.
        self.assertEqual(tell(lease, measured(lease)).status, 204)
        self.assertEqual(self.seen(self.renter, lease)["cards"][0]["minutes"], 1)
        self.assertEqual(self.seen(self.renter, lease, "?history_ms=60000&points=1")["step_ms"] % 60_000, 0)


if __name__ == "__main__":
    run_tests()
