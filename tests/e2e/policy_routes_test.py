#!/usr/bin/env python3
"""The jurisdiction policy over the API: what is refused and why, approvals, versions, the dry run."""
from routes_fixture import RENTER, SELLER, RoutesTest, run_tests

H100 = "NVIDIA H100 80GB HBM3"


class PolicyTest(RoutesTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller = cls.organization(SELLER, country="SG")
        cls.german = cls.organization(RENTER, deposit_micros=10**9)
        cls.chinese = cls.organization(RENTER, deposit_micros=10**9, country="CN")
        cls.farm = cls.host(cls.seller, cards=8, product=H100)
        cls.offer = cls.listing(cls.seller, cls.farm)

    def order(self, **changes):
        return {"requirements": {"products": [H100]}, "price_max_micros_per_hour": 10_000_000, "term_ms": 3_600_000,
                **changes}

    def set_policy(self, text):
        now = self.german.get("/v1/policy")["version"]
        made = self.admin.expect(200, "PUT", "/v1/admin/policy", {"replaces_version": now, "text": text})
        self.assertEqual(made["version"], now + 1)
        return made

    def place(self, client, **changes):
        return client.post("/v1/orders", self.order(**changes), 201)

    def test_a_refusal_names_the_rule_and_is_on_record(self):
        made = self.set_policy('deny no-cn when renter = CN because "a test"\n')
        self.assertEqual(made["rules"], [{"name": "no-cn", "effect": "deny", "reason": "a test"}])
        placed = self.place(self.chinese, fill_or_kill=True)
        order = placed["order"]
        self.assertEqual((placed["lease"], placed["job"]), (None, None))
        self.assertEqual((order["state"], order["reason"]), ("rejected", "policy_denied"))
        self.assertEqual((order["policy_version"], order["policy_rule"], order["policy_effect"]),
                         (made["version"], "no-cn", "deny"))
        self.assertEqual(self.chinese.get("/v1/orders/" + order["id"]), order)
        allowed = self.place(self.german, fill_or_kill=True)
        self.assertEqual((allowed["order"]["policy_rule"], allowed["lease"]["policy_version"],
                          allowed["lease"]["policy_rule"]), (None, made["version"], None))
        self.german.post(f"/v1/leases/{allowed['lease']['id']}/end")

    def test_an_order_waits_for_an_approval(self):
        self.set_policy('needs-approval ask when tpp >= 4800 and renter = CN because "a test"\n')
        first = self.place(self.chinese)["order"]
        second = self.place(self.chinese)["order"]
        self.assertEqual([order["policy_effect"] for order in (first, second)], ["needs_approval"] * 2)
        approved = self.admin.post(f"/v1/admin/orders/{first['id']}/approve")
        self.assertEqual((approved["state"], approved["approved"]), ("filled", True))
        self.assertEqual(self.chinese.get("/v1/orders/" + second["id"])["state"], "standing")
        approval = self.admin.post("/v1/admin/approvals", {"organization_id": self.chinese.organization,
                                                           "model": "h100-sxm", "note": "licence"}, 201)
        self.assertEqual(self.chinese.get("/v1/orders/" + second["id"])["state"], "filled")
        self.assertIn(approval, self.admin.get("/v1/admin/approvals")["items"])
        self.admin.expect(204, "DELETE", "/v1/admin/approvals/" + approval["id"])
        self.assertEqual(self.place(self.chinese)["order"]["state"], "standing")

    def test_the_dry_run_names_the_rule(self):
        self.set_policy('needs-approval ask when tpp >= 4800 and renter in (CN, MO) and end_use = ai_training\n'
                        '  because "a test"\ndeny unknown when catalog = unknown and device = gpu because "b"\n')
        rows = [("model=h100-sxm&host_country=SG&renter_country=CN&end_use=ai_training", "needs_approval", "ask"),
                ("model=h100-sxm&host_country=SG&renter_country=CN", "allow", None),
                ("model=rtx-4090d&host_country=SG&renter_country=CN&end_use=ai_training", "allow", None),
                ("host_country=SG&renter_country=DE", "deny", "unknown"),
                ("host_country=SG&renter_country=DE&device_class=cpu", "allow", None)]
        for query, effect, rule in rows:
            with self.subTest(query=query):
                verdict = self.admin.get("/v1/admin/policy/test?" + query)
                self.assertEqual((verdict["effect"], verdict["rule"]), (effect, rule))

    def test_a_draft_is_tried_and_not_set(self):
        before = self.german.get("/v1/policy")
        text = 'needs-approval ask when tpp >= 4800 and renter = CN and end_use = ai_training because "a draft"\n'
        case = {"text": text, "model": "h100-sxm", "host_country": "SG", "renter_country": "CN"}
        for changes, effect, rule in (({}, "allow", None), ({"end_use": "ai_training"}, "needs_approval", "ask"),
                                      ({"end_use": "ai_training", "model": "rtx-4090d"}, "allow", None),
                                      ({"end_use": "ai_training", "text": ""}, "allow", None)):
            with self.subTest(changes=changes):
                verdict = self.admin.expect(200, "POST", "/v1/admin/policy/test", {**case, **changes})
                self.assertEqual((verdict["effect"], verdict["rule"], verdict["version"]), (effect, rule, None))
        self.assertEqual(self.german.get("/v1/policy"), before)
        rows = [({**case, "text": "deny"}, 422, "invalid_field", "/text"),
                ({**case, "model": "h1000"}, 422, "invalid_field", "/model"),
                ({**case, "renter_country": "cn"}, 422, "invalid_field", "/renter_country"),
                ({**case, "end_use": "war"}, 422, "invalid_field", "/end_use"),
                ({"text": text, "host_country": "SG"}, 422, "missing_field", "/renter_country")]
        self.assert_rows(rows, lambda body: self.admin.call("POST", "/v1/admin/policy/test", body))
        self.assert_problem(self.german.call("POST", "/v1/admin/policy/test", case), 403, "scope_missing")

    def test_what_is_no_policy(self):
        now = self.german.get("/v1/policy")["version"]
        rows = [({"replaces_version": now, "text": "deny"}, 422, "invalid_field", "/text"),
                ({"replaces_version": now + 1, "text": ""}, 412, "precondition_failed", "/replaces_version"),
                ({"replaces_version": now, "text": "#" * 65537}, 422, "invalid_field", "/text"),
                ({"text": ""}, 422, "missing_field", "/replaces_version")]
        self.assert_rows(rows, lambda body: self.admin.call("PUT", "/v1/admin/policy", body))
        for query, pointer in (("renter_country=DE", "query:host_country"), ("host_country=de", "query:host_country"),
                               ("host_country=DE&renter_country=DE&model=x", "query:model"),
                               ("host_country=DE&renter_country=DE&end_use=x", "query:end_use")):
            self.assert_problem(self.admin.call("GET", "/v1/admin/policy/test?" + query), 422, "invalid_field", pointer)
        self.assert_problem(self.chinese.call("POST", "/v1/orders", self.order(end_use="mining")), 422,
                            "invalid_field", "/end_use")

    def test_versions_are_kept(self):
        first = self.set_policy("# one\n")
        second = self.set_policy("# two\n")
        versions = self.admin.get("/v1/admin/policy/versions?limit=2")["items"]
        self.assertEqual([row["version"] for row in versions], [second["version"], first["version"]])
        self.assertEqual(self.german.get(f"/v1/policy?version={first['version']}"), first)
        self.assertEqual(self.german.get("/v1/policy")["text"], "# two\n")
        self.assert_problem(self.german.call("GET", "/v1/policy?version=999"), 404, "not_found")
        built_in = self.german.get("/v1/policy?version=0")
        self.assertIn("us-3a090a-renter", [rule["name"] for rule in built_in["rules"]])


if __name__ == "__main__":
    run_tests()
