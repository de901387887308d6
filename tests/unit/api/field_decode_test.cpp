// Bodies that are refused: one row, one input, one code and pointer.
#include "api/field_decode.hpp"

#include <catch2/catch.hpp>

#include "market/card.hpp"

using namespace fallow;
using namespace fallow::api;

namespace {

struct Everything {
    std::string name;
    std::int64_t number = 0;
    std::optional<LeaseId> lease;
    std::vector<std::string> words;
};

Result<Everything> decode(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) {
        Everything all;
        all.name = reader.text("name", {.bytes_max = 5});
        all.number = reader.integer_or("number", 7, 1, 10);
        all.lease = reader.optional_id<LeaseId>("lease");
        all.words = reader.texts("words", 2, {.bytes_max = 3});
        static_cast<void>(reader.optional_named<market::DeviceClass>("class"));
        static_cast<void>(reader.boolean_or("flag", false));
        static_cast<void>(reader.optional_time("at"));
        if (auto inner = reader.optional_object("inner")) {
            static_cast<void>(inner->integer("deep", 0, 1));
            static_cast<void>(inner->finish());
        }
        for (FieldReader& item : reader.objects("items", 2)) {
            static_cast<void>(item.text("path"));
            if (!item.finish()) break;
        }
        return all;
    });
}

struct Refused {
    std::string body;
    ErrorCode code;
    std::string pointer;
};

}  // namespace

TEST_CASE("a body that is right is read, with its defaults") {
    const auto all =
        decode(R"({"name":"é!","words":["a","b"],"lease":"lease_00000000000000000000000007"})");
    REQUIRE(all.ok());
    CHECK(all->name == "é!");
    CHECK(all->number == 7);
    CHECK(all->words == std::vector<std::string>{"a", "b"});
    CHECK(all->lease == LeaseId(RawId{0, 7}));
    CHECK_FALSE(decode(R"({"name":null})").ok());
    CHECK(decode(R"({"name":"a","number":null})")->number == 7);
}

TEST_CASE("a body that is wrong is refused where it is wrong") {
    const auto row = GENERATE(values<Refused>({
        {"", ErrorCode::missing_field, "/name"},
        {"[]", ErrorCode::bad_json, ""},
        {"3", ErrorCode::bad_json, ""},
        {"{", ErrorCode::bad_json, ""},
        {"{} {}", ErrorCode::bad_json, ""},
        {R"({"name":"a",})", ErrorCode::bad_json, ""},
        {"{\"name\":\"\xff\"}", ErrorCode::bad_json, ""},
        {R"({"name":"a","name":"b"})", ErrorCode::bad_json, ""},
        {R"({"name":"a","inner":{"deep":1,"deep":1}})", ErrorCode::bad_json, ""},
        {R"({"name":"\ud800"})", ErrorCode::bad_json, ""},
        {R"({"name":1e999})", ErrorCode::bad_json, ""},
        {"{\"name\":" + std::string(20, '[') + std::string(20, ']') + "}", ErrorCode::bad_json, ""},
        {R"({"name":7})", ErrorCode::invalid_field, "/name"},
        {R"({"name":""})", ErrorCode::invalid_field, "/name"},
        {R"({"name":"sixsix"})", ErrorCode::invalid_field, "/name"},
        {R"({"name":"a\u0000"})", ErrorCode::invalid_field, "/name"},
        {R"({"name":"a\n"})", ErrorCode::invalid_field, "/name"},
        {R"({"name":"a","nmae":1})", ErrorCode::unknown_field, "/nmae"},
        {R"({"name":"a","a/b~":1})", ErrorCode::unknown_field, "/a~1b~0"},
        {R"({"name":"a","number":0})", ErrorCode::invalid_field, "/number"},
        {R"({"name":"a","number":11})", ErrorCode::invalid_field, "/number"},
        {R"({"name":"a","number":1.0})", ErrorCode::invalid_field, "/number"},
        {R"({"name":"a","number":"5"})", ErrorCode::invalid_field, "/number"},
        {R"({"name":"a","number":18446744073709551615})", ErrorCode::invalid_field, "/number"},
        {R"({"name":"a","number":99999999999999999999})", ErrorCode::invalid_field, "/number"},
        {R"({"name":"a","number":true})", ErrorCode::invalid_field, "/number"},
        {R"({"name":"a","lease":"job_00000000000000000000000007"})", ErrorCode::invalid_id, "/lease"},
        {R"({"name":"a","words":["a","b","c"]})", ErrorCode::invalid_field, "/words"},
        {R"({"name":"a","words":["a",1]})", ErrorCode::invalid_field, "/words/1"},
        {R"({"name":"a","words":["a","long"]})", ErrorCode::invalid_field, "/words/1"},
        {R"({"name":"a","class":"tpu"})", ErrorCode::invalid_field, "/class"},
        {R"({"name":"a","flag":1})", ErrorCode::invalid_field, "/flag"},
        {R"({"name":"a","at":"yesterday"})", ErrorCode::invalid_field, "/at"},
        {R"({"name":"a","inner":[]})", ErrorCode::invalid_field, "/inner"},
        {R"({"name":"a","inner":{}})", ErrorCode::missing_field, "/inner/deep"},
        {R"({"name":"a","inner":{"deep":1,"x":1}})", ErrorCode::unknown_field, "/inner/x"},
        {R"({"name":"a","items":[{"path":"p"},{"path":1}]})", ErrorCode::invalid_field, "/items/1/path"},
        {R"({"name":"a","items":[{"path":"p","q":1}]})", ErrorCode::unknown_field, "/items/0/q"},
        {R"({"name":"a","items":[7]})", ErrorCode::invalid_field, "/items/0"},
    }));
    INFO(row.body);
    const auto refused = decode(row.body);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == row.code);
    CHECK(refused.error().pointer == row.pointer);
    CHECK_FALSE(refused.error().detail.empty());
}
