"""What a host may save of a job and when, spoken by a simulated host: chunks, manifests, epochs, limits."""
import hashlib
import os

from routes_fixture import RENTER, SELLER, SLOW_HEART, RoutesTest, run_tests

MIB = 1 << 20
DEPOSIT = 1_000_000_000


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class CheckpointRoutes(RoutesTest):
    settings = SLOW_HEART

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller = cls.organization(SELLER)
        cls.renter, cls.stranger = cls.organization(RENTER, DEPOSIT), cls.organization(RENTER)

    def begun(self, **job):
        """A job that runs, and its lease on a host of its own."""
        host = self.host(self.seller)
        listing = self.listing(self.seller, host)
        spec = self.job(checkpoint={"path": "saved", "bytes_max": 4 * MIB}, **job)
        body = {**self.order_body(listing), "job": spec}
        placed = self.renter.post("/v1/orders", body, 201)
        lease = host.take(placed["lease"]["id"])
        lease.start()
        return placed["job"]["id"], lease

    def test_only_what_changed_is_sent_and_two_are_kept(self):
        job, lease = self.begun()
        same, first, second = os.urandom(MIB), os.urandom(MIB), os.urandom(7)
        self.assertIsNone(lease.host.expect(200, "GET", lease.path + "/checkpoint")["checkpoint"])
        self.assertEqual(lease.save("data", same + first), [sha256(same), sha256(first)])
        self.assertEqual(lease.save("data", same + first), [])
        self.assertEqual(lease.save("data", same + second), [sha256(second)])
        listed = self.renter.get(f"/v1/jobs/{job}/checkpoints")
        self.assertEqual([(item["number"], item["bytes"], item["entry_count"]) for item in listed["items"]],
                         [(3, MIB + 7, 1), (2, 2 * MIB, 1)])
        self.assertEqual(lease.save("data", same + second), [])
        # The third was the last to need it.
        dropped = self.renter.call("GET", f"/v1/jobs/{job}/checkpoint-chunks/{sha256(first)}")
        self.assert_problem(dropped, 404, "not_found")
        self.assert_problem(self.renter.call("GET", f"/v1/jobs/{job}/checkpoints/2"), 404, "not_found")
        newest = lease.host.expect(200, "GET", lease.path + "/checkpoint")["checkpoint"]
        self.assertEqual((newest["number"], newest["entries"]), (4, [lease.file_entry("data", same + second)]))
        got = self.renter.call("GET", f"/v1/jobs/{job}/checkpoint-chunks/{sha256(second)}")
        self.assertEqual((got.status, got.raw), (200, second))
        for path in ("checkpoints", "checkpoints/4", "checkpoint-chunks/" + sha256(second)):
            self.assert_problem(self.stranger.call("GET", f"/v1/jobs/{job}/{path}"), 404, "not_found")

    def test_an_upload_that_was_broken_off_is_taken_up_again(self):
        _, lease = self.begun()
        one, two = os.urandom(10), os.urandom(10)
        self.assertEqual(lease.begin_save([sha256(one), sha256(two)]), [sha256(one), sha256(two)])
        self.assertEqual(lease.put_chunk(sha256(one), one).status, 204)
        entries = [lease.file_entry("a", one), lease.file_entry("b", two)]
        self.assert_problem(lease.commit_save(entries), 409, "wrong_state", "/entries/1/chunks")
        self.assertEqual(lease.begin_save([sha256(one), sha256(two)]), [sha256(two)])
        self.assertEqual(lease.put_chunk(sha256(two), two).status, 204)
        self.assertEqual(lease.commit_save(entries).status, 201)
        # What the next one does not name, and no checkpoint has, goes.
        stray = os.urandom(10)
        lease.begin_save([sha256(stray)])
        lease.put_chunk(sha256(stray), stray)
        lease.begin_save([])
        self.assertEqual(lease.begin_save([sha256(stray), sha256(one)]), [sha256(stray)])

    def test_what_is_refused(self):
        _, lease = self.begun()
        content = os.urandom(10)
        lease.save("a", content)
        self.assert_problem(lease.put_chunk(sha256(b"other"), content), 422, "hash_mismatch")
        self.assert_problem(lease.put_chunk(sha256(b""), b""), 422, "hash_mismatch")
        self.assert_problem(lease.put_chunk("A" * 64, content), 404, "not_found")
        folder = {"path": "f", "kind": "folder", "mode": 0o755}
        good = lease.file_entry("a", content)
        for entries, pointer in (
                ([{**good, "path": "../a"}], "/entries/0/path"),
                ([{**good, "path": "f/a"}], "/entries/0/path"),
                ([{**good, "path": "f/a"}, folder], "/entries/0/path"),
                ([good, good], "/entries/1/path"),
                ([good, {**good, "path": "a/b"}], "/entries/1/path"),
                ([{**good, "bytes": MIB + 1}], "/entries/0/chunks"),
                ([{**good, "mode": 0o4755}], "/entries/0/mode"),
                ([{**good, "kind": "socket"}], "/entries/0/kind"),
                ([{**good, "target": "b"}], "/entries/0/target"),
                ([{"path": "l", "kind": "link"}], "/entries/0/target"),
                ([{**folder, "chunks": good["chunks"], "bytes": 10}], "/entries/0/chunks"),
                ([{**good, "bytes": 5 * MIB, "chunks": good["chunks"] * 5}], "/entries/0/bytes")):
            with self.subTest(entries=entries):
                self.assert_problem(lease.commit_save(entries), 422, "invalid_field", pointer)
        self.assert_problem(lease.commit_save([{**good, "bytes": 9}]), 409, "wrong_state", "/entries/0/chunks")
        self.assertEqual(lease.commit_save([folder, {**good, "path": "f/a"},
                                            {"path": "l", "kind": "link", "target": "/f/../a"}]).status, 201)

    def test_a_jobs_room_is_bounded(self):
        _, lease = self.begun()
        for _ in range(12):
            octets = os.urandom(MIB)
            self.assertEqual(lease.put_chunk(sha256(octets), octets).status, 204)
        octets = os.urandom(1)
        self.assert_problem(lease.put_chunk(sha256(octets), octets), 409, "limit_reached")
        lease.save("a", octets)

    def test_a_stale_epoch_and_an_ended_lease_save_nothing(self):
        job, lease = self.begun()
        lease.save("a", b"first")
        entry = [lease.file_entry("a", b"first")]
        for epoch in (lease.epoch - 1, lease.epoch + 1):
            if epoch > 0:
                self.assert_problem(lease.commit_save(entry, epoch), 409, "stale_epoch", "/lease_epoch")
        self.seller.post(f"/v1/leases/{lease.id}/reclaim", {}, 200)
        self.assertEqual(lease.commit_save(entry).status, 201)  # what it saves while it stops counts
        lease.report("exited", exit_code=0, oom_killed=False, duration_exceeded=False, stop="wanted")
        self.assertEqual(lease.commit_save(entry).status, 201)
        lease.gone()
        requeued = self.renter.get("/v1/jobs/" + job)
        self.assertEqual((requeued["attempts_max"], requeued["reason"]), (10, "reclaimed_by_owner"))
        self.assertIn(requeued["state"], ("queued", "assigned"))
        reply = lease.commit_save(entry)
        self.assertIn((reply.status, reply.code), ((409, "wrong_state"), (404, "not_found")))
        self.assertEqual(self.renter.get(f"/v1/jobs/{job}/checkpoints")["items"][0]["number"], 3)
        if requeued["state"] == "assigned":
            again = lease.host.take(requeued["lease_id"])
            found = lease.host.expect(200, "GET", again.path + "/checkpoint")["checkpoint"]
            self.assertEqual((found["number"], found["attempt"], found["entries"]), (3, 1, entry))

    def test_a_job_without_a_folder_has_nothing_to_save(self):
        host = self.host(self.seller)
        body = {**self.order_body(self.listing(self.seller, host)), "job": self.job()}
        placed = self.renter.post("/v1/orders", body, 201)
        self.assertNotIn("checkpoint", placed["job"])
        lease = host.take(placed["lease"]["id"])
        lease.start()
        self.assert_problem(host.call("GET", lease.path + "/checkpoint"), 409, "wrong_state")
        self.assert_problem(lease.commit_save([]), 409, "wrong_state")

    def test_a_problem_is_told_until_the_next_checkpoint(self):
        job, lease = self.begun()
        path = lease.path + "/checkpoint/problem"
        lease.host.expect(204, "POST", path, {"lease_epoch": lease.epoch, "problem": "too many files"})
        self.assertEqual(self.renter.get(f"/v1/jobs/{job}/checkpoints")["problem"]["text"], "too many files")
        lease.save("a", b"a")
        self.assertIsNone(self.renter.get(f"/v1/jobs/{job}/checkpoints")["problem"])

    def test_a_specification_with_a_mistake(self):
        host = self.host(self.seller)
        body = self.order_body(self.listing(self.seller, host))
        for checkpoint, pointer in (({"path": "/saved"}, "path"), ({"path": "a/../b"}, "path"), ({}, "path"),
                                    ({"path": "a", "interval_ms": 999}, "interval_ms"),
                                    ({"path": "a", "bytes_max": 4 * 1024 * MIB + 1}, "bytes_max"),
                                    ({"path": "a", "every": 1}, "every")):
            with self.subTest(checkpoint=checkpoint):
                reply = self.renter.call("POST", "/v1/orders", {**body, "job": self.job(checkpoint=checkpoint)})
                self.assertEqual((reply.status, reply.pointer), (422, "/job/checkpoint/" + pointer), reply)


if __name__ == "__main__":
    run_tests()
