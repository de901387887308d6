"""One example for every route of the contract: who may call it, on which object, with which body, so that it succeeds.

The walks over all routes are made of these. A route of the contract without an example here fails them.
"""
import datetime
import hashlib
import itertools

from routes_fixture import HOUR, RENTER, SELLER, RoutesTest
from simulated_host import BOOT, CLAIMS, SimulatedHost, reported_cards

CONTENT = b"an artifact\n"


class Example:
    def __init__(self, caller, path, body=None, headers=None):
        self.caller, self.path, self.body, self.headers = caller, path, body, headers or {}


EXAMPLES = {}


def example(function):
    """The function's name is the operationId."""
    EXAMPLES[function.__name__] = function
    return function


class ObjectsTest(RoutesTest):
    """Has an owner who is seller and renter, the operator, and hosts; makes a fresh object for each call."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.owner = cls.organization(SELLER + RENTER, deposit_micros=10**15 // 2)
        cls.farm = cls.host(cls.owner, cards=512)
        cards = [card["id"] for card in cls.farm.cards]
        cls.spare_cards = iter(cards[:100])
        cls.big_listing = cls.listing(cls.owner, cls.farm, cards[100:])
        cls.landlord = cls.organization(SELLER, deposit_micros=10**12)
        cls.holder = cls.organization(RENTER, deposit_micros=10**12)
        cls.committed = cls.listing(cls.landlord, cls.host(cls.landlord, cards=2), committed_until=cls.in_hours(8000))
        cls.hours_ahead = itertools.count(240, 2)

    def example(self, operation):
        return EXAMPLES[operation.id](self)

    def send(self, operation, given, caller=None, body=None, **options):
        """`body` replaces the example's; bytes are sent as JSON text unless the route takes octets."""
        body = given.body if body is None else body
        headers = {**given.headers, **options.pop("headers", {})}
        if isinstance(body, bytes) and not operation.takes_octets:
            headers.setdefault("Content-Type", "application/json")
        return (caller or given.caller).call(operation.method, given.path, body, headers=headers, **options)

    # --- objects

    def new_key(self):
        return self.owner.post("/v1/keys", {"name": "spare", "scopes": ["renter:read"]}, 201)["key"]["id"]

    def new_host(self):
        number = next(self.numbers)
        host = SimulatedHost(self.world, self.owner.key, self.keys, f"spare-{number}", contract=self.contract)
        self.addClassCleanup(host.close)
        return host

    @staticmethod
    def in_hours(hours):
        moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def block(self):
        """An hour of one committed card that nobody has reserved."""
        return {"requirements": {"listing_id": self.committed["id"]}, "count": 1, "term_ms": HOUR,
                "price_max_micros_per_hour": 10_000_000, "starts_at": self.in_hours(next(self.hours_ahead))}

    def new_reservation(self, renter=None, price=None):
        renter = renter or self.owner
        made = renter.post("/v1/reservations", self.block(), 201)["id"]
        if price is not None:
            renter.post(f"/v1/reservations/{made}/offer", {"price_micros": price})
        return made

    def new_lease(self, job=True, **changes):
        placed = self.rent(self.owner, self.big_listing, self.job() if job else None, **changes)
        return placed["lease"]["id"]

    def new_standing_order(self, job=None):
        body = {"requirements": {"products": ["a card nobody has"]}, "price_max_micros_per_hour": 1, "term_ms": HOUR}
        return self.owner.post("/v1/orders", body if job is None else {**body, "job": job}, 201)

    def new_bid(self):
        body = {"requirements": {"products": ["a card nobody has"]}, "pricing": "spot", "term_ms": HOUR,
                "price_max_micros_per_hour": 1_000_000}
        return self.owner.post("/v1/orders", body, 201)["order"]["id"]

    def spot_pool(self):
        """The pool of the farm's cards, which the first listing with a floor opens."""
        self.listing(self.owner, self.farm, [next(self.spare_cards)], ask=9_000_000,
                     spot_floor_micros_per_hour=8_000_000)
        return self.owner.get("/v1/spot/pools")["items"][0]["name"]

    def new_listing(self):
        return self.listing(self.owner, self.farm, [next(self.spare_cards)], ask=9_000_000)["id"]

    def new_artifact(self, state="complete", content=CONTENT):
        made = self.owner.post("/v1/artifacts", {"name": "data", "bytes": len(content),
                                                 "sha256": hashlib.sha256(content).hexdigest()}, 201)["id"]
        if state != "stated":
            self.owner.expect(204, "PUT", f"/v1/artifacts/{made}/parts/0", content)
        if state == "complete":
            self.owner.post(f"/v1/artifacts/{made}/complete")
        return made

    def on_host(self, phase="running", **job):
        """A lease with a job on the farm, taken as far as `phase`."""
        placed = self.rent(self.owner, self.big_listing, self.job(**job))
        lease = self.farm.take(placed["lease"]["id"])
        lease.job = placed["job"]["id"]
        if phase != "allocated":
            lease.accept()
        if phase in ("running", "exited", "ended"):
            lease.run()
        if phase in ("exited", "ended"):
            lease.use(1000, final=True)
            lease.exit(0)
        if phase == "ended":
            lease.gone()
        return lease

    def new_output(self, lease):
        return self.farm.expect(201, "POST", lease.path + "/outputs", {
            "path": "out", "bytes": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()})["id"]

    def new_freeze(self):
        return self.admin.post("/v1/admin/freezes", {"kind": "image", "target": f"bad/image:{next(self.numbers)}",
                                                     "note": "a test"}, 201)["id"]


