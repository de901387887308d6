// The query language: what is found, what is refused and with which words.
#include <fstream>
#include <map>
#include <random>

#include "market/search/query.hpp"
#include "market/search/reference.hpp"
#include "support/market_world.hpp"
#include "support/paths.hpp"
#include "support/text_table.hpp"

using namespace fallow;
using namespace fallow::testing;
using namespace fallow::market::search;

namespace {

/// A row that is written down: values by the field's name; a field that is not named is unknown.
class WrittenRow : public Row {
  public:
    explicit WrittenRow(const std::map<std::string, std::string>& values) {
        for (const auto& [name, text] : values) {
            const Field* field = find_field(name);
            REQUIRE(field != nullptr);
            if (field->kind == Kind::text)
                cells_[field] = text;
            else
                cells_[field] = read_value(field->kind, text).value();
        }
    }
    [[nodiscard]] Value at(const Field& field) const override {
        const auto found = cells_.find(&field);
        if (found == cells_.end()) return {};
        if (const auto* text = std::get_if<std::string>(&found->second)) return {true, 0, *text};
        return {true, std::get<std::int64_t>(found->second), {}};
    }

  private:
    std::map<const Field*, Cell> cells_;
};

const WrittenRow& an_h100() {
    static const WrittenRow row({{"model", "h100"},
                                 {"product", "NVIDIA H100 80GB HBM3"},
                                 {"driver", "550.54.14"},
                                 {"vram", "80GiB"},
                                 {"memory_bandwidth", "3.35TB/s"},
                                 {"free", "true"},
                                 {"country", "DE"},
                                 {"price", "$2.05/h"},
                                 {"term_max", "7d"},
                                 {"measured_at", "2026-02-03T04:05:06Z"},
                                 {"cpu_cores", "64"}});
    return row;
}

std::string found(const std::string& text) {
    const auto query = parse_query(text);
    if (!query) return query.error().detail;
    return query->root ? std::string(name_of(evaluate(*query, *query->root, an_h100()))) : "yes";
}

}  // namespace

TEST_CASE("What a query finds") {
    const auto rows = text_table(R"(
        query                                                             | truth
                                                                          | yes
        model = h100                                                      | yes
        MODEL = "H100"                                                    | yes
        model in (h100, h200) and vram >= 80GiB and not country = US and price < 2.10 | yes
        model = h200                                                      | no
        model in (a100, h200)                                             | no
        model not in (a100, h200)                                         | yes
        model != h100                                                     | no
        product ~ hbm3                                                    | yes
        product ~ 'HBM3'                                                  | yes
        product ~ hbm4                                                    | no
        vram >= 80 GiB                                                    | yes
        vram > 80GiB                                                      | no
        vram > 85GB                                                       | yes
        vram >= 81920MiB                                                  | yes
        memory_bandwidth >= 3.35TB/s                                      | yes
        memory_bandwidth between 3TB/s and 4TB/s                          | yes
        memory_bandwidth not between 3TB/s and 4TB/s                      | no
        price <= $2.05/h                                                  | yes
        price < $2.05                                                     | no
        price between 2 and 2.10                                          | yes
        term_max >= 7d                                                    | yes
        term_max >= 169h                                                  | no
        driver >= 550.54                                                  | yes
        driver >= 550.54.14 and driver < 551.0                            | yes
        driver > 550.100                                                  | no
        measured_at >= 2026-02-03                                         | yes
        measured_at >= 2026-02-03T04:05:07Z                               | no
        measured_at < 2026-02-03T04:05:06.001Z                            | yes
        free                                                              | yes
        not free                                                          | no
        free = false                                                      | no
        cpu_cores = 64                                                    | yes
        cpu_cores in (32, 64)                                             | yes
        vendor = nvidia                                                   | unknown
        not vendor = nvidia                                               | unknown
        vendor not in (nvidia)                                            | unknown
        vendor is unknown                                                 | yes
        vendor is not unknown                                             | no
        vendor is known or free                                           | yes
        vram is known                                                     | yes
        vendor = nvidia and free                                          | unknown
        vendor = nvidia and not free                                      | no
        vendor = nvidia or free                                           | yes
        vendor = nvidia or not free                                       | unknown
        not (model = h100 and price > 3)                                  | yes
        model = a100 or model = h100 and country = US                     | no
        (model = a100 or model = h100) and country = DE                   | yes
        not not free                                                      | yes
        model = h100 order by price desc, vram limit 5                    | yes
        order by memory_bandwidth                                         | yes
        limit 3                                                           | yes
    )");
    for (const TextRow& row : rows) {
        INFO(row["query"]);
        CHECK(found(row["query"]) == row["truth"]);
    }
}

