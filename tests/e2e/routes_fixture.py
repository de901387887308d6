"""What the tests of the routes share: a server with sellers, renters and simulated hosts, and the words to ask it."""
import json
import os
import sys
import unittest
import urllib.request
import ssl

from routes_client import Client, Contract
from simulated_host import HostKeys, SimulatedHost, reported_cards
from world import Events, World

SELLER = ["seller:read", "seller:write"]
RENTER = ["renter:read", "renter:write"]
HOUR = 3_600_000

# A host may state up to one heartbeat more than has passed: with a long one every sum in a test is exact at once, and
# no simulated host is lost for keeping still.
SLOW_HEART = ("heartbeat_interval_ms=120000", "heartbeat_timeout_ms=2000", "fence_ms=130000", "host_lost_ms=600000",
              "host_lost_declared_ms=610000", "pull_ms=600000", "apps_domain=apps.fallow.test")


class RoutesTest(unittest.TestCase):
    settings = SLOW_HEART
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.world = World(os.environ["FALLOW_BIN_DIR"])
        cls.addClassCleanup(cls.world.stop)
        cls.world.start_server(*cls.settings)
        cls.contract = read_contract(cls.world)
        cls.keys = HostKeys(cls.world.folder / "hosts")
        cls.numbers = iter(range(1, 1_000_000))
        cls.admin = cls.client(cls.world.admin_key, "the operator")
        cls.admin.expect(200, "PUT", "/v1/admin/fee", {"fee_ppm": 50_000})

    @classmethod
    def tearDownClass(cls):
        """What the tests provoke are refusals; the server itself had nothing to complain of."""
        log = [json.loads(line) for line in (cls.world.folder / "fallowd.log").read_text().splitlines()]
        bad = [line for line in log if line["level"] in ("warn", "error")]
        if bad:
            raise AssertionError(f"the server logged {bad[:5]}")
        if cls.admin.get("/v1/admin/scheduler")["quarantined"]:
            raise AssertionError("a command was quarantined")

    @classmethod
    def client(cls, key=None, name="client", **options):
        client = Client(cls.world, key, contract=cls.contract, name=name, **options)
        cls.addClassCleanup(client.close)
        return client

    @classmethod
    def organization(cls, scopes, deposit_micros=0, country="DE"):
        """A client of a new organization; `.organization` is its id."""
        made = cls.world.organization(f"organization {next(cls.numbers)}", country, scopes, deposit_micros)
        client = cls.client(made["key"], made["id"])
        client.organization = made["id"]
        return client

    @classmethod
    def key_with(cls, organization, scopes, name="another"):
        made = cls.admin.post(f"/v1/admin/organizations/{organization}/keys", {"name": name, "scopes": scopes}, 201)
        client = cls.client(made["secret"], name)
        client.organization, client.key_id = organization, made["key"]["id"]
        return client

    @classmethod
    def host(cls, seller, cards=1, keys=None, online=True, **options):
        """An enrolled host with measured cards, online unless told otherwise."""
        number = next(cls.numbers)
        host = SimulatedHost(cls.world, seller.key, keys or cls.keys, f"host-{number}", contract=cls.contract)
        cls.addClassCleanup(host.close)
        host.put_inventory(reported_cards(number, cards, **options))
        if online:
            cls.bring_online(seller, host)
        return host

    @classmethod
    def bring_online(cls, seller, host):
        """The engine hears of a heartbeat a moment after it was answered."""
        if not hasattr(seller, "events"):
            seller.events = Events(cls.world, seller.key)
            cls.addClassCleanup(seller.events.close)
        host.heartbeat()
        seller.events.wait(lambda e: e["type"] == "host.online" and e["object"]["id"] == host.id, "a host to be online")

    @classmethod
    def listing(cls, seller, host, cards=None, ask=3_600_000, **terms):
        """Of all cards of the host unless told which."""
        cards = [card["id"] for card in host.cards] if cards is None else cards
        return seller.post("/v1/listings", {"host_id": host.id, "card_ids": cards, "ask_micros_per_hour": ask, **terms},
                           201)

    @staticmethod
    def job(**changes):
        return {"image": "registry.example/tool:1", "command": ["run"], "max_duration_ms": HOUR, **changes}

    @staticmethod
    def order_body(listing, **changes):
        return {"requirements": {"listing_id": listing["id"]}, "price_max_micros_per_hour": 10_000_000,
                "term_ms": HOUR, "fill_or_kill": True, **changes}

    def rent(self, renter, listing, job=None, **changes):
        """The reply to an order that must be filled."""
        body = self.order_body(listing, **changes)
        placed = renter.post("/v1/orders", body if job is None else {**body, "job": job}, 201)
        self.assertEqual(placed["order"]["state"], "filled")
        return placed

    def assert_problem(self, reply, status, code, pointer=None):
        self.assertEqual((reply.status, reply.code), (status, code), reply)
        if pointer is not None:
            self.assertEqual(reply.pointer, pointer, reply)

    def assert_rows(self, rows, call):
        """Each row is (what is sent, status, code, pointer); `call` sends it. Nothing but the refusal may happen."""
        before = self.events_so_far()
        for sent, status, code, pointer in rows:
            with self.subTest(sent=sent):
                self.assert_problem(call(sent), status, code, pointer)
        self.assertEqual(self.events_so_far(), before, "a refused request left an event")

    seen_events = {}

    @classmethod
    def events_so_far(cls):
        """The ids of all events of all organizations: whatever was changed is among them."""
        seen = cls.seen_events.setdefault(cls, {})
        resume = {"Last-Event-ID": next(reversed(seen))} if seen else {}
        page = cls.admin.get("/v1/admin/audit?limit=100", headers=resume)
        while True:
            # A resumed stream repeats what is seconds old, which may fill a page: only its cursor tells the end.
            seen.update((event["id"], None) for event in page["items"])
            if page["next_cursor"] is None:
                return list(seen)
            page = cls.admin.get("/v1/admin/audit?limit=100&cursor=" + page["next_cursor"])

    def assert_ledger_proved(self):
        ledger = self.admin.get("/v1/admin/ledger")
        self.assertTrue(ledger["balanced"], ledger)
        self.assertEqual((ledger["sum_micros"], ledger["mismatched_accounts"]), (0, []))
        self.assertEqual(sum(kind["balance_micros"] for kind in ledger["by_kind"]), 0)

    def balances(self, client):
        account = client.get("/v1/account")
        return account["available_micros"], account["held_micros"], account["earned_micros"]


def read_contract(world):
    context = ssl.create_default_context(cafile=str(world.ca))
    with urllib.request.urlopen(world.url + "/openapi.json", context=context, timeout=60) as reply:
        return Contract(json.load(reply))


def run_tests():
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    bad = {getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors}
    print(f"{max(result.testsRun - len(bad), 0)} passed, {len(bad)} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
