"""How a gang comes by its private network: who may serve it, and how its hosts hear of each other."""
import urllib.parse

from routes_fixture import HOUR, RENTER, SELLER, RoutesTest, run_tests
from routes_gang import gang, gang_order, linked_hosts, told, tunnel_key


class GangRoutes(RoutesTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.owner = cls.organization(SELLER + RENTER, deposit_micros=10**12)

    def tell(self, lease, body):
        return lease.host.call("PUT", lease.path + "/network", body)

    def members(self, lease):
        return lease.host.desired_lease(lease.id)["gang"]["members"]

    def test_only_hosts_that_offer_a_network_serve_a_gang_that_needs_one(self):
        product = f"Unlinked {next(self.numbers)}"
        linked_hosts(self, product, cards=2, offers=False)
        refused = self.owner.call("POST", "/v1/orders", gang_order(self, product))
        self.assert_problem(refused, 409, "no_match")
        removed = {row["constraint"]: row["removed"] for row in refused.body["explanation"]["constraints"]}
        self.assertEqual(removed.get("gang_network"), 4)
        self.assertEqual(self.found(f'product = "{product}" and gang_network'), 0)
        self.assertEqual(self.found(f'product = "{product}" and not gang_network'), 4)
        without = self.owner.post("/v1/orders", gang_order(self, product, job=self.job()), 201)
        self.assertEqual(len(without["members"]), 2)

    def found(self, query):
        return len(self.owner.get("/v1/search?limit=100&q=" + urllib.parse.quote(query))["items"])

    def test_a_host_says_that_it_offers_one(self):
        lease = gang(self)[0]
        self.assertIs(self.owner.get("/v1/hosts/" + lease.host.id)["gang_network"], True)

    def test_the_members_hear_of_each_other_by_rank(self):
        first, second = gang(self)
        self.assertEqual(first.desired["gang"], {"rank": 0, "hosts": 2, "members": []})
        self.assertEqual(second.desired["gang"]["rank"], 1)
        self.assertEqual(first.desired["spec"]["network"], "gang")
        self.assertEqual(self.tell(second, told(second, 1)).status, 204)
        waiting = second.host.desired()
        self.assertEqual(self.members(first), [{"rank": 1, "public_key": tunnel_key(1),
                                                "endpoint": "198.41.0.2:51820"}])
        self.assertEqual(self.tell(first, told(first)).status, 204)
        # The first one's word is what the second one waits for.
        heard = second.host.desired(waiting["version"], wait_ms=20_000)
        self.assertNotEqual(heard["version"], waiting["version"])
        both = [{"rank": rank, "public_key": tunnel_key(rank), "endpoint": f"198.41.0.{rank + 1}:51820"}
                for rank in range(2)]
        self.assertEqual([self.members(lease) for lease in (first, second)], [both, both])

    def test_gangs_do_not_hear_of_each_other(self):
        one, other = gang(self), gang(self)
        self.assertEqual(self.tell(one[0], told(one[0])).status, 204)
        self.assertEqual(self.members(other[0]), [])
        self.assertEqual(self.members(other[1]), [])

    def test_what_was_told_stays(self):
        lease, other = gang(self)
        for _ in range(2):
            self.assertEqual(self.tell(lease, told(lease)).status, 204)
        for change in ({"public_key": tunnel_key(9)}, {"endpoint": "198.41.0.1:51821"}):
            self.assert_problem(self.tell(lease, told(lease, **change)), 409, "wrong_state")
        self.assertEqual(self.members(other)[0]["public_key"], tunnel_key(0))
        lease.run()
        self.assertEqual(self.tell(lease, told(lease)).status, 204)
        other.run()
        late, = gang(self)[:1]
        late.run()
        self.assert_problem(self.tell(late, told(late)), 409, "wrong_state")

    def test_what_is_refused(self):
        lease, other = gang(self)
        rows = [("old", {"lease_epoch": lease.epoch + 1}, 409, "stale_epoch", "/lease_epoch"),
                ("short key", {"public_key": "QUJD"}, 422, "invalid_field", "/public_key"),
                ("a name", {"endpoint": "host.example:51820"}, 422, "invalid_field", "/endpoint"),
                ("no port", {"endpoint": "198.41.0.1"}, 422, "invalid_field", "/endpoint"),
                ("port 0", {"endpoint": "198.41.0.1:0"}, 422, "invalid_field", "/endpoint"),
                ("bare IPv6", {"endpoint": "2001:db8::1:51820"}, 422, "invalid_field", "/endpoint")]
        for name, change, status, code, pointer in rows:
            with self.subTest(name):
                self.assert_problem(self.tell(lease, told(lease, **change)), status, code, pointer)
        strange = other.host.call("PUT", lease.path + "/network", told(lease))
        self.assert_problem(strange, 404, "not_found")
        self.assertEqual(self.members(other), [])
        self.assertEqual(self.tell(lease, told(lease, endpoint="[2001:db8::1]:51820")).status, 204)

    def test_a_job_without_such_a_network_has_none_to_tell_of(self):
        gang(self)  # which lists the hosts
        placed = self.owner.post("/v1/orders", gang_order(self, type(self).linked_product, job=self.job()), 201)
        member = placed["members"][0]
        host = next(host for host in type(self).linked if host.id == member["host_id"])
        lease = host.take(member["id"])
        lease.accept()
        self.assert_problem(self.tell(lease, told(lease)), 409, "wrong_state")

    def test_it_takes_an_order_over_several_hosts(self):
        product = f"Single {next(self.numbers)}"
        host, = linked_hosts(self, product, count=1, cards=2)
        alone = self.owner.call("POST", "/v1/orders", gang_order(self, product, hosts=1))
        self.assert_problem(alone, 422, "invalid_field", "/job/network")
        unknown = self.owner.call("POST", "/v1/orders", gang_order(self, product, job=self.job(network="lan")))
        self.assert_problem(unknown, 422, "invalid_field", "/job/network")
        rented = self.owner.post("/v1/orders", {"requirements": {"host_id": host.id}, "term_ms": HOUR,
                                                "price_max_micros_per_hour": 10_000_000, "fill_or_kill": True}, 201)
        late = self.owner.call("POST", f"/v1/leases/{rented['lease']['id']}/job", self.job(network="gang"))
        self.assert_problem(late, 422, "invalid_field", "/network")
        self.assertIsNone(host.desired_lease(rented["lease"]["id"])["gang"])


if __name__ == "__main__":
    run_tests()
