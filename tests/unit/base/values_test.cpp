// Time, 128-bit decimals, results, errors and the relations of the limits.
#include <catch2/catch.hpp>
#include <limits>
#include <set>

#include "base/error.hpp"
#include "base/int128.hpp"
#include "base/limits.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

using namespace fallow;

TEST_CASE("times are written in UTC with milliseconds", "[time]") {
    struct Row {
        std::int64_t ms;
        std::string text;
    };
    const Row rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1, "1970-01-01T00:00:00.001Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {1'767'323'045'678, "2026-01-02T03:04:05.678Z"},
        {1'709'164'800'000, "2024-02-29T00:00:00.000Z"},
        {4'102'444'800'000, "2100-01-01T00:00:00.000Z"},
        {253'402'300'799'999, "9999-12-31T23:59:59.999Z"},
    };
    for (const Row& row : rows)
        CHECK(to_rfc3339(Time(row.ms)) == row.text);
}

TEST_CASE("spans and moments add up", "[time]") {
    CHECK(Time(1000) + seconds(2) == Time(3000));
    CHECK(Time(1000) - seconds(2) == Time(-1000));
    CHECK(Time(5000) - Time(2000) == seconds(3));
    CHECK(days(1) == hours(24));
    CHECK(hours(1) == minutes(60));
    CHECK(seconds(3) - seconds(1) == Millis(2000));
    CHECK(minutes(1) < minutes(2));
}

TEST_CASE("128-bit numbers as text and back", "[int128]") {
    const Int128 large = Int128{std::numeric_limits<std::int64_t>::max()} * 1'000'000'000;
    struct Row {
        Int128 value;
        std::string text;
    };
    const Row rows[] = {
        {0, "0"},
        {7, "7"},
        {-7, "-7"},
        {1'000'000, "1000000"},
        {std::numeric_limits<std::int64_t>::min(), "-9223372036854775808"},
        {large, "9223372036854775807000000000"},
        {-large, "-9223372036854775807000000000"},
    };
    for (const Row& row : rows) {
        CHECK(to_decimal(row.value) == row.text);
        CHECK((parse_decimal(row.text) == row.value));
    }
    for (const std::string text : {"", "-", "+1", " 1", "1 ", "1.0", "0x1", "--1", "1e3"}) {
        INFO(text);
        CHECK_FALSE(parse_decimal(text).has_value());
    }
    CHECK(parse_decimal(std::string(38, '9')).has_value());
    CHECK_FALSE(parse_decimal(std::string(39, '9')).has_value());
}

TEST_CASE("a result is a value or a refusal", "[result]") {
    Result<std::string> good = std::string("abc");
    CHECK(good.ok());
    CHECK(*good == "abc");
    CHECK(good->size() == 3);
    good.value() += "d";
    CHECK(std::move(good).value() == "abcd");
    const Result<std::string> bad = refuse(ErrorCode::invalid_field, "Too short.", "/name");
    CHECK_FALSE(bad);
    CHECK(bad.error() == Error{ErrorCode::invalid_field, "Too short.", "/name"});
    const Status done = Done{};
    CHECK(done.ok());
}

TEST_CASE("every error has a name of its own, a title and a kind", "[errors]") {
    std::set<std::string> names;
    std::size_t codes = 0;
    const auto look = [&](ErrorCode code, const std::string& name, ErrorKind kind, bool retryable) {
        CHECK(name_of(code) == name);
        CHECK(kind_of(code) == kind);
        CHECK(is_retryable(code) == retryable);
        CHECK_FALSE(title_of(code).empty());
        CHECK(title_of(code).back() != '.');
        names.insert(name);
        ++codes;
    };
#define FALLOW_ERROR(code, kind, retryable, title) look(ErrorCode::code, #code, ErrorKind::kind, retryable);
#include "base/errors.def"
#undef FALLOW_ERROR
    CHECK(names.size() == codes);
    CHECK(is_retryable(ErrorCode::queue_full));
    CHECK_FALSE(is_retryable(ErrorCode::idempotency_key_reused));
}

TEST_CASE("the largest lease's exact charge fits in 127 bits", "[limits]") {
    // price × time × thousandths of all its cards, before the division (ledger's numerator).
    const Int128 numerator = Int128{limits::price_micros_per_hour_max} * limits::term_ms_max *
                             limits::thousandths_per_card * limits::cards_per_order_max;
    CHECK((numerator > 0 && numerator < (Int128{1} << 120)));
}
