#include "fallow/sse.hpp"

#include <catch2/catch.hpp>

#include "fallow/errors.hpp"

namespace fallow::sdk {

std::ostream& operator<<(std::ostream& out, const SseEvent& event) {
    return out << "{" << event.id << "|" << event.type << "|" << event.data << "}";
}

namespace {

struct Row {
    std::string what;
    std::string bytes;
    std::vector<SseEvent> events;
    std::string last_event_id;
};

const std::vector<Row> table = {
    {"one event", "id: 7\nevent: log\ndata: x\n\n", {{"7", "log", "x"}}, "7"},
    {"CRLF", "id: 7\r\ndata: x\r\n\r\n", {{"7", "message", "x"}}, "7"},
    {"CR alone", "id: 7\rdata: x\r\r", {{"7", "message", "x"}}, "7"},
    {"no space after the colon", "data:x\n\n", {{"", "message", "x"}}, ""},
    {"only one space is taken", "data:  x\n\n", {{"", "message", " x"}}, ""},
    {"several data lines", "data: a\ndata:\ndata: b\n\n", {{"", "message", "a\n\nb"}}, ""},
    {"a field without a colon", "data\n\n", {{"", "message", ""}}, ""},
    {"comments", ": hi\n\n:\n\ndata: x\n: in between\n\n", {{"", "message", "x"}}, ""},
    {"no data, no event", "event: ping\n\ndata: x\n\n", {{"", "message", "x"}}, ""},
    {"an id without data still counts", "id: 9\n\n", {}, "9"},
    {"an id stays", "id: 1\ndata: a\n\ndata: b\n\n", {{"1", "message", "a"}, {"1", "message", "b"}}, "1"},
    {"an empty id resets",
     "id: 1\ndata: a\n\nid\ndata: b\n\n",
     {{"1", "message", "a"}, {"", "message", "b"}},
     ""},
    {"an id with NUL is ignored", std::string("id: 1\0002\ndata: a\n\n", 17), {{"", "message", "a"}}, ""},
    {"an unfinished event does not count",
     "id: 1\ndata: a\n\nid: 2\ndata: b\n",
     {{"1", "message", "a"}},
     "1"},
    {"unknown fields", "foo: bar\ndata: x\n\n", {{"", "message", "x"}}, ""},
    {"a byte order mark",
     "\xEF\xBB\xBF"
     "data: x\n\n",
     {{"", "message", "x"}},
     ""},
    {"a type does not carry over",
     "event: a\ndata: 1\n\ndata: 2\n\n",
     {{"", "a", "1"}, {"", "message", "2"}},
     ""},
};

TEST_CASE("an event stream is read the same however it is cut") {
    for (const Row& row : table) {
        for (std::size_t size = 1; size <= row.bytes.size(); ++size) {
            CAPTURE(row.what, size);
            SseParser parser;
            std::vector<SseEvent> events;
            for (std::size_t at = 0; at < row.bytes.size(); at += size)
                for (SseEvent& event : parser.push(std::string_view(row.bytes).substr(at, size)))
                    events.push_back(std::move(event));
            CHECK(events == row.events);
            CHECK(parser.last_event_id() == row.last_event_id);
        }
    }
}

TEST_CASE("a parser goes on from the id it was given") {
    SseParser parser("41");
    CHECK(parser.last_event_id() == "41");
    CHECK(parser.push("data: x\n\n") == std::vector<SseEvent>{{"41", "message", "x"}});
}

TEST_CASE("the server's reconnection time") {
    struct Retry {
        std::string text;
        std::optional<std::int64_t> ms;
    };
    const auto row = GENERATE(values<Retry>({{"retry: 1500\n", 1500},
                                             {"retry: 1.5\n", {}},
                                             {"retry: -1\n", {}},
                                             {"retry: 99999999\n", {}},
                                             {"retry\n", {}}}));
    SseParser parser;
    CHECK(parser.push(row.text).empty());
    CHECK(parser.retry_ms() == row.ms);
}

TEST_CASE("an event without end is refused") {
    SseParser parser;
    const std::string piece = "data: " + std::string(1024 * 1024, 'x') + "\n";
    CHECK_THROWS_AS(
        [&] {
            for (int i = 0; i < 9; ++i)
                static_cast<void>(parser.push(piece));
        }(),
        ProtocolError);
}

}  // namespace
}  // namespace fallow::sdk
