#include "api/search_cursor.hpp"

#include <catch2/catch.hpp>

#include "api/explain_json.hpp"

using namespace fallow;
using namespace fallow::api;
using namespace fallow::market::search;

namespace {

Query query_of(const std::string& text) {
    auto query = parse_query(text);
    REQUIRE(query);
    return *std::move(query);
}

}  // namespace

TEST_CASE("a search's cursor comes back as it was, and is good for that search alone") {
    const Query query = query_of("order by model, price desc, measured_at");
    const Position position{17,
                            40,
                            {Cell(std::string("h|1\"00\xc3\xa9")), Cell(std::int64_t{-5}), Cell()},
                            ListingId(RawId{1, 2}),
                            CardId(RawId{3, 4})};
    const std::string text = encode_search_cursor("one", position);
    const auto back = decode_search_cursor("one", query, text);
    REQUIRE(back);
    CHECK(back->first_sequence == 17);
    CHECK(back->served == 40);
    CHECK(back->keys == position.keys);
    CHECK(back->listing == position.listing);
    CHECK(back->card == position.card);
    for (const auto& refused :
         {decode_search_cursor("two", query, text), decode_search_cursor("one", query, text + "a"),
          decode_search_cursor("one", query, ""),
          decode_search_cursor("one", query, std::string(3000, 'a')),
          decode_search_cursor("one", query, "%"),
          decode_search_cursor("one", query_of("order by price, model, measured_at"), text),
          decode_search_cursor("one", query_of("order by model"), text)}) {
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::invalid_cursor);
        CHECK(refused.error().pointer == "query:cursor");
    }
}

TEST_CASE("a refusal's explanation becomes members of its problem") {
    CHECK(problem_members(refuse(ErrorCode::no_match, "nothing")) == "");
    auto facts = std::make_shared<market::NoMatch>();
    facts->explanation.cards = 3;
    facts->explanation.constraints.push_back({market::Constraint::price, "", 2, 3});
    facts->explanation.constraints.push_back({market::Constraint::query, "vram > 1GiB", 1, 1});
    Error error = refuse(ErrorCode::no_match, "nothing");
    error.facts = facts;
    CHECK(problem_members(error) ==
          R"({"explanation":{"cards":3,"left":0,"constraints":[)"
          R"({"constraint":"price","condition":null,"removed":2,"alone":3},)"
          R"({"constraint":"query","condition":"vram > 1GiB","removed":1,"alone":1}],)"
          R"("changes":[],"chosen":null}})");
}