TEST_CASE("What a query is refused for") {
    const auto rows = text_table(R"(
        query                      | refusal
        vrm >= 80GiB               | At character 1: There is no field "vrm"; did you mean "vram"?
        free and memory_bandwith > 1TB/s | At character 10: There is no field "memory_bandwith"; did you mean "memory_bandwidth"?
        xyzzy = 1                  | At character 1: There is no field "xyzzy"; GET /v1/search/fields has them all.
        vram >= 80                 | At character 9: vram is a size. The number needs a unit: give a size like 80GiB.
        vram >= 80GiD              | At character 9: vram is a size. There is no unit "GiD" here; did you mean "GiB"? The units are TiB, TB, GiB, GB, MiB, MB, KiB, KB, B.
        vram >= lots               | At character 9: vram is a size. Give a size like 80GiB, not "lots".
        vram >= 99999999TiB        | At character 9: vram is a size. "99999999TiB" is more than the server can count.
        cpu_cores > 8GiB           | At character 13: cpu_cores is a number. Give a whole number like 8, without a unit.
        model > h100               | At character 7: model is a text, which has no less or more: use =, != in or ~.
        free < true                | At character 6: free is true or false, which has no less or more: use =, != or in.
        model between a and b      | At character 15: model is a text, which has no less or more: use =, != in or ~.
        vram ~ 80                  | At character 6: "~" is for texts; vram is a size: use =, <, >, in or between.
        free = maybe               | At character 8: free is true or false. Give true or false, not "maybe".
        driver >= new              | At character 11: driver is a version. Give a version like 550.54, not "new".
        measured_at > 2026-02-30   | At character 15: measured_at is a moment. There is no such moment as "2026-02-30".
        measured_at > yesterday    | At character 15: measured_at is a moment. Give a date like 2026-01-31 or 2026-01-31T12:00:00Z, not "yesterday".
        price between 3 and 2      | At character 21: The second bound lies below the first: nothing is between them.
        free adn model = h100      | At character 6: Here is "adn", where there can be: and, or, order by, limit; did you mean "and"?
        model                      | At character 6: Here is the end, where there can be: =, !=, <, <=, >, >=, ~, in, between, is, not.
        model =                    | At character 8: Here is the end, where a value must be: give a text like DE, or "in quotes".
        model in h100              | At character 10: Here is "h100", where there can be: (.
        model in (h100             | At character 15: Here is the end, where there can be: ,, ).
        (free                      | At character 6: Here is the end, where there can be: and, or, ).
        model = 'h100              | At character 9: The text that begins with ' has no end.
        model = h100; drop         | At character 13: ";" has no meaning here; put texts in quotes.
        free order price           | At character 12: Here is "price", where there can be: by.
        free order by prise        | At character 15: There is no field "prise"; did you mean "price"?
        free limit 0               | At character 12: Give a limit from 1 to 100000.
        free limit many            | At character 12: Give a limit from 1 to 100000.
        limit 5 free               | At character 9: Nothing comes after the limit.
        free is                    | At character 8: Here is the end, where there can be: known, unknown, not.
        and free                   | At character 1: There is no field "and"; GET /v1/search/fields has them all.
    )");
    for (const TextRow& row : rows) {
        INFO(row["query"]);
        CHECK(found(row["query"]) == row["refusal"]);
    }
}

TEST_CASE("A query has bounds") {
    const auto repeated = [](const std::string& part, std::size_t times, const std::string& between = "") {
        std::string text;
        for (std::size_t i = 0; i < times; ++i)
            text += (i == 0 ? "" : between) + part;
        return text;
    };
    CHECK(found(repeated("(", 16) + "free" + repeated(")", 16)) == "yes");
    CHECK(found(repeated("(", 17) + "free" + repeated(")", 17)).ends_with("go at most 16 deep."));
    CHECK(found(repeated("not ", 17) + "free").ends_with("go at most 16 deep."));
    CHECK(found(repeated("free", 64, " or ")) == "yes");
    CHECK(found(repeated("free", 65, " or ")).ends_with("A query has at most 64 conditions."));
    CHECK(found("cpu_cores in (" + repeated("1", 256, ",") + ")") == "no");
    CHECK(found("cpu_cores in (" + repeated("1", 257, ",") + ")").ends_with("has at most 256 values."));
    CHECK(found("order by price, price, price, price, price").ends_with("at most 4 keys to order by."));
    CHECK(found("model = " + repeated("a", 101)).ends_with("A value has at most 100 bytes."));
    CHECK(found(repeated(" ", 2001)) == "A query has at most 2000 bytes.");
}

TEST_CASE("Random texts are refused with a sentence, and never more than that") {
    std::mt19937_64 random(7);
    const std::vector<std::string> parts{"model", "vram", "free",  "price", "=",   "<",     ">=",   "(",
                                         ")",     ",",    "and",   "or",    "not", "in",    "is",   "known",
                                         "80GiB", "h100", "order", "by",    "5",   "limit", "desc", "\"x"};
    int good = 0;
    for (int i = 0; i < 20'000; ++i) {
        std::string text;
        for (std::size_t n = random() % 8; n > 0; --n)
            text += parts[random() % parts.size()] + " ";
        const auto query = parse_query(text);
        good += query.ok() ? 1 : 0;
        if (!query) CHECK(query.error().detail.starts_with("At character "));
    }
    CHECK(good > 20);
}

TEST_CASE("Every value is read back as it was written") {
    std::mt19937_64 random(3);
    for (std::size_t k = 1; k <= static_cast<std::size_t>(Kind::time); ++k) {
        const Kind kind = static_cast<Kind>(k);
        for (int i = 0; i < 500; ++i) {
            std::int64_t value = static_cast<std::int64_t>(random() >> (random() % 40 + 20));
            if (kind == Kind::boolean) value %= 2;
            if (i % 3 == 0 && !units_of(kind).empty()) {
                const auto units = units_of(kind);
                value = value % 500 * units[random() % units.size()].size;
            }
            const auto back = read_value(kind, write_value(kind, value));
            INFO(name_of(kind) << " " << value << " " << write_value(kind, value));
            REQUIRE(back);
            CHECK(*back == value);
        }
    }
    CHECK(write_value(Kind::bytes, gib(80)) == "80GiB");
    CHECK(write_value(Kind::price, 2'100'000) == "$2.10/h");
    CHECK(write_value(Kind::money, 70'000) == "$0.07");
    CHECK(read_value(Kind::money, "0.07").value() == 70'000);
    CHECK(read_value(Kind::money, "0.07/h").error().detail == "Give an amount like $0.07, without a unit.");
    CHECK(write_value(Kind::duration, hours(36).count) == "36h");
    CHECK(write_value(Kind::flops, 67'000'000'000'000) == "67TFLOPS");
}

namespace {

/// A random expression with what it must be of an_h100, by the rules for true, false and unknown written
/// down a second time.
struct Made {
    std::string text;
    int truth = 0;  ///< -1 no, 0 unknown, 1 yes
};

Made make(std::mt19937_64& random, int depth) {
    if (depth == 0 || random() % 3 == 0) {
        static const std::vector<Made> leaves{{"free", 1},
                                              {"model = h100", 1},
                                              {"country in (US, CN)", -1},
                                              {"price between 3 and 4", -1},
                                              {"vendor = nvidia", 0},
                                              {"ram >= 1TiB", 0},
                                              {"ram is known", -1}};
        return leaves[random() % leaves.size()];
    }
    const Made a = make(random, depth - 1);
    if (random() % 4 == 0) return {"not (" + a.text + ")", -a.truth};
    const Made b = make(random, depth - 1);
    if (random() % 2 == 0) return {"(" + a.text + ") and (" + b.text + ")", std::min(a.truth, b.truth)};
    return {"(" + a.text + ") or (" + b.text + ")", std::max(a.truth, b.truth)};
}

}  // namespace

TEST_CASE("Three truths: 5,000 random expressions against their rule") {
    std::mt19937_64 random(11);
    for (int i = 0; i < 5000; ++i) {
        const Made made = make(random, 4);
        INFO(made.text);
        const auto query = parse_query(made.text);
        REQUIRE(query);
        const Truth truth = evaluate(*query, *query->root, an_h100());
        CHECK(truth == (made.truth == 1 ? Truth::yes : made.truth == 0 ? Truth::unknown : Truth::no));
    }
}

TEST_CASE("A query knows its conjuncts as they were written") {
    const auto query =
        parse_query("free and (price < 2 or not model = h100) and (vram > 1GiB and ram > 1B)");
    REQUIRE(query);
    std::vector<std::string> texts;
    for (const std::size_t node : conjuncts(*query))
        texts.emplace_back(text_of(*query, node));
    CHECK(texts ==
          std::vector<std::string>{"free", "(price < 2 or not model = h100)", "vram > 1GiB", "ram > 1B"});
}

TEST_CASE("The model of a product") {
    const auto rows = text_table(R"(
        product                             | model
        NVIDIA H100 80GB HBM3               | h100
        NVIDIA H100 PCIe                    | h100
        NVIDIA A100-SXM4-80GB               | a100
        NVIDIA B300 SXM6 AC                 | b300
        Tesla V100-SXM2-32GB                | v100
        NVIDIA GeForce RTX 4090             | rtx-4090
        NVIDIA GeForce RTX 4090 D           | rtx-4090d
        NVIDIA GeForce RTX 3080 Ti          | rtx-3080-ti
        NVIDIA RTX 6000 Ada Generation      | rtx-6000-ada
        AMD Instinct MI300X                 | mi300x
        AMD Radeon RX 7900 XTX              | rx-7900-xtx
        Intel(R) Arc(TM) A770 Graphics      | a770
        NVIDIA                              | nvidia
    )");
    for (const TextRow& row : rows)
        CHECK(family_of(row["product"]) == row["model"]);
}

TEST_CASE("Every field is read from a market, and the offer's need no card") {
    World world;
    const OrganizationId seller = world.organization("seller");
    const HostId host = world.host(seller, a_host().product("NVIDIA H100 80GB HBM3").cards(2));
    const ListingId listing = world.listing(host, a_listing().ask(usd(2)));
    const market::State& state = world.state();
    const market::Listing& row = state.at<market::Listing>(listing);
    const auto text = [&](std::string_view name) {
        const market::search::Facts facts = facts_of(state, row, &state.at<market::Card>(row.cards[0]));
        const FactsRow cells(facts);
        const Value value = cells.at(*find_field(name));
        const Kind kind = find_field(name)->kind;
        if (!value.is_known) return std::string("unknown");
        return kind == Kind::text ? std::string(value.text) : write_value(kind, value.number);
    };
    CHECK(text("model") == "h100");
    CHECK(text("vram") == "80GiB");
    CHECK(text("vram_total") == "160GiB");
    CHECK(text("free_cards") == "2");
    CHECK(text("price") == "$2.00/h");
    CHECK(text("price_per_gib") == "$0.025/h");
    CHECK(text("driver") == "550.54");
    CHECK(text("country") == "DE");
    CHECK(text("online") == "true");
    CHECK(text("available_until") == "unknown");
    CHECK(text("seller") == seller.text());
    CHECK(text("seller_country") == state.at<market::Organization>(seller).country);
    CHECK(text("free_thousandths") == "1000");
    CHECK(text("share_min") == "1000");
    CHECK(text("storage_price") == "$0.00");
    CHECK(text("open_per_week") == "7d");
    CHECK(text("committed_until") == "unknown");
    CHECK(text("any_image") == "true");
    CHECK(text("spot_price") == "unknown");
    const market::search::Facts offer = facts_of(state, row, nullptr);
    for (const Field& field : fields()) {
        INFO(field.name);
        CHECK(find_field(field.name) == &field);
        CHECK_FALSE(field.meaning.empty());
        CHECK(field.name == lower(field.name));
        if (field.scope == Scope::offer)
            CHECK(field.get(offer) == field.get(facts_of(state, row, nullptr)));
    }
}

TEST_CASE("schema/search.md is the reference that the table makes") {
    std::ifstream file(fallow::testing::source_dir() + "/schema/search.md");
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const bool is_same = text == reference_markdown();
    if (!is_same) std::ofstream(fallow::testing::bin_dir() + "/search.md") << reference_markdown();
    INFO("copy bin/search.md of the build folder to schema/search.md");
    CHECK(is_same);
}