def of_owner(method_path):
    """A route that the owner reads without any object of its own."""
    return lambda t: Example(t.owner, method_path)


for name, path in {"getWhoami": "/v1/whoami", "listKeys": "/v1/keys", "getAccount": "/v1/account",
                   "listTransfers": "/v1/account/transfers", "listEvents": "/v1/events", "listHosts": "/v1/hosts",
                   "searchListings": "/v1/listings", "searchCards": "/v1/search",
                   "getSearchFields": "/v1/search/fields", "explainQuery": "/v1/explain?q=price+%3C+1",
                   "listCatalog": "/v1/catalog", "listSavedSearches": "/v1/saved-searches",
                   "getCatalogModel": "/v1/catalog/rtx-4090d", "getPolicy": "/v1/policy",
                   "listPrices": "/v1/market/prices", "getPrices": "/v1/market/prices/a30",
                   "listTrades": "/v1/market/prices/a30/trades", "getOutlook": "/v1/market/prices/a30/outlook",
                   "listOrders": "/v1/orders", "listLeases": "/v1/leases", "listJobs": "/v1/jobs",
                   "listReservations": "/v1/reservations", "listSpotPools": "/v1/spot/pools"}.items():
    EXAMPLES[name] = of_owner(path)


def of_operator(path):
    return lambda t: Example(t.admin, path)


for name, path in {"listOrganizations": "/v1/admin/organizations", "getLedger": "/v1/admin/ledger",
                   "getFee": "/v1/admin/fee", "getSpotStep": "/v1/admin/spot",
                   "getScheduler": "/v1/admin/scheduler",
                   "listPolicyVersions": "/v1/admin/policy/versions", "listApprovals": "/v1/admin/approvals",
                   "testPolicy": "/v1/admin/policy/test?model=a30&host_country=DE&renter_country=FR",
                   "listFreezes": "/v1/admin/freezes", "listAudit": "/v1/admin/audit"}.items():
    EXAMPLES[name] = of_operator(path)


def of_anybody(path):
    return lambda t: Example(t.client(name="nobody"), path)


for name, path in {"getLiveness": "/livez", "getReadiness": "/readyz", "getMetrics": "/metrics",
                   "getContract": "/openapi.json", "getServer": "/v1/server"}.items():
    EXAMPLES[name] = of_anybody(path)


# --- keys

@example
def createKey(t):
    return Example(t.owner, "/v1/keys", {"name": f"key {next(t.numbers)}", "scopes": ["renter:read"],
                                         "expires_in_ms": HOUR})


@example
def revokeKey(t):
    return Example(t.owner, f"/v1/keys/{t.new_key()}")


@example
def rotateKey(t):
    return Example(t.owner, f"/v1/keys/{t.new_key()}/rotate", {})


# --- sellers

@example
def createEnrollmentToken(t):
    return Example(t.owner, "/v1/enrollment-tokens", {"name": f"host {next(t.numbers)}", "country": "DE"})


for host_route, rest in (("getHost", ""), ("getHostScore", "/score"), ("listCards", "/cards"),
                         ("listFailedStarts", "/failed-starts")):
    EXAMPLES[host_route] = lambda t, rest=rest: Example(t.owner, f"/v1/hosts/{t.farm.id}{rest}")


