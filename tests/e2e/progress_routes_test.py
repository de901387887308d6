"""What a host may tell of its progress, and where a renter sees it, spoken by simulated hosts."""
from routes_fixture import RENTER, SELLER, SLOW_HEART, RoutesTest, run_tests
from routes_transfers import progress

DEPOSIT = 1_000_000_000


class ProgressRoutes(RoutesTest):
    settings = SLOW_HEART

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller = cls.organization(SELLER)
        cls.renter, cls.stranger = cls.organization(RENTER, DEPOSIT), cls.organization(RENTER + SELLER)

    def begun(self, **job):
        """A job on a host of its own, which has accepted its lease."""
        host = self.host(self.seller)
        placed = self.rent(self.renter, self.listing(self.seller, host), self.job(**job))
        lease = host.take(placed["lease"]["id"])
        lease.accept()
        lease.job = placed["job"]["id"]
        self.assertIsNone(placed["job"]["progress"])
        return lease

    def tell(self, lease, body):
        """The reply, whatever it is."""
        return lease.host.call("PUT", lease.path + "/progress", body)

    def told(self, lease, **what):
        self.assertEqual(self.tell(lease, progress(**what)).status, 204)

    def seen(self, lease):
        """Its step and figures in the job, and in the list of jobs."""
        shown = self.renter.get("/v1/jobs/" + lease.job)["progress"]
        listed = next(job for job in self.renter.get("/v1/jobs?limit=100")["items"] if job["id"] == lease.job)
        self.assertEqual(listed["progress"], shown)
        return shown and (shown["step"], shown["done_bytes"], shown["total_bytes"])

    def test_a_job_shows_what_its_host_told_last_until_it_runs(self):
        lease = self.begun()
        self.assertIsNone(self.seen(lease))
        self.told(lease, step="pulling_image", done=7, total=None)
        self.assertEqual(self.seen(lease), ("pulling_image", 7, None))
        self.told(lease, done=5, total=10)
        self.assertEqual(self.seen(lease), ("fetching_inputs", 5, 10))
        lease.run()
        self.assertIsNone(self.seen(lease))

    def test_outputs_are_shown_until_all_of_them_are_there(self):
        lease = self.begun()
        lease.run()
        self.told(lease, step="uploading_outputs", done=1, total=2)
        self.assertEqual(self.seen(lease), ("uploading_outputs", 1, 2))
        self.told(lease, step="uploading_outputs", done=2, total=2)
        self.assertIsNone(self.seen(lease))

    def test_progress_has_no_etag_and_is_never_not_modified(self):
        lease = self.begun()
        path = "/v1/jobs/" + lease.job
        before = self.renter.call("GET", path)
        etag = before.headers["etag"]
        self.assertEqual(self.renter.call("GET", path, headers={"If-None-Match": etag}).status, 304)
        self.told(lease)
        during = self.renter.call("GET", path, headers={"If-None-Match": etag})
        self.assertEqual((during.status, during.body["version"]), (200, before.body["version"]))
        self.assertNotIn("etag", during.headers)

    def test_only_the_lease_s_own_host_is_heard(self):
        lease, other = self.begun(), self.begun()
        self.assert_problem(other.host.call("PUT", lease.path + "/progress", progress()), 404, "not_found")
        for client in (self.renter, self.seller, self.admin):
            reply = client.call("PUT", lease.path + "/progress", progress())
            self.assert_problem(reply, 401, "unauthenticated")
        self.assertIsNone(self.seen(lease))
        self.told(lease)
        for client in (self.stranger, self.seller):
            self.assertNotEqual(client.call("GET", "/v1/jobs/" + lease.job).status, 200)

    def test_what_is_refused(self):
        lease = self.begun()
        self.assert_rows([
            ({}, 422, "missing_field", "/step"),
            (progress(step="thinking"), 422, "invalid_field", "/step"),
            (progress(done=-1), 422, "invalid_field", "/done_bytes"),
            (progress(done=11, total=10), 422, "invalid_field", "/done_bytes"),
            (progress(total=2**51), 422, "invalid_field", "/total_bytes"),
            ({**progress(), "percent": 50}, 422, "unknown_field", "/percent"),
        ], lambda body: self.tell(lease, body))
        self.assertIsNone(self.seen(lease))
        lease.fail("start_failed")
        lease.gone()
        self.assert_problem(self.tell(lease, progress()), 409, "wrong_state")


if __name__ == "__main__":
    run_tests()
