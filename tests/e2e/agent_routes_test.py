"""The agents' routes, spoken by simulated hosts: the life of a lease with its money exact, and every abuse of usage."""
import base64
import hashlib
import json
import subprocess
import threading

from routes_fixture import HOUR, RENTER, SELLER, RoutesTest, run_tests
from simulated_host import BOOT, CLAIMS, HostKeys, SimulatedHost, openssl, reported_cards

DEPOSIT = 1_000_000_000
FEE_PPM = 50_000
PER_MS = 3_600_000  # an ask of one micro a card and millisecond
WINDOW = 30 * 60_000 + 10 * 60_000 + 60_000  # what a hold covers: ahead, while disconnected, and the notice
MIB = 1 << 20


class Agents(RoutesTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller = cls.organization(SELLER)
        cls.farm = cls.host(cls.seller, cards=200)
        cards = [card["id"] for card in cls.farm.cards]
        cls.offer = cls.listing(cls.seller, cls.farm, cards[:150], ask=PER_MS)
        cls.odd_offer = cls.listing(cls.seller, cls.farm, cards[150:], ask=1_234_567)

    def setUp(self):
        self.renter = self.organization(RENTER, DEPOSIT)

    def lease(self, phase="running", offer=None, count=1, renter=None, **job):
        """A lease with a job, taken by the farm as far as `phase`."""
        placed = self.rent(renter or self.renter, offer or self.offer, self.job(**job), count=count)
        lease = self.farm.take(placed["lease"]["id"])
        lease.job = placed["job"]["id"]
        if phase != "allocated":
            lease.accept()
        if phase == "running":
            lease.run()
        return lease

    def read(self, lease):
        return self.renter.get("/v1/leases/" + lease.id)

    def transfers(self, client, lease=None):
        return [item for item in client.items("/v1/account/transfers") if lease in (None, item["lease_id"])]

    # --- the life of a lease

    def test_a_lease_from_order_to_receipt_with_every_micro(self):
        earned_before = self.balances(self.seller)[2]
        placed = self.rent(self.renter, self.offer, self.job(outputs=["out"]), count=2)
        hold = 2 * WINDOW  # two cards, one micro a millisecond each
        lease = placed["lease"]
        self.assertEqual((lease["state"], lease["held_micros"], lease["thousandths"], lease["attempt"]),
                         ("allocated", hold, 2000, 1))
        self.assertEqual(len(lease["card_ids"]), 2)
        self.assertEqual(self.balances(self.renter), (DEPOSIT - hold, hold, 0))
        self.assertEqual((placed["job"]["state"], placed["job"]["attempts"]), ("assigned", 1))

        taken = self.farm.take(lease["id"])
        self.assertEqual(taken.accept(), {"state": "preparing", "end_reason": None})
        self.assertEqual(taken.run(), {"state": "running", "end_reason": None})
        job = self.renter.get("/v1/jobs/" + placed["job"]["id"])
        self.assertEqual((job["state"], job["exit_code"]), ("running", None))
        self.assertIsNotNone(job["started_at"])
        self.assertEqual(self.balances(self.renter), (DEPOSIT - hold, hold, 0))  # only proved time is paid

        used = taken.use(1000)
        self.assertEqual((used["sequence"], used["accepted_running_ms"]), (1, 1000))
        lease = self.read(taken)
        self.assertEqual((lease["running_ms"], lease["charged_micros"], lease["fee_micros"], lease["held_micros"]),
                         (1000, 2000, 100, hold - 2000))
        self.assertEqual(self.balances(self.renter), (DEPOSIT - hold, hold - 2000, 0))
        self.assertEqual(self.balances(self.seller)[2], earned_before + 1900)

        used = taken.use(60_001, final=True)
        self.assertEqual((used["sequence"], used["accepted_running_ms"]), (2, 60_001))
        self.assertEqual(taken.exit(0), {"state": "reclaiming", "end_reason": "completed"})
        taken.upload_output("out", b"result")
        self.assertEqual(taken.gone(), {"state": "ended", "end_reason": "completed"})

        charged = 2 * 60_001
        fee = charged * FEE_PPM // 1_000_000
        lease = self.read(taken)
        self.assertEqual((lease["state"], lease["end_reason"], lease["running_ms"], lease["charged_micros"],
                          lease["fee_micros"], lease["held_micros"]), ("ended", "completed", 60_001, charged, fee, 0))
        self.assertEqual(self.balances(self.renter), (DEPOSIT - charged, 0, 0))
        self.assertEqual(self.balances(self.seller)[2], earned_before + charged - fee)
        job = self.renter.get("/v1/jobs/" + placed["job"]["id"])
        self.assertEqual((job["state"], job["exit_code"], job["reason"]), ("succeeded", 0, "completed"))
        self.assertIsNotNone(job["finished_at"])
        self.assert_transfers(taken, hold, charged, fee)
        self.assert_receipt(taken, placed["order"]["id"], charged, fee)
        self.assertIsNone(self.farm.desired_lease(taken.id))
        cards = {card["id"]: card["used_thousandths"] for card in self.seller.items(f"/v1/hosts/{self.farm.id}/cards")}
        self.assertEqual([cards[card] for card in lease["card_ids"]], [0, 0])
        self.assert_ledger_proved()

    def assert_transfers(self, lease, hold, charged, fee):
        found = self.transfers(self.renter, lease.id)
        by_reason = {}
        for item in found:
            by_reason[item["reason"]] = by_reason.get(item["reason"], 0) + item["amount_micros"]
        self.assertEqual(by_reason, {"hold": hold, "charge": charged - fee, "fee": fee, "release": hold - charged})
        kinds = {item["reason"]: (item["debit_kind"], item["credit_kind"]) for item in found}
        self.assertEqual(kinds, {"hold": ("available", "held"), "charge": ("held", "earned"), "fee": ("held", "fees"),
                                 "release": ("held", "available")})
        self.assertEqual([item["at"] for item in found], sorted((item["at"] for item in found), reverse=True))
        earned = self.transfers(self.seller, lease.id)
        self.assertEqual({item["reason"] for item in earned}, {"charge"})
        self.assertEqual(sum(item["amount_micros"] for item in earned), charged - fee)

    def assert_receipt(self, lease, order, charged, fee):
        usage = self.renter.items(f"/v1/leases/{lease.id}/usage")
        self.assertEqual([(u["sequence"], u["accepted_running_ms"], u["clipped_ms"]) for u in usage],
                         [(1, 1000, 0), (2, 60_001, 0)])
        receipt = self.renter.get(f"/v1/leases/{lease.id}/receipt")
        self.assertEqual(receipt, self.seller.get(f"/v1/leases/{lease.id}/receipt"))
        self.assertEqual((receipt["usage_statement"], receipt["usage_signature"], receipt["host_key"]),
                         (usage[1]["statement"], usage[1]["signature"], self.keys.public))
        lines = receipt["receipt"].splitlines()
        self.assertEqual(lines[0], "fallow-receipt-v1")
        fields = dict(line.split(": ", 1) for line in lines[1:])
        self.assertEqual(
            (fields["lease"], fields["order"], fields["renter"], fields["seller"], fields["host"], fields["listing"],
             fields["thousandths"], fields["end_reason"], fields["segment"], fields["running_ms"],
             fields["charged_micros"], fields["fee_micros"], fields["usage_sha256"], fields["signers"]),
            (lease.id, order, self.renter.organization, self.seller.organization, self.farm.id, self.offer["id"],
             "2000", "completed", f"{PER_MS} 60001", "60001", str(charged), str(fee),
             hashlib.sha256(usage[1]["statement"].encode()).hexdigest(), "server+host"))
        self.assertTrue(self.verifies(receipt))
        self.assertFalse(self.verifies({**receipt, "receipt": receipt["receipt"].replace("60001", "60002")}))
        self.assertFalse(self.verifies({**receipt, "usage_statement": usage[0]["statement"]}))
        self.assertFalse(self.verifies({**receipt, "server_signature": usage[1]["signature"]}))

    def verifies(self, receipt):
        done = subprocess.run([str(self.world.bin / "fallow"), "receipt", "verify", "--server-key",
                               str(self.world.data / "server_signing.pub"), "/dev/stdin"], input=json.dumps(receipt),
                              capture_output=True, text=True)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return done.returncode == 0

    def test_odd_prices_and_many_statements_lose_nothing(self):
        lease = self.lease(offer=self.odd_offer, count=3)
        stated = 0
        for step in (1, 2, 0, 977, 1, 13_337, 4999, 0, 1):
            stated += step
            lease.use(stated)
            charged = 1_234_567 * 3000 * stated // 3_600_000_000
            seen = self.read(lease)
            self.assertEqual((seen["running_ms"], seen["charged_micros"], seen["fee_micros"]),
                             (stated, charged, charged * FEE_PPM // 1_000_000))
        lease.exit(0)
        lease.gone()
        charged = 1_234_567 * 3000 * stated // 3_600_000_000
        self.assertEqual(self.balances(self.renter), (DEPOSIT - charged, 0, 0))
        fields = self.renter.get(f"/v1/leases/{lease.id}/receipt")["receipt"]
        self.assertIn(f"\ncharged_micros: {charged}\n", fields)
        self.assert_ledger_proved()

    def test_a_lease_that_never_ran_costs_nothing(self):
        for ways in (lambda lease: lease.fail("image_pull_failed"), lambda lease: lease.fail("start_failed")):
            lease = self.lease("preparing")
            ended = ways(lease)
            self.assertEqual(ended["state"], "reclaiming")
            self.assertEqual(lease.gone()["state"], "ended")
            seen = self.read(lease)
            self.assertEqual((seen["charged_micros"], seen["running_ms"], seen["running_at"]), (0, 0, None))
            self.assertEqual(self.balances(self.renter), (DEPOSIT, 0, 0))
            receipt = self.renter.get(f"/v1/leases/{lease.id}/receipt")
            self.assertEqual((receipt["usage_statement"], receipt["usage_signature"]), (None, None))
            self.assertIn("\nsigners: server\n", receipt["receipt"])
            self.assertIn("\nusage_sha256: none\n", receipt["receipt"])
            self.assertTrue(self.verifies(receipt))

    def test_how_a_container_ends(self):
        rows = [({"exit_code": 0}, "completed", "succeeded", 0), ({"exit_code": 7}, "command_failed", "failed", 7),
                ({"exit_code": -1}, "command_failed", "failed", -1),
                ({"exit_code": 137, "oom_killed": True}, "out_of_memory", "failed", 137),
                ({"exit_code": 137, "duration_exceeded": True}, "duration_exceeded", "failed", 137)]
        for fields, reason, state, code in rows:
            with self.subTest(fields=fields):
                lease = self.lease()
                self.assertEqual(lease.report("exited", **fields)["end_reason"], reason)
                lease.gone()
                job = self.renter.get("/v1/jobs/" + lease.job)
                self.assertEqual((job["state"], job["reason"], job["exit_code"]), (state, reason, code))

    def test_a_job_is_tried_again_as_often_as_it_may(self):
        lease = self.lease("preparing", attempts_max=2)
        lease.fail("start_failed")
        lease.gone()
        job = self.renter.get("/v1/jobs/" + lease.job)
        self.assertEqual((job["state"], job["attempts"]), ("assigned", 2))
        self.assertNotEqual(job["lease_id"], lease.id)
        second = self.farm.take(job["lease_id"])
        self.assertEqual(second.desired["attempt"], 2)
        second.start()
        second.log(0, b"second\n")
        second.exit(0)
        second.gone()
        job = self.renter.get("/v1/jobs/" + lease.job)
        self.assertEqual((job["state"], job["attempts"]), ("succeeded", 2))
        logs = [self.renter.get(f"/v1/jobs/{lease.job}/logs?attempt={n}")["items"] for n in (1, 2)]
        self.assertEqual(list(map(len, logs)), [0, 1])
        self.assertEqual(self.renter.get(f"/v1/jobs/{lease.job}/logs")["items"], logs[1])
        self.assertEqual(self.balances(self.renter), (DEPOSIT, 0, 0))

    # --- reports

    def test_reports_out_of_their_order_are_refused(self):
        allocated, preparing, running = self.lease("allocated"), self.lease("preparing"), self.lease("running")
        run = {"container_id": "c", "boot_id": BOOT}
        rows = [(allocated, "running", run), (allocated, "exited", {"exit_code": 0}),
                (allocated, "failed", {"reason": "start_failed"}), (allocated, "gone", {}),
                (preparing, "exited", {"exit_code": 0}), (preparing, "gone", {}), (running, "accepted", {}),
                (running, "running", run), (running, "failed", {"reason": "start_failed"}), (running, "gone", {})]
        self.assert_rows([((lease, phase, fields), 409, "wrong_state", "/phase") for lease, phase, fields in rows],
                         lambda sent: self.farm.call("POST", sent[0].path + "/report",
                                                     sent[0].report_body(sent[1], **sent[2])))

    def test_reports_of_another_epoch_are_stale(self):
        lease = self.lease()
        for epoch in (0, lease.epoch - 1, lease.epoch + 1):
            reply = self.farm.call("POST", lease.path + "/report",
                                   {**lease.report_body("exited", exit_code=0), "lease_epoch": epoch})
            self.assert_problem(reply, 409, "stale_epoch", "/lease_epoch")
        self.assertEqual(self.read(lease)["state"], "running")

    def test_repeated_reports_change_nothing(self):
        lease = self.lease("allocated")
        for _ in range(2):
            self.assertEqual(lease.accept()["state"], "preparing")
        for _ in range(2):
            self.assertEqual(lease.run()["state"], "running")
        before = self.read(lease)
        lease.run()
        self.assertEqual(self.read(lease), before)
        for code in (3, 0):  # the first exit counts
            self.assertEqual(lease.exit(code), {"state": "reclaiming", "end_reason": "command_failed"})
        for _ in range(2):
            reply = self.farm.call("POST", lease.path + "/report", lease.report_body("gone"))
            self.assertEqual(reply.status, 200, reply)
        self.assertEqual(self.renter.get("/v1/jobs/" + lease.job)["exit_code"], 3)

    def test_bad_reports(self):
        lease = self.lease("preparing")
        good = {"lease_epoch": lease.epoch}
        rows = [({"phase": "running"}, "missing_field", "/container_id"),
                ({"phase": "running", "container_id": "c"}, "missing_field", "/boot_id"),
                ({"phase": "running", "container_id": 1, "boot_id": "b"}, "invalid_field", "/container_id"),
                ({"phase": "exited"}, "missing_field", "/exit_code"),
                ({"phase": "exited", "exit_code": 2**31}, "invalid_field", "/exit_code"),
                ({"phase": "exited", "exit_code": 0, "oom_killed": 1}, "invalid_field", "/oom_killed"),
                ({"phase": "failed"}, "missing_field", "/reason"),
                ({"phase": "failed", "reason": "completed"}, "invalid_field", "/reason"),
                ({"phase": "accepted", "exit_code": 0}, "unknown_field", "/exit_code"),
                ({"phase": "gone", "container_id": "c"}, "unknown_field", "/container_id"),
                ({"phase": "reclaimed", "notice_ms": -1}, "invalid_field", "/notice_ms")]
        self.assert_rows([({**good, **fields}, 422, code, pointer) for fields, code, pointer in rows],
                         lambda body: self.farm.call("POST", lease.path + "/report", body))

    # --- usage

    def test_a_claim_ahead_of_the_clock_is_clipped(self):
        lease = self.lease()
        claim = 10 * HOUR
        used = lease.use(claim)
        item = self.renter.items(f"/v1/leases/{lease.id}/usage")[0]
        self.assertEqual(item["accepted_running_ms"] + item["clipped_ms"], claim)
        self.assertEqual(item["accepted_running_ms"], used["accepted_running_ms"])
        self.assertGreaterEqual(used["accepted_running_ms"], 120_000)  # a heartbeat is the allowance …
        self.assertLess(used["accepted_running_ms"], HOUR)             # … and the server's own clock the bound
        seen = self.read(lease)
        self.assertEqual((seen["running_ms"], seen["charged_micros"]), (used["accepted_running_ms"],) * 2)
        # Claims stay cumulative: less than was claimed goes backwards, the same again adds what has passed at most.
        reply = lease.state_usage(lease.statement(claim - 1))
        self.assert_problem(reply, 409, "usage_not_monotone", "/statement")
        again = lease.use(claim)
        self.assertGreaterEqual(again["accepted_running_ms"], used["accepted_running_ms"])
        self.assertLess(again["accepted_running_ms"], HOUR)
        self.assert_ledger_proved()

    def test_a_claim_never_passes_the_term(self):
        placed = self.rent(self.renter, self.offer, self.job(), term_ms=60_000)
        lease = self.farm.take(placed["lease"]["id"])
        lease.start()
        self.assertEqual(lease.use(100_000)["accepted_running_ms"], 60_000)
        self.assertEqual(self.read(lease)["charged_micros"], 60_000)

    def test_every_abuse_of_a_statement(self):
        lease, other = self.lease(), self.lease()
        lease.use(1000)
        first = self.renter.items(f"/v1/leases/{lease.id}/usage")[0]
        strangers = HostKeys(self.world.folder / "other-keys")
        good = lease.statement(2000)
        replayed = lambda: self.farm.call("POST", lease.path + "/usage", {name: first[name]
                                                                          for name in ("statement", "signature")})
        stated = lambda *words, **fields: lambda: lease.state_usage(lease.statement(*words, **fields))
        rows = [("replayed", replayed, 409, "nonce_mismatch"),
                ("old nonce", stated(2000, nonce="0" * 32), 409, "nonce_mismatch"),
                ("another lease's nonce", stated(2000, nonce=other.nonce), 409, "nonce_mismatch"),
                ("same sequence", stated(2000, sequence=1), 409, "usage_not_monotone"),
                ("a gap", stated(2000, sequence=3), 409, "usage_not_monotone"),
                ("backwards", stated(999), 409, "usage_not_monotone"),
                ("another epoch", stated(2000, epoch=lease.epoch + 1), 409, "stale_epoch"),
                ("another container", stated(2000, container="other"), 422, "invalid_field"),
                ("another boot", stated(2000, boot="boot-2"), 422, "invalid_field"),
                ("another lease", stated(2000, lease=other.id), 422, "invalid_field"),
                ("another key", lambda: lease.state_usage(good, strangers.sign(good)), 422, "signature_invalid"),
                ("another text", lambda: lease.state_usage(good, self.keys.sign(good + "\n")), 422,
                 "signature_invalid"),
                ("no signature", lambda: lease.state_usage(good, base64.b64encode(bytes(64)).decode()), 422,
                 "signature_invalid")]
        before = self.read(lease), self.balances(self.renter), self.events_so_far()
        for name, call, status, code in rows:
            with self.subTest(name):
                self.assert_problem(call(), status, code)
        self.assertEqual((self.read(lease), self.balances(self.renter), self.events_so_far()), before)
        self.assertEqual(lease.use(2000)["accepted_running_ms"], 2000)

    def test_malformed_statements(self):
        lease = self.lease()
        good = lease.statement(1000)
        texts = [good[:-1], good + "\n", good + "x: y\n", good.replace("\n", "\r\n"), good.replace("-v1", "-v2"),
                 good.replace(": ", ":"), good.replace(": 1000", ": 01000"), good.replace(": 1000", ": -1"),
                 good.replace(": 1000", ": +1000"), good.replace(": 1000", ": 1e3"), good.replace(": 1000", ": 1000 "),
                 good.replace(": 1000", ": 9223372036854775808"), good.replace("false", "False"),
                 good.replace("false", "0"), good.replace(lease.nonce, lease.nonce.upper().replace("0", "A")),
                 good.replace(lease.nonce, lease.nonce[:-1]), good.replace("sequence: 1\n", ""),
                 "\n".join(sorted(good.splitlines())) + "\n", good.replace(lease.id, "lease_x"),
                 good.replace(lease.container, ""), good.replace(lease.container, "a b"), " " + good, "x"]
        self.assert_rows([(text, 422, "invalid_field", "/statement") for text in texts if text != good],
                         lease.state_usage)
        self.assertEqual(lease.use(1000)["accepted_running_ms"], 1000)

    def test_usage_in_the_wrong_state(self):
        for phase in ("allocated", "preparing"):
            lease = self.lease(phase)
            self.assert_problem(lease.state_usage(lease.statement(1)), 409, "wrong_state")
        lease = self.lease()
        lease.use(10)
        lease.exit(0)
        self.assertEqual(lease.use(20)["accepted_running_ms"], 20)  # a last one that crossed the exit
        lease.gone()
        reply = lease.state_usage(lease.statement(30))
        self.assertIn((reply.status, reply.code), [(409, "wrong_state"), (404, "not_found")])
        self.assertEqual(self.read(lease)["charged_micros"], 20)

    # --- the desired state

    def test_the_desired_state_of_a_lease(self):
        lease = self.lease("allocated", env={"A": "1"}, command=["x", "y"], outputs=["o"], max_duration_ms=5000)
        desired = lease.desired
        self.assertEqual((desired["want"], desired["stop_reason"], desired["attempt"], desired["job_id"],
                          desired["max_duration_ms"], desired["usage_sequence"], desired["paid_until"]),
                         ("run", None, 1, lease.job, 5000, 0, None))
        spec = desired["spec"]
        self.assertEqual((spec["image"], spec["command"], spec["env"], spec["outputs"], spec["memory_bytes"]),
                         ("registry.example/tool:1", ["x", "y"], {"A": "1"}, ["o"], 1 << 30))
        card = next(card for card in self.farm.cards if card["id"] == desired["cards"][0]["card_id"])
        self.assertEqual(desired["cards"], [{"card_id": card["id"], "uuid": card["uuid"], "backend": "opencl",
                                             "index": card["index"], "device_class": "gpu"}])
        lease.start()
        running = self.farm.desired_lease(lease.id)
        self.assertEqual(running["paid_until"], self.read(lease)["paid_until"])
        self.assertIsNotNone(running["run_until"])
        lease.use(7)
        self.assertEqual((self.farm.desired_lease(lease.id)["nonce"],
                          self.farm.desired_lease(lease.id)["usage_sequence"]), (lease.nonce, 1))
        self.renter.post(f"/v1/jobs/{lease.job}/cancel")
        stopped = self.farm.desired_lease(lease.id)
        self.assertEqual((stopped["want"], stopped["stop_reason"]), ("stop", "cancelled_by_renter"))
        self.assertGreater(stopped["grace_ms"], 0)
        self.assertLessEqual(stopped["grace_ms"], 10_000)
        lease.exit(143)
        self.assertEqual(self.farm.desired_lease(lease.id)["want"], "stop")
        self.assertEqual(lease.gone(), {"state": "ended", "end_reason": "cancelled_by_renter"})
        self.assertIsNone(self.farm.desired_lease(lease.id))
        self.assertEqual(self.renter.get("/v1/jobs/" + lease.job)["state"], "cancelled")

    def test_a_long_poll_is_answered_by_a_change(self):
        now = self.farm.desired()
        self.assertEqual(self.farm.desired(now["version"])["version"], now["version"])  # wait_ms=0: at once
        self.assertEqual(self.farm.desired("another", wait_ms=20_000)["version"], now["version"])
        waiting = SimulatedHost.__new__(SimulatedHost)  # the same host on a second connection
        waiting.__dict__.update(self.farm.__dict__, client=self.client(certificate=self.farm.pem, name="waiting"))
        heard = []
        poll = threading.Thread(target=lambda: heard.append(waiting.desired(now["version"], wait_ms=20_000)))
        poll.start()
        placed = self.rent(self.renter, self.offer, self.job())
        poll.join()
        self.assertNotEqual(heard[0]["version"], now["version"])
        self.assertIn(placed["lease"]["id"], [lease["lease_id"] for lease in heard[0]["leases"]])

    def test_an_owner_who_reclaims_gives_notice(self):
        lease = self.lease()
        told = self.seller.post(f"/v1/leases/{lease.id}/reclaim")
        self.assertEqual((told["state"], told["role"], told["end_reason"]), ("running", "seller", None))
        self.assertIsNotNone(told["reclaim_deadline"])
        desired = self.farm.desired_lease(lease.id)
        self.assertEqual((desired["want"], desired["stop_reason"], desired["run_until"]),
                         ("stop", "reclaimed_by_owner", told["reclaim_deadline"]))
        self.assertGreater(desired["grace_ms"], 50_000)
        lease.use(500)
        self.assertEqual(lease.exit(143), {"state": "reclaiming", "end_reason": "reclaimed_by_owner"})
        lease.gone()
        self.assertEqual(self.read(lease)["charged_micros"], 500)

    def test_an_owner_who_reclaims_at_the_host_is_not_refused(self):
        lease = self.lease()
        lease.report("reclaimed", notice_ms=45_000)
        self.assertEqual(lease.report("exited", exit_code=0, stop="reclaimed")["end_reason"], "reclaimed_by_owner")

    def test_a_job_that_finishes_within_the_notice_has_completed(self):
        lease = self.lease()
        self.seller.post(f"/v1/leases/{lease.id}/reclaim")
        self.assertEqual(lease.exit(0)["end_reason"], "completed")

    # --- enrolment and inventory

    def token(self):
        return self.seller.post("/v1/enrollment-tokens", {"name": f"host {next(self.numbers)}", "country": "DE"},
                                201)["token"]

    def enroll(self, body):
        return self.client(name="new agent").call("POST", "/v1/agent/enroll", body, idempotency_key=None)

    def test_a_token_is_good_for_one_host(self):
        token = self.token()
        body = self.keys.enrollment(token)
        first = self.enroll(body)
        self.assertEqual(first.status, 201)
        again = self.enroll(body)  # the reply was lost
        self.assertEqual((again.status, again.body["host_id"]), (201, first.body["host_id"]))
        thief = HostKeys(self.world.folder / "thief")
        self.assert_problem(self.enroll(thief.enrollment(token)), 401, "token_invalid", "/token")
        host = self.seller.get("/v1/hosts/" + first.body["host_id"])
        self.assertEqual((host["signing_key"], host["state"], host["verification"]),
                         (self.keys.public, "enrolled", "unverified"))
        self.assertEqual(first.body["server_key"], self.renter.get("/v1/server")["server_key"])
        self.assertEqual(first.body["server_key"] + "\n", (self.world.data / "server_signing.pub").read_text())

    def test_what_is_refused_does_not_use_the_token_up(self):
        token, other = self.token(), self.token()
        rsa = self.world.folder / "rsa.key"
        openssl("genrsa", "-out", rsa, "2048")
        rsa_request = openssl("req", "-new", "-key", rsa, "-subj", "/CN=x").decode()
        body = self.keys.enrollment(token)
        rows = [({**body, "proof": self.keys.sign("fallow-enroll-v1\n" + other)}, 422, "signature_invalid", "/proof"),
                ({**body, "proof": self.keys.sign(token)}, 422, "signature_invalid", "/proof"),
                ({**body, "csr": "-----BEGIN CERTIFICATE REQUEST-----\nx\n-----END CERTIFICATE REQUEST-----\n"}, 422,
                 "invalid_field", "/csr"), ({**body, "csr": "x"}, 422, "invalid_field", "/csr"),
                ({**body, "csr": rsa_request}, 422, "invalid_field", "/csr"),
                ({**body, "token": "fallow_enroll_x"}, 401, "token_invalid", "/token"),
                ({**body, "token": token[:-1] + ("0" if token[-1] != "0" else "1")}, 401, "token_invalid", "/token")]
        self.assert_rows(rows, self.enroll)
        self.assertEqual(self.enroll(body).status, 201)

    def test_two_hosts_of_one_name(self):
        body = {"name": "twin", "country": "DE"}
        tokens = [self.seller.post("/v1/enrollment-tokens", body, 201)["token"] for _ in range(2)]
        self.assertEqual(self.enroll(self.keys.enrollment(tokens[0])).status, 201)
        self.assert_problem(self.enroll(self.keys.enrollment(tokens[1])), 409, "name_taken")

    def test_a_renewed_certificate_works_beside_the_old_one(self):
        host = self.host(self.seller, online=False)
        renewed = host.expect(200, "POST", "/v1/agent/certificate", {"csr": self.keys.request})
        self.assertGreaterEqual(renewed["certificate_expires_at"], host.enrolled["certificate_expires_at"])
        self.assertNotEqual(renewed["certificate"], host.enrolled["certificate"])
        pem = self.world.folder / "renewed.pem"
        pem.write_text(renewed["certificate"] + self.keys.tls_key.read_text())
        for client in (self.client(certificate=pem), host.client):
            self.assertEqual(client.get("/v1/agent/desired?wait_ms=0")["leases"], [])

    def test_heartbeats_bring_a_host_online(self):
        host = self.host(self.seller, online=False)
        self.assertEqual(self.seller.get("/v1/hosts/" + host.id)["state"], "enrolled")
        self.bring_online(self.seller, host)
        beat = host.heartbeat()
        self.assertEqual([beat["next_heartbeat_ms"], beat["idle_heartbeat_ms"] - beat["timeout_ms"]], [120_000] * 2)
        self.assertEqual([beat["epoch"], beat["idle_return_ms"]], [self.admin.get("/v1/admin/scheduler")["epoch"], 0])
        self.assertEqual(beat["epoch"], host.desired()["epoch"])
        self.assertEqual(self.seller.get("/v1/hosts/" + host.id)["state"], "online")

    def test_inventory_is_what_was_reported_last(self):
        host = self.host(self.seller, cards=2, online=False)
        cards = reported_cards("inventory", 2)
        found = host.put_inventory(cards)
        mine = [card for card in found if card["uuid"].startswith("GPU-inventory")]
        self.assertEqual([(card["index"], card["state"], card["used_thousandths"]) for card in mine],
                         [(0, "present", 0), (1, "present", 0)])
        self.assertEqual({card["state"] for card in found if card not in mine}, {"missing"})
        self.assertEqual(mine[0]["capacity"]["vram_bytes"], 80 << 30)
        unmeasured = {**cards[0], "capacity": None, "driver_version": "2"}
        merged = next(c for c in host.put_inventory([unmeasured]) if c["id"] == mine[0]["id"])
        self.assertEqual((merged["driver_version"], merged["capacity"], merged["version"] > mine[0]["version"]),
                         ("2", mine[0]["capacity"], True))
        self.assertEqual(next(c for c in host.put_inventory([unmeasured]) if c["id"] == mine[0]["id"]), merged)
        withheld = {**cards[0], "offered": False, "withheld_reason": "its owner has it"}
        kept = next(c for c in host.put_inventory([withheld]) if c["id"] == mine[0]["id"])
        self.assertEqual((kept["state"], kept["withheld_reason"]), ("withheld", "its owner has it"))
        self.assertEqual(self.seller.items(f"/v1/hosts/{host.id}/cards"), host.cards)
        reply = host.call("PUT", "/v1/agent/inventory", {"boot_id": BOOT, **CLAIMS, "cards": [cards[0], cards[0]]})
        self.assert_problem(reply, 422, "invalid_field", "/cards/1/uuid")

    # --- logs and files

    def test_logs_are_kept_once_and_in_order(self):
        lease = self.lease()
        self.assertEqual(lease.log(0, b"one\n", b"two\n"), 2)
        self.assertEqual(lease.log(1, b"another two\n", b"three\xff\n", stream="stderr"), 3)
        self.assertEqual(lease.log(0, b"one\n"), 3)
        self.assertEqual(lease.log(9, b"nine\n"), 10)
        path = f"/v1/jobs/{lease.job}/logs"
        items = self.renter.items(path)
        self.assertEqual([(i["sequence"], i["stream"], base64.b64decode(i["data"])) for i in items],
                         [(0, "stdout", b"one\n"), (1, "stdout", b"two\n"), (2, "stderr", b"three\xff\n"),
                          (9, "stdout", b"nine\n")])
        self.assertEqual([i["sequence"] for i in self.renter.get(path + "?after=1")["items"]], [2, 9])
        self.assertEqual(self.renter.items(path, limit=1), items)

    def test_a_log_is_followed_to_its_end(self):
        lease = self.lease()
        lease.log(0, b"before\n")
        path = f"/v1/jobs/{lease.job}/logs"
        stream = self.renter.stream(path)
        self.addCleanup(stream.close)
        self.assertEqual(stream.kind.split(";")[0], "text/event-stream")
        (number, event, data), = stream.take(1)
        self.assertEqual((number, event, data["sequence"]), ("0", "log", 0))
        lease.log(1, b"after\n", b"more\n")
        self.assertEqual([(i, base64.b64decode(d["data"])) for i, _, d in stream.take(2)],
                         [("1", b"after\n"), ("2", b"more\n")])
        lease.exit(5)
        lease.gone()
        rest = list(stream)
        self.assertEqual([(event, data) for _, event, data in rest],
                         [("end", {"state": "failed", "exit_code": 5, "reason": "command_failed"})])
        resumed = self.renter.stream(path, last_event_id="1")
        self.addCleanup(resumed.close)
        self.assertEqual([(i, event) for i, event, _ in resumed][:2], [("2", "log"), (None, "end")])

    def test_an_entry_that_is_too_long(self):
        lease = self.lease()
        chunk = bytes(64 * 1024)
        self.assertEqual(lease.log(0, chunk), 1)
        reply = self.farm.call("POST", lease.path + "/logs", {"sequence": 1, "entries": [
            {"stream": "stdout", "at": "2026-01-01T00:00:00.000Z", "data": base64.b64encode(chunk + b"x").decode()}]})
        self.assert_problem(reply, 422, "invalid_field", "/entries/0/data")
        self.assertEqual(base64.b64decode(self.renter.get(f"/v1/jobs/{lease.job}/logs")["items"][0]["data"]), chunk)

    def test_inputs_reach_the_host_and_outputs_the_renter(self):
        content = bytes(range(256)) * 4096 + b"the last part"
        artifact = self.renter.post("/v1/artifacts", {"name": "data", "bytes": len(content),
                                                      "sha256": hashlib.sha256(content).hexdigest()}, 201)["id"]
        self.renter.expect(204, "PUT", f"/v1/artifacts/{artifact}/parts/0", content[:MIB])
        self.renter.expect(204, "PUT", f"/v1/artifacts/{artifact}/parts/1", content[MIB:])
        self.renter.post(f"/v1/artifacts/{artifact}/complete")
        lease = self.lease(inputs=[{"path": "in/data", "artifact_id": artifact}], outputs=["out/a", "b"])
        listed = self.farm.expect(200, "GET", lease.path + "/inputs")["items"]
        self.assertEqual([(item["path"], item["artifact"]["id"]) for item in listed], [("in/data", artifact)])
        read = [self.farm.call("GET", f"{lease.path}/inputs/{artifact}/parts/{n}") for n in (0, 1, 2)]
        self.assertEqual(read[0].raw + read[1].raw, content)
        self.assert_problem(read[2], 404, "not_found")
        made = lease.upload_output("out/a", content)
        self.assertEqual((made["state"], made["bytes"], made["name"]), ("complete", len(content), "out/a"))
        self.assertEqual(lease.upload_output("out/a", content)["id"], made["id"])
        outputs = self.renter.get(f"/v1/jobs/{lease.job}/outputs")["items"]
        self.assertEqual([(o["path"], o["attempt"], o["artifact"]["id"]) for o in outputs], [("out/a", 1, made["id"])])
        got = b"".join(self.renter.get(f"/v1/artifacts/{made['id']}/parts/{n}") for n in (0, 1))
        self.assertEqual(got, content)

    def test_outputs_that_are_refused(self):
        lease = self.lease(outputs=["out"])
        digest = hashlib.sha256(b"right").hexdigest()
        path = lease.path + "/outputs"
        reply = self.farm.call("POST", path, {"path": "other", "bytes": 5, "sha256": digest})
        self.assert_problem(reply, 422, "invalid_field", "/path")
        made = self.farm.expect(201, "POST", path, {"path": "out", "bytes": 5, "sha256": digest})["id"]
        self.assert_problem(self.farm.call("POST", f"{path}/{made}/complete", {}), 409, "wrong_state")
        self.assert_problem(self.farm.call("PUT", f"{path}/{made}/parts/0", b"longer"), 422, "invalid_field")
        self.farm.expect(204, "PUT", f"{path}/{made}/parts/0", b"wrong")
        self.assert_problem(self.farm.call("POST", f"{path}/{made}/complete", {}), 422, "hash_mismatch")
        self.farm.expect(204, "PUT", f"{path}/{made}/parts/0", b"right")
        self.farm.expect(200, "POST", f"{path}/{made}/complete", {})
        reply = self.farm.call("POST", path, {"path": "out", "bytes": 4, "sha256": digest})
        self.assert_problem(reply, 409, "wrong_state", "/path")
        lease.exit(0)
        lease.gone()
        for method, late in (("POST", path), ("GET", lease.path + "/inputs"), ("POST", lease.path + "/logs")):
            body = None if method == "GET" else {"path": "out", "bytes": 5, "sha256": digest} if late == path else {
                "sequence": 0, "entries": []}
            reply = self.farm.call(method, late, body)
            self.assertIn((reply.status, reply.code), [(409, "wrong_state"), (404, "not_found")])


if __name__ == "__main__":
    run_tests()