@example
def drainHost(t):
    host = t.new_host()
    t.bring_online(t.owner, host)
    return Example(t.owner, f"/v1/hosts/{host.id}/drain", {})


@example
def resumeHost(t):
    drain = drainHost(t)
    t.owner.post(drain.path)
    return Example(t.owner, drain.path.replace("drain", "resume"), {})


@example
def retireHost(t):
    return Example(t.owner, f"/v1/hosts/{t.new_host().id}/retire", {})


@example
def createListing(t):
    return Example(t.owner, "/v1/listings", {
        "host_id": t.farm.id, "card_ids": [next(t.spare_cards)], "ask_micros_per_hour": 9_000_000,
        "spot_floor_micros_per_hour": 8_500_000, "term_min_ms": 60_000, "term_max_ms": HOUR,
        "reclaim_notice_ms": 1000, "bundle_min": 1,
        "storage_micros_per_gib_month": 70_000, "egress_micros_per_gib": 20_000,
        "share_min_thousandths": 500, "windows": ["mon 00:00-mon 00:00"], "windows_utc_offset_minutes": 60,
        "renters_allowed": [t.owner.organization], "renters_blocked": ["org_" + "0" * 26],
        "images_allowed": ["registry.example/*"],
        "available_from": "2026-01-01T00:00:00.000Z", "available_until": "2099-01-01T00:00:00.000Z"})


@example
def getListing(t):
    return Example(t.owner, f"/v1/listings/{t.new_listing()}")


@example
def updateListing(t):
    return Example(t.owner, f"/v1/listings/{t.new_listing()}", {
        "ask_micros_per_hour": 8_000_000, "spot_floor_micros_per_hour": 7_000_000, "reclaim_notice_ms": 2000,
        "term_min_ms": 70_000, "term_max_ms": HOUR,
        "share_min_thousandths": 200, "windows": [], "windows_utc_offset_minutes": 0, "renters_allowed": [],
        "renters_blocked": [], "images_allowed": [], "state": "paused"}, {"If-Match": '"1"'})


@example
def changeListings(t):
    return Example(t.owner, "/v1/listing-changes", {
        "filter": {"listing_ids": [t.new_listing()], "host_id": t.farm.id, "product": "Simulated 80G", "state": "open"},
        "change": {"ask_micros_per_hour": 8_000_000}, "dry_run": True})


@example
def withdrawListing(t):
    return Example(t.owner, f"/v1/listings/{t.new_listing()}/withdraw", {})


@example
def reclaimLease(t):
    return Example(t.owner, f"/v1/leases/{t.on_host().id}/reclaim", {})


# --- renters

@example
def createQuote(t):
    return Example(t.owner, "/v1/quotes", {"requirements": {"listing_id": t.big_listing["id"]}, "count": 1,
                                           "price_max_micros_per_hour": 10_000_000, "term_ms": HOUR,
                                           "stored_gib": 10, "moved_gib": 1, "hosts": 1})


@example
def saveSearch(t):
    return Example(t.owner, "/v1/saved-searches", {"name": f"search {next(t.numbers)}", "query": "price < 1"})


@example
def deleteSavedSearch(t):
    made = t.owner.post("/v1/saved-searches", saveSearch(t).body, 201)
    return Example(t.owner, f"/v1/saved-searches/{made['id']}")


@example
def testPolicyDraft(t):
    return Example(t.admin, "/v1/admin/policy/test", {
        "text": 'deny cn when renter = CN because "a draft"\n', "model": "a30", "device_class": "gpu",
        "host_country": "DE", "owner_country": "FR", "renter_country": "CN", "end_use": "research"})


@example
def createReservation(t):
    return Example(t.owner, "/v1/reservations", t.block())


@example
def getReservation(t):
    return Example(t.owner, f"/v1/reservations/{t.new_reservation()}")


@example
def cancelReservation(t):
    return Example(t.owner, f"/v1/reservations/{t.new_reservation()}/cancel", {"breach": False})


@example
def offerReservation(t):
    return Example(t.owner, f"/v1/reservations/{t.new_reservation()}/offer", {"price_micros": 5})


@example
def buyReservation(t):
    return Example(t.owner, f"/v1/reservations/{t.new_reservation(t.holder, 1000)}/buy", {"price_max_micros": 1000})


