"""Walks every route of the contract: who may call it, who may not, and what a repeat does. No route is left out."""
import base64
import json
import os
import ssl
import zlib

from routes_fixture import RENTER, SELLER, run_tests
import routes_checkpoints  # noqa: F401
import routes_job_terms  # noqa: F401
from routes_objects import EXAMPLES, ObjectsTest
import routes_telemetry  # noqa: F401: its examples
import routes_host_objects  # noqa: F401: its examples
import routes_network  # noqa: F401: its examples
import routes_gang  # noqa: F401: its example
import routes_transfers  # noqa: F401: its examples
import routes_tunnel_objects  # noqa: F401: its examples
from simulated_host import HostKeys, openssl

SCOPES = [*SELLER, *RENTER, "admin"]
BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"


def well_formed_key():
    """A key that this server never made."""
    text = "fallow_" + base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")
    bits = zlib.crc32(text.encode()) >> 2
    return text + "_" + "".join(BASE32[bits >> 5 * place & 31] for place in range(5, -1, -1))


def changed(body):
    """Another valid body of the same shape, as bytes."""
    for name, change in (("name", lambda v: v + "x"), ("ask_micros_per_hour", lambda v: v + 1),
                         ("term_ms", lambda v: v + 1), ("price_micros_per_hour", lambda v: v + 1),
                         ("price_max_micros", lambda v: v + 1),
                         ("max_duration_ms", lambda v: v - 1),
                         ("amount_micros", lambda v: v + 1), ("note", lambda v: v + "x"), ("reason", lambda v: v + "x"),
                         ("dry_run", lambda v: not v), ("port", lambda v: v + 1)):
        if name in body:
            return json.dumps({**body, name: change(body[name])}).encode()
    return b"{ }"


