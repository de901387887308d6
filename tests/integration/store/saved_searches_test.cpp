// Saved searches: one organization's own, each name once, a bounded number, and on record.
#include "store/saved_searches.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "integration/store/accounts_rows.hpp"

namespace fallow::store {
namespace {

using accounts::SavedSearch;
using accounts::SavedSearchId;
using Json = nlohmann::json;

SavedSearch a_search(std::uint64_t number, const std::string& name, OrganizationId organization = renter) {
    return {SavedSearchId(RawId{0x60, number}), organization, name, "model = \"h100\"", test_now};
}

Result<SavedSearch> save(AccountRows& rows, const SavedSearch& search) {
    return rows.as(Actor::request(search.organization),
                   [&](Transaction& tx) { return SavedSearchStore(tx, test_author).create(search); });
}

Result<SavedSearch> find(AccountRows& rows, OrganizationId organization, const std::string& name) {
    return rows.as(Actor::request(organization),
                   [&](Transaction& tx) { return SavedSearchStore(tx, test_author).find(name); });
}

Status remove(AccountRows& rows, OrganizationId organization, SavedSearchId search) {
    return rows.as(Actor::request(organization),
                   [&](Transaction& tx) { return SavedSearchStore(tx, test_author).remove(search); });
}

TEST_CASE("a saved search is found by its name, by its own organization alone") {
    AccountRows rows;
    CHECK(save(rows, a_search(1, "cheap")).value() == a_search(1, "cheap"));
    CHECK(find(rows, renter, "cheap").value() == a_search(1, "cheap"));
    CHECK(find(rows, renter, "Cheap").error().code == ErrorCode::not_found);
    CHECK(find(rows, seller, "cheap").error().code == ErrorCode::not_found);
    CHECK(remove(rows, seller, a_search(1, "").id).error().code == ErrorCode::not_found);
    CHECK(find(rows, renter, "cheap").ok());
}

TEST_CASE("a name is taken once in an organization, and free again when its search is deleted") {
    AccountRows rows;
    REQUIRE(save(rows, a_search(1, "cheap")).ok());
    const auto again = save(rows, a_search(2, "cheap"));
    CHECK(again.error().code == ErrorCode::name_taken);
    CHECK(again.error().pointer == "/name");
    CHECK(save(rows, a_search(3, "cheap", seller)).ok());
    CHECK(remove(rows, renter, a_search(1, "").id).ok());
    CHECK(remove(rows, renter, a_search(1, "").id).error().code == ErrorCode::not_found);
    CHECK(find(rows, renter, "cheap").error().code == ErrorCode::not_found);
    CHECK(save(rows, a_search(2, "cheap")).ok());
}

TEST_CASE("an organization keeps a bounded number of searches") {
    AccountRows rows;
    rows.poke("INSERT INTO saved_searches SELECT gen_random_uuid(), '" + format_uuid(renter.raw) +
              "', 'search ' || n, 'free', 1 FROM generate_series(1, 99) AS n");
    CHECK(save(rows, a_search(1, "the hundredth")).ok());
    CHECK(save(rows, a_search(2, "one more")).error().code == ErrorCode::limit_reached);
    CHECK(save(rows, a_search(3, "another's", seller)).ok());
    CHECK(remove(rows, renter, a_search(1, "").id).ok());
    CHECK(save(rows, a_search(2, "one more")).ok());
}

TEST_CASE("what is saved and deleted is in the journal of what is not market") {
    AccountRows rows;
    REQUIRE(save(rows, a_search(1, "cheap")).ok());
    REQUIRE(remove(rows, renter, a_search(1, "").id).ok());
    for (const auto& [sequence, event] :
         {std::pair{"1", "saved_search.created"}, {"2", "saved_search.deleted"}}) {
        const std::string record = rows.peek(
            "SELECT record FROM journal WHERE stream = 'accounts' AND seq = " + std::string(sequence));
        const Json entry = Json::parse(record).at("entries").at(0);
        CHECK(entry.at("event") == event);
        CHECK(entry.at("t") == "saved_searches");
        CHECK(entry.at("orgs") == Json{renter.text()});
        CHECK(entry.at("row").at("name") == "cheap");
        CHECK(entry.at("row").at("query") == "model = \"h100\"");
    }
}

}  // namespace
}  // namespace fallow::store
