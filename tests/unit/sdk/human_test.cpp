#include "fallow/human.hpp"

#include <catch2/catch.hpp>
#include <limits>

namespace fallow::sdk {
namespace {

using Number = std::optional<std::int64_t>;
struct Row {
    std::string text;
    Number value;
};

TEST_CASE("amounts in USD are read exactly or not at all") {
    const auto row = GENERATE(values<Row>({
        {"2.50", 2'500'000},
        {"$2.50", 2'500'000},
        {"0", 0},
        {"12", 12'000'000},
        {"0.000001", 1},
        {"0.1", 100'000},
        {"0.30", 300'000},
        {"2.5000000", 2'500'000},  // a seventh decimal that says nothing
        {"0.0000001", {}},
        {"9223372036854.775807", {}},  // 19 digits
        {"99999999999.999999", 99'999'999'999'999'999},
        {"999999999999999999", {}},
        {"", {}},
        {"$", {}},
        {".5", {}},
        {"5.", {}},
        {"1.2.3", {}},
        {"-1", {}},
        {"+1", {}},
        {"1e3", {}},
        {" 1", {}},
        {"1,000", {}},
        {"€1", {}},
    }));
    CAPTURE(row.text);
    CHECK(parse_usd(row.text) == row.value);
}

TEST_CASE("amounts are written with two decimals, and more only where they matter") {
    struct Money {
        std::int64_t micros;
        std::string text;
    };
    const auto row = GENERATE(values<Money>({
        {0, "$0.00"},
        {2'500'000, "$2.50"},
        {1, "$0.000001"},
        {125, "$0.000125"},
        {1'234'500, "$1.2345"},
        {-1'000'000, "-$1.00"},
        {std::numeric_limits<std::int64_t>::max(), "$9223372036854.775807"},
        {std::numeric_limits<std::int64_t>::min(), "-$9223372036854.775808"},
    }));
    CHECK(format_usd(row.micros) == row.text);
}

TEST_CASE("durations need units, from large to small, each once") {
    const auto row = GENERATE(values<Row>({
        {"2h", 7'200'000},
        {"90s", 90'000},
        {"1h30m", 5'400'000},
        {"250ms", 250},
        {"1m250ms", 60'250},
        {"7d", 604'800'000},
        {"1d1h1m1s1ms", 90'061'001},
        {"0s", 0},
        {"", {}},
        {"2", {}},
        {"h", {}},
        {"1.5h", {}},
        {"30m1h", {}},
        {"1h1h", {}},
        {"1s1s", {}},
        {"1 h", {}},
        {"-1h", {}},
        {"1w", {}},
        {"106751991167d", 9'223'372'036'828'800'000},
        {"106751991168d", {}},
    }));
    CAPTURE(row.text);
    CHECK(parse_duration(row.text) == row.value);
}

TEST_CASE("durations are written exactly") {
    struct Span {
        std::int64_t ms;
        std::string text;
    };
    const auto row = GENERATE(values<Span>({
        {0, "0s"},
        {1, "0.001s"},
        {12'345, "12.345s"},
        {60'000, "1m"},
        {5'400'000, "1h 30m"},
        {90'061'001, "1d 1h 1m 1.001s"},
        {-1'000, "-1s"},
    }));
    CHECK(format_duration(row.ms) == row.text);
}

TEST_CASE("sizes are binary with an i and decimal without, and whole bytes") {
    const auto row = GENERATE(values<Row>({
        {"80GiB", 85'899'345'920},
        {"512MiB", 536'870'912},
        {"1.5TiB", 1'649'267'441'664},
        {"0.5KiB", 512},
        {"2GB", 2'000'000'000},
        {"1kB", 1'000},
        {"1024", 1'024},
        {"7B", 7},
        {"0.3KiB", {}},
        {"", {}},
        {"GiB", {}},
        {"80 GiB", {}},
        {"80gib", {}},
        {"80G", {}},
        {"-1GiB", {}},
        {"99999999TiB", {}},
    }));
    CAPTURE(row.text);
    CHECK(parse_size(row.text) == row.value);
}

TEST_CASE("sizes are written in the largest unit that fits") {
    struct Size {
        std::int64_t bytes;
        std::string text;
    };
    const auto row = GENERATE(values<Size>({
        {0, "0 B"},
        {1'023, "1023 B"},
        {1'024, "1 KiB"},
        {1'572'864, "1.5 MiB"},
        {85'899'345'920, "80 GiB"},
        {85'899'345'919, "79.99 GiB"},
    }));
    CHECK(format_size(row.bytes) == row.text);
}

TEST_CASE("cores and fees") {
    CHECK(parse_thousandths("2.5") == Number(2'500));
    CHECK(parse_thousandths("0.001") == Number(1));
    CHECK(parse_thousandths("0.0005") == Number());
    CHECK(parse_percent_ppm("2.5") == Number(25'000));
    CHECK(parse_percent_ppm("5%") == Number(50'000));
    CHECK(parse_percent_ppm("0.00001") == Number());
    CHECK(format_ppm(25'000) == "2.5%");
    CHECK(format_ppm(0) == "0%");
    CHECK(format_ppm(1) == "0.0001%");
}

}  // namespace
}  // namespace fallow::sdk
