// Cursors, the filter of used keys, times as text, sealed replies, the lookup cache, and host key
// certificates.
#include <catch2/catch.hpp>

#include "api/clock_text.hpp"
#include "api/cursor.hpp"
#include "api/host_key.hpp"
#include "api/key_filter.hpp"
#include "api/lookup_cache.hpp"
#include "api/sealed_reply.hpp"
#include "api/stream_limits.hpp"
#include "auth/base64.hpp"

using namespace fallow;
using namespace fallow::api;

TEST_CASE("a cursor comes back as it was") {
    const CursorKey key{{-5, INT64_MAX}, RawId{1, 2}};
    const std::string text = encode_cursor("orders", key);
    CHECK(std::ranges::all_of(text, auth::is_base64url_digit));
    const auto decoded = decode_cursor("orders", text, 2);
    REQUIRE(decoded.ok());
    CHECK(*decoded == key);
}

TEST_CASE("a cursor is good on its own list alone") {
    const std::string text = encode_cursor("orders", {{7}, RawId{1, 2}});
    const auto wrong = GENERATE_REF(values<std::string>(
        {"", "!", "AAAA", text + "A", text.substr(1), encode_cursor("leases", {{7}, RawId{1, 2}}),
         encode_cursor("orders", {{7, 8}, RawId{1, 2}}), encode_cursor("orders", {{}, RawId{1, 2}}),
         auth::base64url_encode("orders|7x|00000000-0000-0001-0000-000000000002"), std::string(300, 'A')}));
    INFO(wrong);
    const auto decoded = decode_cursor("orders", wrong, 1);
    REQUIRE_FALSE(decoded.ok());
    CHECK(decoded.error().code == ErrorCode::invalid_cursor);
    CHECK(decoded.error().pointer == "query:cursor");
}

TEST_CASE("a list's query is read strictly") {
    http::Request request;
    CHECK(read_page(request, "t", 1)->limit == 50);
    request.query = {{"limit", "100"}};
    CHECK(read_page(request, "t", 1)->limit == 100);
    for (const char* wrong : {"0", "101", "-1", "x", "", "1.5"}) {
        INFO(wrong);
        request.query = {{"limit", wrong}};
        CHECK(read_page(request, "t", 1).error().pointer == "query:limit");
    }
    request.query = {{"limti", "1"}};
    CHECK(check_query(request, {"limit"}).error().code == ErrorCode::unknown_field);
    request.query = {{"limit", "1"}, {"limit", "2"}};
    CHECK(check_query(request, {"limit"}).error().code == ErrorCode::invalid_field);
}

TEST_CASE("the key filter never forgets a key, and rarely sees one that is not there") {
    constexpr int keys = 20'000;
    KeyFilter filter(keys * 2);  // 16 bits a key
    const OrganizationId organization(RawId{1, 1});
    for (int i = 0; i < keys; ++i)
        filter.add(organization, "POST /v1/orders", "key-" + std::to_string(i));
    int wrong = 0;
    for (int i = 0; i < keys; ++i) {
        CHECK(filter.maybe_contains(organization, "POST /v1/orders", "key-" + std::to_string(i)));
        wrong +=
            filter.maybe_contains(organization, "POST /v1/orders", "other-" + std::to_string(i)) ? 1 : 0;
    }
    CHECK(wrong < keys / 50);
    CHECK_FALSE(filter.maybe_contains(OrganizationId(RawId{1, 2}), "POST /v1/orders", "key-1"));
    CHECK_FALSE(filter.maybe_contains(organization, "POST /v1/listings", "key-1"));
}

TEST_CASE("the key filter forgets after two turns") {
    KeyFilter filter(1024);
    const OrganizationId organization(RawId{1, 1});
    filter.add(organization, "r", "old");
    filter.rotate();
    filter.add(organization, "r", "new");
    CHECK(filter.maybe_contains(organization, "r", "old"));
    CHECK(filter.maybe_contains(organization, "r", "new"));
    filter.rotate();
    CHECK_FALSE(filter.maybe_contains(organization, "r", "old"));
    CHECK(filter.maybe_contains(organization, "r", "new"));
}

TEST_CASE("the key filter is complete for one epoch") {
    KeyFilter filter(64);
    CHECK_FALSE(filter.is_complete_for(0));
    filter.complete_for(4);
    CHECK(filter.is_complete_for(4));
    CHECK_FALSE(filter.is_complete_for(5));
}

