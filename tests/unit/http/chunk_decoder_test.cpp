#include "http/chunk_decoder.hpp"

#include <catch2/catch.hpp>

#include <optional>
#include <string>
#include <vector>

namespace fallow::http {
namespace {

using namespace std::string_literals;

constexpr std::size_t body_bytes_max = 20;

struct Decoded {
    std::string body;
    std::size_t used = 0;
    bool is_complete = false;
    std::optional<ErrorCode> refusal;
};

Decoded decode(std::string_view bytes, std::size_t piece_bytes) {
    ChunkDecoder decoder(body_bytes_max);
    Decoded decoded;
    while (!bytes.empty() && !decoder.is_complete()) {
        const std::string_view piece = bytes.substr(0, piece_bytes);
        const Result<std::size_t> used = decoder.feed(piece, decoded.body);
        if (!used) {
            decoded.refusal = used.error().code;
            return decoded;
        }
        decoded.used += *used;
        bytes.remove_prefix(*used);
    }
    decoded.is_complete = decoder.is_complete();
    return decoded;
}

}  // namespace

TEST_CASE("chunked bodies are decoded however they arrive", "[http][chunk]") {
    struct Row {
        std::string bytes;
        std::string body;
        std::string rest;
    };
    const std::vector<Row> rows = {
        {"0\r\n\r\n", "", ""},
        {"000\r\n\r\nGET /", "", "GET /"},
        {"3\r\nabc\r\n0\r\n\r\n", "abc", ""},
        {"a\r\n0123456789\r\n0A\r\nabcdefghij\r\n0\r\n\r\n", "0123456789abcdefghij", ""},
        {"2\r\n\r\n\r\n1\r\n\0\r\n0\r\n\r\n0\r\n\r\n"s, "\r\n\0"s, "0\r\n\r\n"},
    };
    for (const Row& row : rows) {
        for (const std::size_t piece_bytes :
             {std::size_t{1}, std::size_t{2}, std::size_t{3}, row.bytes.size()}) {
            INFO(row.bytes << " in pieces of " << piece_bytes);
            const Decoded decoded = decode(row.bytes, piece_bytes);
            CHECK_FALSE(decoded.refusal);
            CHECK(decoded.is_complete);
            CHECK(decoded.body == row.body);
            CHECK(row.bytes.substr(decoded.used) == row.rest);
        }
    }
}

TEST_CASE("chunked bodies that two readers could end differently are refused", "[http][chunk]") {
    struct Row {
        const char* what;
        std::string bytes;
        ErrorCode code;
    };
    const std::vector<Row> rows = {
        {"no size", "\r\nabc\r\n", ErrorCode::bad_request},
        {"not hexadecimal", "g\r\n", ErrorCode::bad_request},
        {"0x", "0x3\r\nabc\r\n", ErrorCode::bad_request},
        {"signed", "+3\r\nabc\r\n", ErrorCode::bad_request},
        {"negative", "-1\r\n", ErrorCode::bad_request},
        {"space before", " 3\r\nabc\r\n", ErrorCode::bad_request},
        {"space after", "3 \r\nabc\r\n", ErrorCode::bad_request},
        {"extension", "3;a=b\r\nabc\r\n", ErrorCode::bad_request},
        {"extension on the last chunk", "0;a\r\n\r\n", ErrorCode::bad_request},
        {"bare LF after the size", "3\nabc\r\n", ErrorCode::bad_request},
        {"bare CR after the size", "3\rabc\r\n", ErrorCode::bad_request},
        {"bare LF after the data", "3\r\nabc\n0\r\n\r\n", ErrorCode::bad_request},
        {"data longer than its size", "2\r\nabc\r\n", ErrorCode::bad_request},
        {"data shorter than its size", "4\r\nabc\r\n0\r\n\r\n", ErrorCode::bad_request},
        {"CR and no LF after the data", "3\r\nabc\rx", ErrorCode::bad_request},
        {"trailer", "0\r\nA: b\r\n\r\n", ErrorCode::bad_request},
        {"bare LF at the end", "0\r\n\n", ErrorCode::bad_request},
        {"CR and no LF at the end", "0\r\n\rx", ErrorCode::bad_request},
        {"nine digits", "000000003\r\nabc\r\n", ErrorCode::bad_request},
        {"a size that would overflow", "FFFFFFFFFFFFFFFF3\r\n", ErrorCode::bad_request},
        {"one chunk over the limit", "15\r\n", ErrorCode::body_too_large},
        {"eight digits", "FFFFFFFF\r\n", ErrorCode::body_too_large},
        {"chunks that add up", "a\r\n0123456789\r\nb\r\n", ErrorCode::body_too_large},
    };
    for (const Row& row : rows) {
        for (const std::size_t piece_bytes : {std::size_t{1}, row.bytes.size()}) {
            INFO(row.what << " in pieces of " << piece_bytes);
            const Decoded decoded = decode(row.bytes, piece_bytes);
            REQUIRE(decoded.refusal.has_value());
            CHECK(name_of(*decoded.refusal) == name_of(row.code));
            CHECK(decoded.body.size() <= body_bytes_max);
        }
    }
}

}  // namespace fallow::http
