"""Reservations over the API: a block booked, broken, sold on, begun and used; and every micro of it proved."""
import datetime
import json
import subprocess

from routes_fixture import HOUR, RENTER, SELLER, RoutesTest, run_tests
from world import Events

DEPOSIT = 1_000_000_000
PER_MS = 3_600_000
WINDOW = 30 * 60_000 + 10 * 60_000 + 60_000


def moment(seconds_ahead):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds_ahead)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


class Reservations(RoutesTest):
    def setUp(self):
        self.seller = self.organization(SELLER, DEPOSIT)
        self.renter = self.organization(RENTER, DEPOSIT)
        self.other = self.organization(RENTER, DEPOSIT)
        self.machine = self.host(self.seller, cards=2)
        self.offer = self.listing(self.seller, self.machine, ask=PER_MS, reclaim_notice_ms=60_000,
                                  committed_until=moment(20 * 24 * 3600))

    def block(self, seconds_ahead, **more):
        return {"requirements": {"listing_id": self.offer["id"]}, "price_max_micros_per_hour": PER_MS,
                "term_ms": 10 * HOUR, "starts_at": moment(seconds_ahead), **more}

    def book(self, seconds_ahead=48 * 3600, renter=None, **more):
        return (renter or self.renter).post("/v1/reservations", self.block(seconds_ahead, **more), 201)

    def call(self, client, reservation, verb, body=None):
        return client.call("POST", f"/v1/reservations/{reservation['id']}/{verb}", body or {})

    def test_a_block_is_booked_seen_and_given_up(self):
        made = self.book(count=2)
        self.assertEqual((made["state"], made["role"], made["seller_id"], made["total_micros"], made["deposit_micros"],
                          made["bond_micros"], made["offer"]),
                         ("booked", "renter", self.seller.organization, 20 * HOUR, 2 * WINDOW, 2 * HOUR, None))
        self.assertEqual(self.balances(self.renter), (DEPOSIT - 2 * WINDOW, 2 * WINDOW, 0))
        self.assertEqual(self.balances(self.seller), (DEPOSIT - 2 * HOUR, 2 * HOUR, 0))
        self.assertEqual(self.renter.get(f"/v1/reservations/{made['id']}"), made)
        self.assertEqual(self.renter.items("/v1/reservations"), [made])
        self.assertEqual(self.seller.items("/v1/reservations"), [{**made, "role": "seller"}])
        self.assertEqual(self.other.items("/v1/reservations"), [])
        self.assert_problem(self.other.call("GET", f"/v1/reservations/{made['id']}"), 404, "not_found")
        self.assert_problem(self.renter.call("POST", "/v1/reservations", self.block(50 * 3600)), 409, "no_match")
        reply = self.call(self.renter, made, "cancel")
        self.assertEqual((reply.status, reply.body["state"], reply.body["reason"], reply.body["kept_micros"]),
                         (200, "cancelled", "cancelled_by_renter", 0))
        self.assertEqual(self.balances(self.renter), (DEPOSIT, 0, 0))
        self.assertEqual(self.balances(self.seller), (DEPOSIT, 0, 0))
        self.assert_problem(self.call(self.renter, made, "cancel"), 409, "wrong_state")

    def test_a_late_cancellation_costs_the_stated_part(self):
        made = self.book(3600)
        reply = self.call(self.renter, made, "cancel")
        self.assertEqual(reply.body["kept_micros"], WINDOW // 2)
        self.assertEqual(self.balances(self.renter), (DEPOSIT - WINDOW // 2, 0, 0))
        fee = WINDOW // 2 * made["fee_ppm"] // 1_000_000
        self.assertEqual(sum(self.balances(self.seller)) - DEPOSIT, WINDOW // 2 - fee)

    def test_a_seller_breaks_its_promise_for_the_penalty(self):
        made = self.book()
        refused = self.call(self.seller, made, "cancel")
        self.assert_problem(refused, 409, "committed", "/breach")
        self.assertIn(f"{HOUR} micros", refused.body["detail"])
        listing = f"/v1/listings/{self.offer['id']}"
        self.assert_problem(self.seller.call("POST", listing + "/withdraw", {}), 409, "committed")
        shorter = self.seller.call("PATCH", listing, {"committed_until": moment(3600)}, headers={"If-Match": '"1"'})
        self.assert_problem(shorter, 409, "committed", "/committed_until")
        reply = self.call(self.seller, made, "cancel", {"breach": True})
        self.assertEqual((reply.status, reply.body["state"], reply.body["penalty_micros"]), (200, "broken", HOUR))
        self.assertEqual(self.balances(self.renter), (DEPOSIT + HOUR, 0, 0))
        self.assertEqual(self.balances(self.seller), (DEPOSIT - HOUR, 0, 0))
        reasons = [(row["reason"], row["debit_kind"], row["credit_kind"], row["reservation_id"])
                   for row in self.seller.items("/v1/account/transfers")]
        self.assertIn(("penalty", "held", "available", made["id"]), reasons)
        self.assertIn(("bond", "available", "held", made["id"]), reasons)

    def test_a_lease_of_a_committed_listing_is_taken_back_for_the_penalty(self):
        lease = self.rent(self.renter, self.offer, term_ms=10 * HOUR)["lease"]["id"]
        path = f"/v1/leases/{lease}/reclaim"
        self.assert_problem(self.seller.call("POST", path, {}), 409, "committed", "/breach")
        self.assertEqual(self.seller.post(path, {"breach": True})["state"], "ended")
        self.assertGreater(self.balances(self.renter)[0], DEPOSIT + 99 * HOUR // 100)

    def test_reserved_time_changes_hands(self):
        made = self.book()
        self.assert_problem(self.call(self.other, made, "buy", {"price_max_micros": 700}), 404, "not_found")
        half = datetime.datetime.fromisoformat(made["starts_at"].replace("Z", "+00:00"))
        half = (half + datetime.timedelta(hours=5)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        offered = self.call(self.renter, made, "offer", {"price_micros": 700, "from": half}).body
        self.assertEqual(offered["offer"], {"price_micros": 700, "from": half})
        seen = self.other.items("/v1/reservations?offered=true")
        self.assertIn({**offered, "role": "none"}, seen)
        self.assert_problem(self.call(self.other, made, "buy", {"price_max_micros": 699}), 409, "no_match",
                            "/price_max_micros")
        reply = self.call(self.other, made, "buy", {"price_max_micros": 700})
        self.assertEqual(reply.status, 201)
        part, rest = reply.body, self.renter.get(f"/v1/reservations/{made['id']}")
        self.assertEqual((part["starts_at"], part["ends_at"], part["bought_from"], part["role"]),
                         (half, made["ends_at"], made["id"], "renter"))
        self.assertLess(rest["ends_at"], half)
        self.assertEqual(self.balances(self.renter), (DEPOSIT + 700 - WINDOW, WINDOW, 0))
        self.assertEqual(self.balances(self.other), (DEPOSIT - 700 - WINDOW, WINDOW, 0))
        self.assertEqual(part["bond_micros"] + rest["bond_micros"], self.balances(self.seller)[1])

    def test_a_quoted_block(self):
        body = self.block(48 * 3600)
        wanted = {name: body[name] for name in ("requirements", "term_ms", "starts_at")}
        quote = self.renter.post("/v1/quotes", wanted, 201)
        self.assertEqual((quote["starts_at"], quote["deposit_micros"], quote["cancel_kept_micros"],
                          quote["penalty_micros"]), (body["starts_at"], WINDOW, WINDOW // 2, HOUR))
        done = subprocess.run([str(self.world.bin / "fallow"), "quote", "verify", "--server-key",
                               str(self.world.data / "server_signing.pub"), "/dev/stdin"], input=json.dumps(quote),
                              text=True, capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.seller.expect(200, "PATCH", f"/v1/listings/{self.offer['id']}", {"ask_micros_per_hour": 9 * PER_MS},
                           headers={"If-Match": '"1"'})
        signed = {"quote": quote["quote"], "server_signature": quote["server_signature"]}
        del body["price_max_micros_per_hour"]
        self.assert_problem(self.renter.call("POST", "/v1/orders", {"quote": signed, "term_ms": 10 * HOUR}), 422,
                            "invalid_field", "/quote")
        made = self.renter.post("/v1/reservations", {**body, "quote": signed}, 201)
        self.assertEqual((made["price_micros_per_hour"], made["quote_id"]), (PER_MS, quote["id"]))

    def when(self, events, reservation, state):
        events.wait(lambda e: e["type"] == "reservation." + state and e["object"]["id"] == reservation["id"], state)
        return self.renter.get(f"/v1/reservations/{reservation['id']}")

    def events(self):
        events = Events(self.world, self.renter.key)
        self.addCleanup(events.close)
        return events

    def test_a_block_begins_as_a_lease_at_the_locked_price(self):
        events = self.events()
        made = self.book(3)
        row = self.when(events, made, "started")
        lease = self.renter.get(f"/v1/leases/{row['lease_id']}")
        self.assertEqual((lease["state"], lease["price_micros_per_hour"], lease["held_micros"], lease["card_ids"]),
                         ("allocated", PER_MS, WINDOW, made["card_ids"]))
        job = self.renter.post(f"/v1/leases/{lease['id']}/job", self.job(), 201)
        taken = self.machine.take(lease["id"])
        taken.accept()
        taken.run()
        taken.use(500, final=True)
        taken.exit(0)
        taken.gone()
        self.assertEqual(self.renter.get(f"/v1/jobs/{job['id']}")["state"], "succeeded")
        self.assertEqual(self.when(events, made, "ended")["reason"], "used")
        self.assertEqual(self.balances(self.renter), (DEPOSIT - 500, 0, 0))

    def test_a_host_that_is_not_there_pays(self):
        events = self.events()
        made = self.book(3)
        self.seller.post(f"/v1/hosts/{self.machine.id}/drain")
        row = self.when(events, made, "failed")
        self.assertEqual((row["reason"], row["penalty_micros"]), ("host_absent", HOUR))
        self.assertEqual(self.balances(self.renter), (DEPOSIT + HOUR, 0, 0))

    def tearDown(self):
        self.assert_ledger_proved()


if __name__ == "__main__":
    run_tests()