TEST_CASE("times as RFC 3339 has them") {
    struct Row {
        std::string text;
        std::optional<std::int64_t> ms;
    };
    const auto row = GENERATE(values<Row>({
        {"1970-01-01T00:00:00Z", 0},
        {"2026-01-02T03:04:05.678Z", 1767323045678},
        {"2026-01-02t03:04:05.6z", 1767323045600},
        {"2026-01-02T03:04:05.678999999Z", 1767323045678},
        {"2026-01-02T04:04:05.678+01:00", 1767323045678},
        {"2026-01-01T22:34:05.678-04:30", 1767323045678},
        {"2024-02-29T00:00:00Z", 1709164800000},
        {"2026-02-29T00:00:00Z", std::nullopt},
        {"2026-13-01T00:00:00Z", std::nullopt},
        {"2026-01-01T24:00:00Z", std::nullopt},
        {"2026-01-01T00:60:00Z", std::nullopt},
        {"2026-01-01T00:00:60Z", std::nullopt},
        {"2026-01-01T00:00:00", std::nullopt},
        {"2026-01-01 00:00:00Z", std::nullopt},
        {"2026-01-01T00:00:00.Z", std::nullopt},
        {"2026-01-01T00:00:00.1234567890Z", std::nullopt},
        {"2026-01-01T00:00:00+1:00", std::nullopt},
        {"2026-01-01T00:00:00Zx", std::nullopt},
        {"1970-01-01T00:00:00+00:01", std::nullopt},
        {"1969-12-31T00:00:00Z", std::nullopt},
        {"", std::nullopt},
    }));
    INFO(row.text);
    const auto parsed = parse_rfc3339(row.text);
    CHECK(parsed.has_value() == row.ms.has_value());
    if (parsed && row.ms) CHECK(parsed->ms == *row.ms);
    if (parsed) CHECK(parse_rfc3339(to_rfc3339(*parsed)) == parsed);
}

TEST_CASE("a sealed reply opens for its own caller alone") {
    const std::string sealed = seal_reply("key\nidempotency", R"({"secret":"s"})");
    CHECK(sealed.find("secret") == std::string::npos);
    CHECK(open_reply("key\nidempotency", sealed) == R"({"secret":"s"})");
    CHECK_FALSE(open_reply("other\nidempotency", sealed).has_value());
    std::string changed = sealed;
    changed[40] = changed[40] == 'A' ? 'B' : 'A';
    CHECK_FALSE(open_reply("key\nidempotency", changed).has_value());
    CHECK_FALSE(open_reply("key\nidempotency", "").has_value());
    CHECK(sealed != seal_reply("key\nidempotency", R"({"secret":"s"})"));
}

namespace {

/// A cache over loads that the test ends itself, and a clock that it moves.
struct CacheFixture {
    using Cache = LookupCache<int>;
    Cache::Clock::time_point now{};
    std::vector<std::pair<std::string, Cache::Done>> loads;
    Cache cache{
        2, [this](const std::string& name, Cache::Done done) { loads.emplace_back(name, std::move(done)); },
        [this] { return now; }};

    std::vector<int> got;
    Cache::Done take() {
        return [this](const Cache::Found& found) { got.push_back(found ? *found : -1); };
    }
    void finish(std::size_t load, int value) { loads.at(load).second(std::make_shared<const int>(value)); }
};

}  // namespace

TEST_CASE("lookups of one name at the same time are one lookup") {
    CacheFixture fixture;
    fixture.cache.get("a", fixture.take());
    fixture.cache.get("a", fixture.take());
    REQUIRE(fixture.loads.size() == 1);
    CHECK(fixture.got.empty());
    fixture.finish(0, 7);
    CHECK(fixture.got == std::vector<int>{7, 7});
    fixture.cache.get("a", fixture.take());
    CHECK(fixture.got == std::vector<int>{7, 7, 7});
    CHECK(fixture.loads.size() == 1);
}

