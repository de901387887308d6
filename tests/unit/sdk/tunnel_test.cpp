// The frames of a tunnel, and what they hold.
#include "fallow/tunnel.hpp"

#include <catch2/catch.hpp>

#include <map>

#include "support/tunnel_frames.hpp"

using namespace fallow::sdk;

TEST_CASE("Frames come out as they went in, however the bytes are cut") {
    const std::vector<Frame> sent = {{FrameKind::open, R"({"kind":"attach"})"},
                                     {FrameKind::input, std::string(tunnel_payload_bytes_max, 'x')},
                                     {FrameKind::end, ""},
                                     {FrameKind::output, std::string("a\0b", 3)}};
    std::string bytes;
    for (const Frame& frame : sent)
        bytes += encode_frame(frame.kind, frame.payload);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{5}, std::size_t{4096}, bytes.size()}) {
        FrameReader reader;
        std::vector<Frame> read;
        for (std::size_t at = 0; at < bytes.size(); at += piece) {
            reader.push(std::string_view(bytes).substr(at, piece));
            while (auto frame = reader.next())
                read.push_back(std::move(*frame));
        }
        REQUIRE(read.size() == sent.size());
        for (std::size_t i = 0; i < sent.size(); ++i) {
            CHECK(read[i].kind == sent[i].kind);
            CHECK(read[i].payload == sent[i].payload);
        }
    }
}

TEST_CASE("The SDK's frames are the bytes that the server's are") {
    const std::map<std::string, FrameKind> kinds{
        {"open", FrameKind::open},   {"opened", FrameKind::opened}, {"refused", FrameKind::refused},
        {"input", FrameKind::input}, {"output", FrameKind::output}, {"end", FrameKind::end},
        {"ping", FrameKind::ping},   {"pong", FrameKind::pong}};
    for (const auto& frame : fallow::testing::written_frames()) {
        INFO(frame.kind);
        const bool is_same = encode_frame(kinds.at(frame.kind), frame.payload) == frame.bytes;
        CHECK(is_same);
        FrameReader reader;
        reader.push(frame.bytes);
        const auto read = reader.next();
        REQUIRE(read);
        CHECK(read->kind == kinds.at(frame.kind));
        CHECK(read->payload.size() == frame.payload.size());
    }
    const TunnelRequest asked = tunnel_request_from_json(fallow::testing::open_port_8080);
    CHECK((asked.kind == "port" && asked.port == 8080));
}

TEST_CASE("What is no frame, or too long for one, is refused") {
    FrameReader reader;
    reader.push("HTTP/1.1 200 OK\r\n");
    CHECK_THROWS_AS(reader.next(), std::runtime_error);
    CHECK_THROWS_AS(encode_frame(FrameKind::input, std::string(tunnel_payload_bytes_max + 1, 'x')),
                    std::length_error);
}

TEST_CASE("Sizes and exit codes keep their values") {
    CHECK(decode_size(encode_size({101, 33})) == TerminalSize{101, 33});
    CHECK(decode_size(encode_size({65'535, 1})) == TerminalSize{65'535, 1});
    CHECK_FALSE(decode_size("abc"));
    for (const std::int32_t code : {0, 7, 137, 255, -1})
        CHECK(decode_exit(encode_exit(code)) == code);
    CHECK_FALSE(decode_exit(""));
}

TEST_CASE("A request keeps its meaning, and a bad one says what is wrong") {
    TunnelRequest request;
    request.kind = "exec";
    request.command = {"sh", "-c", "echo \"a\""};
    request.environment = {{"A", "b"}};
    request.folder = "/work";
    request.has_input = true;
    request.terminal = TerminalSize{100, 40};
    CHECK(tunnel_request_from_json(to_json(request)) == request);

    const std::vector<std::pair<std::string, std::string>> table = {
        {"[]", "not a JSON object"},
        {R"({"kind":"shell"})", "kind must be"},
        {R"({"kind":"exec"})", "command must name"},
        {R"({"kind":"exec","command":[""]})", "command must name"},
        {R"({"kind":"exec","command":"sh"})", "command has the wrong form"},
        {R"({"kind":"exec","command":["a"],"environment":{"":"x"}})", "environment has a name"},
        {R"({"kind":"exec","command":["a"],"folder":"tmp"})", "folder must begin"},
        {R"({"kind":"exec","command":[")" + std::string(40'000, 'a') + R"("]})", "may have"},
        {R"({"kind":"port"})", "port must be"},
        {R"({"kind":"port","port":65536})", "port must be"},
    };
    for (const auto& [text, expected] : table) {
        INFO(text.substr(0, 80));
        CHECK_THROWS_WITH(tunnel_request_from_json(text), Catch::Contains(expected));
    }
}
