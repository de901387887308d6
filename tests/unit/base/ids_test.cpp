#include "base/ids.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <unordered_set>

using namespace fallow;

TEST_CASE("an id as text and back", "[ids]") {
    struct Row {
        RawId raw;
        std::string text;
    };
    const Row rows[] = {
        {{0, 0}, "lease_00000000000000000000000000"},  {{0, 1}, "lease_00000000000000000000000001"},
        {{0, 31}, "lease_0000000000000000000000000z"}, {{0, 32}, "lease_00000000000000000000000010"},
        {{1, 0}, "lease_0000000000000g000000000000"},  {{~0ULL, ~0ULL}, "lease_7zzzzzzzzzzzzzzzzzzzzzzzzz"},
    };
    for (const Row& row : rows) {
        CHECK(LeaseId(row.raw).text() == row.text);
        CHECK(LeaseId::parse(row.text) == LeaseId(row.raw));
    }
}

TEST_CASE("text that is not exactly an id is refused", "[ids]") {
    const std::string good = LeaseId(RawId{0x0123456789abcdefULL, 0xfedcba9876543210ULL}).text();
    REQUIRE(LeaseId::parse(good).has_value());
    std::string upper = good;
    for (char& c : upper)
        c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    const std::string bad[] = {
        "",
        "lease",
        "lease_",
        good + "0",
        good.substr(0, good.size() - 1),
        "order_" + good.substr(6),
        "lease-" + good.substr(6),
        " " + good.substr(1),
        upper,
        good.substr(0, 10) + "i" + good.substr(11),
        good.substr(0, 10) + "l" + good.substr(11),
        good.substr(0, 10) + "o" + good.substr(11),
        good.substr(0, 10) + "u" + good.substr(11),
        good.substr(0, 10) + std::string(1, '\0') + good.substr(11),
        "lease_8zzzzzzzzzzzzzzzzzzzzzzzzz",
    };
    for (const std::string& text : bad) {
        INFO(text);
        CHECK_FALSE(LeaseId::parse(text).has_value());
    }
}

TEST_CASE("an id as PostgreSQL's uuid and back", "[ids]") {
    const RawId raw{0x0123456789abcdefULL, 0xfedcba9876543210ULL};
    CHECK(format_uuid(raw) == "01234567-89ab-cdef-fedc-ba9876543210");
    CHECK(parse_uuid(format_uuid(raw)) == raw);
    for (const std::string text :
         {"", "0123456789abcdeffedcba9876543210", "01234567-89ab-cdef-fedc-ba987654321",
          "01234567-89ab-cdef-fedc-ba98765432100", "01234567-89AB-cdef-fedc-ba9876543210",
          "01234567_89ab-cdef-fedc-ba9876543210", "g1234567-89ab-cdef-fedc-ba9876543210"}) {
        INFO(text);
        CHECK_FALSE(parse_uuid(text).has_value());
    }
}

TEST_CASE("texts sort as the ids do", "[ids]") {
    IdMint mint(RawId{5, 6});
    for (int i = 0; i < 200; ++i) {
        const CardId a(mint.next());
        const CardId b(mint.next());
        REQUIRE((a < b) == (a.text() < b.text()));
        REQUIRE((a < b) == (format_uuid(a.raw) < format_uuid(b.raw)));
    }
}

TEST_CASE("a mint gives the same distinct ids for the same seed", "[ids]") {
    IdMint first(RawId{1, 2});
    IdMint second(RawId{1, 2});
    IdMint other(RawId{1, 3});
    std::set<RawId> seen;
    for (int i = 0; i < 1000; ++i) {
        const RawId id = first.next();
        REQUIRE(id == second.next());
        seen.insert(id);
        seen.insert(other.next());
    }
    CHECK(seen.size() == 2000);
}

TEST_CASE("ids can be keys of hash tables", "[ids]") {
    std::unordered_set<HostId> hosts;
    IdMint mint(RawId{9, 9});
    for (int i = 0; i < 100; ++i)
        hosts.insert(HostId(mint.next()));
    CHECK(hosts.size() == 100);
    CHECK(HostId{}.is_nil());
    CHECK_FALSE(hosts.begin()->is_nil());
}