TEST_CASE("a value is renewed while it is used, and never used for a second") {
    CacheFixture fixture;
    fixture.cache.get("a", fixture.take());
    fixture.finish(0, 1);
    fixture.now += std::chrono::milliseconds(600);
    fixture.cache.get("a", fixture.take());
    CHECK(fixture.got == std::vector<int>{1, 1});
    REQUIRE(fixture.loads.size() == 2);
    fixture.now += std::chrono::milliseconds(350);
    fixture.cache.get("a", fixture.take());
    CHECK(fixture.got.size() == 2);  // 950 ms: too old, waits for the renewal that is on its way
    CHECK(fixture.loads.size() == 2);
    fixture.finish(1, 2);
    CHECK(fixture.got == std::vector<int>{1, 1, 2});
    // What was asked 350 ms ago is that old already.
    fixture.now += std::chrono::milliseconds(200);
    fixture.cache.get("a", fixture.take());
    CHECK(fixture.loads.size() == 3);
}

TEST_CASE("what is vouched for holds until something changes, and for a minute at most") {
    std::vector<std::pair<std::string, LookupCache<int>::Done>> loads;
    LookupCache<int>::Clock::time_point now{};
    std::uint64_t version = 1;
    LookupCache<int> cache{
        2, [&](const std::string& name, LookupCache<int>::Done done) { loads.emplace_back(name, done); },
        [&] { return now; }, [&] { return version; }};
    int got = 0;
    const auto take = [&](const LookupCache<int>::Found& found) { got = *found; };
    const auto ask = [&](std::size_t loads_then) {
        cache.get("a", take);
        CHECK(loads.size() == loads_then);
    };
    const auto answer = [&](int value) { loads.back().second(std::make_shared<const int>(value)); };
    ask(1);
    answer(7);
    now += std::chrono::seconds(59);
    ask(1);
    CHECK(got == 7);
    version = 2;  // something was revoked
    ask(2);
    version = 3;  // and something else, while it was looked up
    answer(8);
    now += std::chrono::seconds(1);
    ask(3);
    answer(9);
    version = 0;  // nobody can tell any more
    now += std::chrono::milliseconds(901);
    ask(4);
    answer(10);
    version = 3;  // what was looked up meanwhile has nobody to vouch for it
    now += std::chrono::milliseconds(901);
    ask(5);
    answer(11);
    now += std::chrono::seconds(61);
    ask(6);
    answer(12);
    CHECK(got == 12);
}

TEST_CASE("a lookup that failed is not remembered") {
    CacheFixture fixture;
    fixture.cache.get("a", fixture.take());
    fixture.loads[0].second(nullptr);
    CHECK(fixture.got == std::vector<int>{-1});
    fixture.cache.get("a", fixture.take());
    CHECK(fixture.loads.size() == 2);
}

TEST_CASE("the cache has a bound") {
    CacheFixture fixture;
    for (const char* name : {"a", "b", "c", "d"}) {
        fixture.cache.get(name, fixture.take());
        fixture.finish(fixture.loads.size() - 1, 1);
    }
    CHECK(fixture.cache.size() <= 2);
    CHECK(fixture.got.size() == 4);
}

TEST_CASE("an organization's streams have a bound, and give their places back") {
    StreamLimits limits;
    const OrganizationId organization(RawId{1, 1});
    std::vector<std::unique_ptr<StreamLimits::Place>> places;
    for (int i = 0; i < streams_per_organization_max; ++i)
        places.push_back(limits.enter(organization));
    CHECK(places.back() != nullptr);
    CHECK(limits.enter(organization) == nullptr);
    CHECK(limits.enter(OrganizationId(RawId{1, 2})) != nullptr);
    places.pop_back();
    CHECK(limits.enter(organization) != nullptr);
}

TEST_CASE("the server's word for a host's key verifies") {
    const auth::SigningKey signer = auth::SigningKey::generate();
    const HostId host(RawId{0, 5});
    const std::string kept = certify_host_key(signer, host, "a2V5", Time(1000));
    const auto certificate = host_key_certificate(host, "a2V5", kept);
    REQUIRE(certificate.has_value());
    CHECK(certificate->statement ==
          "fallow-host-key-v1\nhost: host_00000000000000000000000005\nkey: a2V5\n"
          "registered_at: 1970-01-01T00:00:01.000Z\n");
    CHECK(auth::verify(signer.public_key(), certificate->statement,
                       *auth::base64_decode(certificate->signature)));
    CHECK_FALSE(host_key_certificate(host, "a2V5", "").has_value());
}