@example
def createOrder(t):
    return Example(t.owner, "/v1/orders", {
        "requirements": {"products": ["Simulated 80G"], "device_class": "gpu", "vram_bytes_min": 1, "countries": ["DE"],
                         "countries_excluded": ["US"], "listing_id": t.big_listing["id"], "host_id": t.farm.id},
        "count": 1, "thousandths": 1000, "hosts": 1, "pricing": "fixed",
        "price_max_micros_per_hour": 10_000_000, "term_ms": HOUR, "fill_or_kill": True,
        "expires_in_ms": HOUR, "job": attachJob(t, lease="").body})


@example
def getOrder(t):
    return Example(t.owner, f"/v1/orders/{t.new_standing_order()['order']['id']}")


@example
def explainOrder(t):
    return Example(t.owner, f"/v1/orders/{t.new_standing_order()['order']['id']}/explain")


@example
def cancelOrder(t):
    return Example(t.owner, f"/v1/orders/{t.new_standing_order()['order']['id']}/cancel", {})


@example
def changeBid(t):
    return Example(t.owner, f"/v1/orders/{t.new_bid()}/bid", {"price_micros_per_hour": 1_100_000})


@example
def getSpotPool(t):
    return Example(t.owner, f"/v1/spot/pools/{t.spot_pool()}")


@example
def listSpotPrices(t):
    return Example(t.owner, f"/v1/spot/pools/{t.spot_pool()}/history")


@example
def getLease(t):
    return Example(t.owner, f"/v1/leases/{t.new_lease()}")


@example
def endLease(t):
    return Example(t.owner, f"/v1/leases/{t.new_lease()}/end", {})


@example
def attachJob(t, lease=None):
    lease = t.new_lease(job=False) if lease is None else lease
    return Example(t.owner, f"/v1/leases/{lease}/job", {
        "image": "registry.example/tool:1", "command": ["sh", "-c", "true"], "env": {"A": "1"},
        "inputs": [{"path": "in/data", "artifact_id": t.new_artifact()}], "outputs": ["out"], "max_duration_ms": HOUR,
        "attempts_max": 1, "memory_bytes": 1 << 30, "cpu_millis": 500, "pids_max": 32, "disk_bytes": 1 << 24})


@example
def getReceipt(t):
    return Example(t.owner, f"/v1/leases/{t.on_host('ended').id}/receipt")


@example
def listUsage(t):
    return Example(t.owner, f"/v1/leases/{t.on_host('exited').id}/usage")


@example
def getJob(t):
    return Example(t.owner, f"/v1/jobs/{t.on_host().job}")


@example
def cancelJob(t):
    return Example(t.owner, f"/v1/jobs/{t.new_standing_order(t.job())['job']['id']}/cancel", {})


@example
def getJobLogs(t):
    lease = t.on_host()
    lease.log(0, b"hello\n")
    return Example(t.owner, f"/v1/jobs/{lease.job}/logs")


@example
def listJobOutputs(t):
    lease = t.on_host("exited", outputs=["out"])
    lease.upload_output("out", CONTENT)
    return Example(t.owner, f"/v1/jobs/{lease.job}/outputs")


@example
def createArtifact(t):
    return Example(t.owner, "/v1/artifacts", {"name": f"artifact {next(t.numbers)}", "bytes": len(CONTENT),
                                              "sha256": hashlib.sha256(CONTENT).hexdigest()})


@example
def getArtifact(t):
    return Example(t.owner, f"/v1/artifacts/{t.new_artifact()}")


@example
def getArtifactPart(t):
    return Example(t.owner, f"/v1/artifacts/{t.new_artifact()}/parts/0")


@example
def putArtifactPart(t):
    return Example(t.owner, f"/v1/artifacts/{t.new_artifact('stated')}/parts/0", CONTENT)


@example
def completeArtifact(t):
    return Example(t.owner, f"/v1/artifacts/{t.new_artifact('sent')}/complete", {})


# --- agents

@example
def enrollAgent(t):
    token = t.owner.post("/v1/enrollment-tokens", {"name": f"host {next(t.numbers)}", "country": "DE"}, 201)["token"]
    return Example(t.client(name="nobody"), "/v1/agent/enroll", t.keys.enrollment(token))


@example
def renewAgentCertificate(t):
    return Example(t.farm, "/v1/agent/certificate", {"csr": t.keys.request})


@example
def putInventory(t):
    return Example(t.new_host(), "/v1/agent/inventory", {"boot_id": BOOT, **CLAIMS,
                                                         "cards": reported_cards(f"example-{next(t.numbers)}", 2)})