class Access(ObjectsTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.nobody = cls.client(name="nobody")
        cls.stranger = cls.organization(SELLER + RENTER, deposit_micros=10**12)
        cls.strange_host = cls.host(cls.stranger, cards=8)
        cls.made = {}

    def standing(self, operation):
        """An example whose object is not used up: only for calls that are refused."""
        if operation.id not in self.made:
            self.made[operation.id] = self.example(operation)
        return self.made[operation.id]

    def operations(self, wanted):
        return list(filter(wanted, self.contract.operations))

    def test_every_route_has_an_example(self):
        self.assertEqual(set(EXAMPLES), set(self.contract.by_id))
        self.assertGreater(len(EXAMPLES), 60)

    def test_every_route_answers_its_caller(self):
        for operation in self.operations(lambda o: o.status != 101):  # both ends of a tunnel: see tunnel_test.py
            with self.subTest(operation=operation.id):
                reply = self.send(operation, self.example(operation))
                self.assertEqual(reply.status, operation.status, reply)
                self.assertRegex(reply.headers["X-Request-Id"], "^req_")

    def test_nobody_gets_in(self):
        for operation in self.operations(lambda o: not o.is_public):
            with self.subTest(operation=operation.id):
                reply = self.send(operation, self.standing(operation), self.nobody)
                self.assert_problem(reply, 401, "unauthenticated")
                self.assertEqual(reply.headers["WWW-Authenticate"], "Bearer")

    def test_what_is_no_key_gets_nobody_in(self):
        key = self.owner.key
        for header in ("Bearer", "Bearer ", "Bearer nonsense", "Basic " + key, key, "Bearer " + key + "x",
                       "Bearer " + key[:-1] + ("0" if key[-1] != "0" else "1"), "Bearer " + well_formed_key()):
            with self.subTest(header=header):
                reply = self.nobody.call("GET", "/v1/whoami", headers={"Authorization": header})
                self.assert_problem(reply, 401, "unauthenticated")
        for operation in self.operations(lambda o: o.takes_key):
            with self.subTest(operation=operation.id):
                reply = self.send(operation, self.standing(operation), self.nobody, key=well_formed_key())
                self.assert_problem(reply, 401, "unauthenticated")

    def test_public_routes_take_no_notice_of_a_bad_key(self):
        for operation in self.operations(lambda o: o.is_public and o.method == "GET"):
            with self.subTest(operation=operation.id):
                reply = self.send(operation, self.standing(operation), self.nobody, key="nonsense")
                self.assertEqual(reply.status, 200)

    def test_each_wrong_scope_is_refused(self):
        keys = {scope: self.key_with(self.owner.organization, [scope], scope) for scope in SCOPES}
        for operation in self.operations(lambda o: o.scopes):
            with self.subTest(operation=operation.id):
                given = self.standing(operation)
                for scope in set(SCOPES) - set(operation.scopes):
                    self.assert_problem(self.send(operation, given, keys[scope]), 403, "scope_missing")

    def test_each_right_scope_alone_suffices(self):
        keys = {scope: self.key_with(self.owner.organization, [scope], scope + " alone") for scope in SCOPES}
        for operation in self.operations(lambda o: o.takes_key and o.status != 101):
            with self.subTest(operation=operation.id):
                for scope in operation.scopes or SCOPES:
                    if operation.id in ("createKey", "revokeKey", "rotateKey"):
                        continue  # a key passes on, and ends, only what it has itself: see key_routes_test.py
                    given = self.example(operation)
                    reply = self.send(operation, given, keys[scope])
                    self.assertEqual(reply.status, operation.status, f"{scope}: {reply}")

    def test_a_strangers_object_is_not_found(self):
        paused = self.new_listing()
        self.owner.expect(200, "PATCH", f"/v1/listings/{paused}", {"state": "paused"}, headers={"If-Match": '"1"'})
        for operation in self.operations(lambda o: o.takes_key and o.in_path() and "admin" not in o.scopes
                                         and o.in_path().keys() != {"model"}):  # the catalog is everybody's
            with self.subTest(operation=operation.id):
                if operation.id in ("getSpotPool", "listSpotPrices"):  # prices are for every key
                    continue
                if operation.id == "setSecret":  # one of the stranger's own, of the same name
                    continue
                given = self.standing(operation)
                if operation.id == "getHostScore":  # of a host that is offered it is for every key
                    given.path = f"/v1/hosts/{self.new_host().id}/score"
                if operation.id == "getListing":  # an open one is for every key
                    given.path = f"/v1/listings/{paused}"
                if operation.id == "buyReservation":  # one that is offered as well
                    given.path = f"/v1/reservations/{self.new_reservation(self.holder)}/buy"
                self.assert_problem(self.send(operation, given, self.stranger), 404, "not_found")

    def test_lists_show_a_stranger_nothing(self):
        for operation in self.operations(lambda o: o.id.startswith("list") and o.takes_key and not o.in_path()
                                   and "admin" not in o.scopes):
            with self.subTest(operation=operation.id):
                self.assertEqual(self.send(operation, self.standing(operation)).status, 200)
                reply = self.send(operation, self.standing(operation), self.stranger)
                self.assertEqual(reply.status, 200)
                self.assertNotIn(self.owner.organization.encode(), reply.raw)
                self.assertNotIn(self.farm.id.encode(), reply.raw)

    def test_a_strangers_object_in_a_body_is_not_found(self):
        body = EXAMPLES["createListing"](self).body
        self.assert_problem(self.stranger.call("POST", "/v1/listings", body), 404, "not_found", "/host_id")
        mixed = {**body, "host_id": self.strange_host.id}
        self.assert_problem(self.stranger.call("POST", "/v1/listings", mixed), 404, "not_found", "/card_ids/0")
        order = EXAMPLES["createOrder"](self).body
        self.assert_problem(self.stranger.call("POST", "/v1/orders", order), 404, "not_found",
                            "/job/inputs/0/artifact_id")
        paused = EXAMPLES["updateListing"](self)
        self.send(self.contract.by_id["updateListing"], paused)
        hidden = {**order, "job": None, "requirements": {"listing_id": paused.path.rsplit("/", 1)[1]}}
        reply = self.stranger.call("POST", "/v1/orders", hidden)
        self.assertIn((reply.status, reply.code), [(404, "not_found"), (409, "no_match")])

    def test_either_side_of_a_lease_keeps_to_its_own_routes(self):
        seller = self.organization(SELLER + RENTER)
        placed = self.rent(self.owner, self.listing(seller, self.host(seller)), self.job())
        path = "/v1/leases/" + placed["lease"]["id"]
        self.assertEqual(self.owner.get(path)["role"], "renter")
        self.assertEqual(seller.get(path)["role"], "seller")
        self.assert_problem(seller.call("POST", path + "/end", {}), 404, "not_found")
        self.assert_problem(seller.call("POST", path + "/job", self.job()), 404, "not_found")
        self.assert_problem(self.owner.call("POST", path + "/reclaim", {}), 404, "not_found")
        for hidden in ("/v1/orders/" + placed["order"]["id"], "/v1/jobs/" + placed["job"]["id"]):
            self.assert_problem(seller.call("GET", hidden), 404, "not_found")

    def test_unknown_and_malformed_ids(self):
        prefix = {"host": "host", "listing": "listing", "order": "order", "lease": "lease", "job": "job", "key": "key",
                  "artifact": "artifact", "organization": "org", "freeze": "freeze", "approval": "approval"}
        for operation in self.operations(lambda o: prefix.keys() & o.in_path().keys()):
            with self.subTest(operation=operation.id):
                given = self.standing(operation)
                for name in prefix.keys() & operation.in_path().keys():
                    place = operation.path.split("/").index("{%s}" % name)
                    for value, status, code in ((prefix[name] + "_" + "0" * 26, 404, "not_found"),
                                                (prefix[name] + "_" + "0" * 25, 422, "invalid_id"),
                                                (prefix[name] + "_" + "U" * 26, 422, "invalid_id"),
                                                ("x", 422, "invalid_id"), ("%00", 400, "bad_request")):
                        words = given.path.split("?")[0].split("/")
                        words[place] = value
                        reply = given.caller.call(operation.method, "/".join(words), given.body, headers=given.headers)
                        if operation.id == "postUsage" and status == 404:  # the statement names its lease as well
                            status, code = 422, "invalid_field"
                        self.assert_problem(reply, status, code)

    # --- agents

    def test_agents_need_their_certificate(self):
        for operation in self.operations(lambda o: o.is_agent):
            with self.subTest(operation=operation.id):
                given = self.standing(operation)
                for client in (self.nobody, self.owner, self.admin):
                    self.assert_problem(self.send(operation, given, client), 401, "unauthenticated")

    def test_a_certificate_opens_no_route_of_people(self):
        for operation in self.operations(lambda o: o.takes_key):
            with self.subTest(operation=operation.id):
                given = self.standing(operation)
                self.assert_problem(self.send(operation, given, self.farm), 401, "unauthenticated")

    def test_another_authoritys_certificate_ends_the_handshake(self):
        folder = self.world.folder / "forged"
        keys = HostKeys(folder)
        openssl("req", "-x509", "-key", keys.tls_key, "-subj", f"/CN={self.farm.id}", "-days", "2", "-out",
                folder / "cert.pem")
        forged = folder / "forged.pem"
        forged.write_text((folder / "cert.pem").read_text() + keys.tls_key.read_text())
        client = self.client(name="forger", certificate=forged)
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            client.call("GET", "/v1/agent/desired?wait_ms=0")

    def test_the_servers_own_certificate_is_no_agents(self):
        chain = next(self.world.data.glob("**/server*.pem"), None)
        key = next((path for path in self.world.data.glob("**/server*.key")), None)
        self.assertIsNotNone(chain and key, list(self.world.data.iterdir()))
        pem = self.world.folder / "server-as-agent.pem"
        pem.write_text(chain.read_text() + key.read_text())
        client = self.client(name="a server", certificate=pem)
        try:
            reply = client.call("GET", "/v1/agent/desired?wait_ms=0")
        except (ssl.SSLError, ConnectionError):
            return
        self.assert_problem(reply, 401, "unauthenticated")

    def test_a_retired_hosts_certificate_is_refused(self):
        host = self.new_host()
        host.desired()
        self.owner.post(f"/v1/hosts/{host.id}/retire")

        def is_refused():
            reply = host.call("GET", "/v1/agent/desired?wait_ms=0")
            self.assertIn(reply.status, (200, 401))
            return reply.status == 401
        self.world.until(is_refused, "the certificate to be refused", 5)
        for operation in self.operations(lambda o: o.is_agent):
            with self.subTest(operation=operation.id):
                self.assert_problem(self.send(operation, self.standing(operation), host), 401, "unauthenticated")

    def test_another_hosts_lease_is_not_found(self):
        for operation in self.operations(lambda o: o.is_agent and "lease" in o.in_path()):
            with self.subTest(operation=operation.id):
                given = self.example(operation)
                self.assert_problem(self.send(operation, given, self.strange_host), 404, "not_found")
                self.assertEqual(self.send(operation, given).status, operation.status)

    def test_an_artifact_of_another_lease_is_not_found(self):
        mine = self.on_host("exited", outputs=["out"])
        for name in ("getLeaseInputPart", "putLeaseOutputPart", "completeLeaseOutput"):
            given = EXAMPLES[name](self)
            words = given.path.split("/")
            words[4] = mine.id
            given.path = "/".join(words)
            self.assert_problem(self.send(self.contract.by_id[name], given), 404, "not_found")

    # --- repeats

    def test_a_keyed_route_needs_its_key(self):
        seen = 0
        for operation in self.operations(lambda o: o.is_keyed):
            with self.subTest(operation=operation.id):
                seen += 1
                given = self.standing(operation)
                self.assert_problem(self.send(operation, given, idempotency_key=None), 400, "idempotency_key_missing",
                                    "header:Idempotency-Key")
                for bad in ("", "x" * 256):
                    self.assert_problem(self.send(operation, given, idempotency_key=bad), 422, "invalid_field",
                                        "header:Idempotency-Key")
        # A tunnel is its connection: there is no reply that a repeat could be given.
        posts = [o for o in self.contract.operations if o.method == "POST" and o.status != 101
                 and not o.is_agent and not o.is_public]
        self.assertEqual(seen, len(posts), "every POST of people is keyed")

    def test_a_repeat_gets_the_same_bytes_and_another_body_is_refused(self):
        for operation in self.operations(lambda o: o.is_keyed):
            with self.subTest(operation=operation.id):
                given = self.example(operation)
                key = f"walk {operation.id}"
                first = self.send(operation, given, idempotency_key=key)
                self.assertEqual(first.status, operation.status, first)
                self.assertNotIn("Idempotent-Replay", first.headers)
                for _ in range(2):
                    again = self.send(operation, given, idempotency_key=key)
                    self.assertEqual((again.status, again.raw), (first.status, first.raw))
                    self.assertEqual(again.headers["Idempotent-Replay"], "true")
                    self.assertEqual(again.headers["ETag"], first.headers["ETag"])
                other = self.send(operation, given, body=changed(given.body), idempotency_key=key)
                self.assert_problem(other, 422, "idempotency_key_reused")
                again = self.send(operation, given, idempotency_key=key)
                self.assertEqual((again.status, again.raw), (first.status, first.raw))

    def test_a_key_belongs_to_an_organization_and_a_path(self):
        body = {"name": "a", "scopes": ["renter:read"]}
        mine = self.owner.post("/v1/keys", body, 201, idempotency_key="shared")
        theirs = self.stranger.post("/v1/keys", body, 201, idempotency_key="shared")
        self.assertNotEqual(mine["key"]["id"], theirs["key"]["id"])
        orders = [self.new_standing_order()["order"]["id"] for _ in range(2)]
        self.owner.post(f"/v1/orders/{orders[0]}/cancel", {}, idempotency_key="one path")
        reply = self.owner.call("POST", f"/v1/orders/{orders[1]}/cancel", {}, idempotency_key="one path")
        self.assert_problem(reply, 422, "idempotency_key_reused")
        self.assertEqual(self.owner.get("/v1/orders/" + orders[1])["state"], "standing")

    # --- what is not there

    def test_no_such_route_and_no_such_method(self):
        for path in ("/", "/v1", "/v2/orders", "/v1/order", "/v1/orders/", "/v1/admin", "/v1/agent/enroll/x"):
            self.assert_problem(self.owner.call("GET", path), 404, "route_not_found")
        by_path = {}
        for operation in self.contract.operations:
            by_path.setdefault(operation.path, set()).add(operation.method)
        for path, methods in by_path.items():
            for method in {"GET", "PUT", "POST", "PATCH", "DELETE"} - methods:
                with self.subTest(path=path, method=method):
                    given = self.standing(next(o for o in self.contract.operations if o.path == path))
                    reply = given.caller.call(method, given.path)
                    self.assert_problem(reply, 405, "method_not_allowed")
                    allowed = set(reply.headers["Allow"].split(", "))
                    self.assertEqual(allowed - {"HEAD", "OPTIONS"}, methods)

    def test_head_is_get_without_a_body(self):
        for operation in self.operations(lambda o: o.method == "GET" and o.id not in ("getDesired", "getMetrics")):
            with self.subTest(operation=operation.id):
                given = self.standing(operation)
                get = given.caller.call("GET", given.path)
                head = given.caller.call("HEAD", given.path)
                self.assertEqual((head.status, head.raw), (get.status, b""))
                self.assertEqual(head.headers["Content-Type"], get.headers["Content-Type"])


if __name__ == "__main__":
    run_tests()
