#include "accounts/journal.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace fallow::accounts {
namespace {

using Json = nlohmann::json;

TEST_CASE("a journal record holds row after-images with their events") {
    ApiKey key;
    key.id = KeyId(RawId{1, 2});
    key.organization = OrganizationId(RawId{3, 4});
    key.name = "caf\xc3\xa9 \"one\"";
    key.prefix = "fallow_abcde";
    key.scopes = {"renter:read"};
    key.created_at = Time(0);
    key.expires_at = Time(86'400'000);
    const Json expected = {{"v", 1},
                           {"entries",
                            {{{"t", "api_keys"},
                              {"id", key.id.text()},
                              {"event", "key.created"},
                              {"reason", nullptr},
                              {"actor", "key_x"},
                              {"orgs", {key.organization.text()}},
                              {"row",
                               {{"id", key.id.text()},
                                {"organization_id", key.organization.text()},
                                {"name", "caf\xc3\xa9 \"one\""},
                                {"prefix", "fallow_abcde"},
                                {"scopes", {"renter:read"}},
                                {"created_at", "1970-01-01T00:00:00.000Z"},
                                {"expires_at", "1970-01-02T00:00:00.000Z"},
                                {"revoked_at", nullptr}}}}}}};
    CHECK(Json::parse(journal_record({journal_entry(key, "key.created", "key_x")})) == expected);
}

TEST_CASE("tokens and certificates are journalled with their host") {
    EnrollmentToken token;
    token.id = TokenId(RawId{1, 1});
    token.host = HostId(RawId{2, 2});
    AgentCertificate certificate;
    certificate.serial_hex = "0abc";
    certificate.host = HostId(RawId{2, 2});
    const Json record =
        Json::parse(journal_record({journal_entry(token, "token.created", "system"),
                                    journal_entry(certificate, "certificate.issued", "host_y")}));
    REQUIRE(record["entries"].size() == 2);
    CHECK(record["entries"][0]["row"]["host_id"] == token.host->text());
    CHECK(record["entries"][0]["row"]["used_at"].is_null());
    CHECK(record["entries"][1]["id"] == "0abc");
    CHECK(record["entries"][1]["t"] == "agent_certificates");
}

}  // namespace
}  // namespace fallow::accounts