@example
def postHeartbeat(t):
    lease = t.on_host()
    return Example(t.farm, "/v1/agent/heartbeat", {"boot_id": BOOT, "sequence": 1, "leases": [
        {"lease_id": lease.id, "lease_epoch": lease.epoch, "phase": "running"}]})


@example
def getDesired(t):
    return Example(t.farm, "/v1/agent/desired?wait_ms=0")


@example
def postReport(t):
    lease = t.on_host("allocated")
    return Example(t.farm, lease.path + "/report", lease.report_body("accepted"))


@example
def postUsage(t):
    lease = t.on_host()
    statement = lease.statement(1000)
    return Example(t.farm, lease.path + "/usage", {"statement": statement, "signature": t.keys.sign(statement)})


@example
def postLogs(t):
    return Example(t.farm, t.on_host().path + "/logs", {
        "sequence": 0, "entries": [{"stream": "stderr", "at": "2026-01-01T00:00:00.000Z", "data": "aGVsbG8K"}]})


@example
def listLeaseInputs(t):
    lease = t.on_host(inputs=[{"path": "data", "artifact_id": t.new_artifact()}])
    return Example(t.farm, lease.path + "/inputs")


@example
def getLeaseInputPart(t):
    artifact = t.new_artifact()
    lease = t.on_host(inputs=[{"path": "data", "artifact_id": artifact}])
    return Example(t.farm, f"{lease.path}/inputs/{artifact}/parts/0")


@example
def createLeaseOutput(t):
    return Example(t.farm, t.on_host("exited", outputs=["out"]).path + "/outputs", {
        "path": "out", "bytes": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()})


@example
def putLeaseOutputPart(t):
    lease = t.on_host("exited", outputs=["out"])
    return Example(t.farm, f"{lease.path}/outputs/{t.new_output(lease)}/parts/0", CONTENT)


@example
def completeLeaseOutput(t):
    put = putLeaseOutputPart(t)
    t.farm.expect(204, "PUT", put.path, CONTENT)
    return Example(t.farm, put.path.replace("/parts/0", "/complete"), {})


# --- the operator

@example
def createOrganization(t):
    return Example(t.admin, "/v1/admin/organizations", {"name": f"organization {next(t.numbers)}", "country": "FR"})


@example
def createOrganizationKey(t):
    return Example(t.admin, f"/v1/admin/organizations/{t.owner.organization}/keys",
                   {"name": f"key {next(t.numbers)}", "scopes": ["seller:read"], "expires_in_ms": HOUR})


@example
def createDeposit(t):
    return Example(t.admin, "/v1/admin/deposits", {"organization_id": t.owner.organization, "amount_micros": 7,
                                                   "reference": "a deposit"})


@example
def createWithdrawal(t):
    return Example(t.admin, "/v1/admin/withdrawals", {"organization_id": t.owner.organization, "account": "available",
                                                      "amount_micros": 7, "reference": "a withdrawal"})


@example
def setSpotStep(t):
    return Example(t.admin, "/v1/admin/spot", {"step_micros_per_hour": 10_000})


@example
def setFee(t):
    return Example(t.admin, "/v1/admin/fee", {"fee_ppm": 50_000})


@example
def setPolicy(t):
    now = t.owner.get("/v1/policy")["version"]
    return Example(t.admin, "/v1/admin/policy", {"replaces_version": now, "text": f"# version {now + 1}\n"})


def new_approval_body(t):
    return {"organization_id": t.organization(RENTER).organization, "model": "h100-sxm", "note": "a test"}


@example
def createApproval(t):
    return Example(t.admin, "/v1/admin/approvals", new_approval_body(t))


@example
def deleteApproval(t):
    made = t.admin.post("/v1/admin/approvals", new_approval_body(t), 201)["id"]
    return Example(t.admin, "/v1/admin/approvals/" + made)


@example
def approveOrder(t):
    return Example(t.admin, f"/v1/admin/orders/{t.new_standing_order()['order']['id']}/approve", {})


@example
def createFreeze(t):
    return Example(t.admin, "/v1/admin/freezes", {"kind": "image", "target": f"bad/image:{next(t.numbers)}",
                                                  "note": "a test"})


@example
def deleteFreeze(t):
    return Example(t.admin, f"/v1/admin/freezes/{t.new_freeze()}")
