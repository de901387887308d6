// What engines tell of a pull, as Podman 4.3.1 and Docker have written it.
#include "agent/pull_stream.hpp"

#include <catch2/catch.hpp>

using namespace fallow::agent;

namespace {

// Podman 4.3.1, from a registry on a slow line; the last line names the image.
const std::string podman =
    R"({"status":"Pulling fs layer","progressDetail":{},"id":"c4430ad006cb"}
{"status":"Downloading","progressDetail":{"current":2484224,"total":8001384},"progress":"[===============\u003e                                   ]  2.484MB/8.001MB","id":"c4430ad006cb"}
{"status":"Downloading","progressDetail":{"current":7506944,"total":8001384},"progress":"[==============================================\u003e    ]  7.507MB/8.001MB","id":"c4430ad006cb"}
{"status":"Download complete","progressDetail":{},"id":"c4430ad006cb"}
{"status":"Pulling fs layer","progressDetail":{},"id":"2adc5f32a3bd"}
{"status":"Download complete","progressDetail":{},"id":"2adc5f32a3bd"}
{"status":"Download complete","progressDetail":{},"id":"5f32a3bd2adc"}
)";

// Docker's; its lines end with CR and LF, and the image's tag stands where a layer's id does.
// clang-format off
const std::vector<std::string> docker = {
    R"({"status":"Pulling from library/static","id":"latest"})",
    R"({"status":"Already exists","progressDetail":{},"id":"a6aa3b66376f"})",
    R"({"status":"Pulling fs layer","progressDetail":{},"id":"106572778bf7"})",
    R"({"status":"Pulling fs layer","progressDetail":{},"id":"bac681833e51"})",
    R"({"status":"Waiting","progressDetail":{},"id":"bac681833e51"})",
    R"({"status":"Downloading","progressDetail":{"current":621,"total":1854},"progress":"[====\u003e  ] 621 B/1.854 kB","id":"106572778bf7"})",
    R"({"status":"Downloading","progressDetail":{"current":100,"total":2244027},"progress":"[\u003e  ]","id":"bac681833e51"})",
    R"({"status":"Verifying Checksum","progressDetail":{},"id":"106572778bf7"})",
    R"({"status":"Download complete","progressDetail":{},"id":"106572778bf7"})",
    R"({"status":"Extracting","progressDetail":{"current":32,"total":1854},"progress":"[\u003e  ]","id":"106572778bf7"})",
    R"({"status":"Pull complete","progressDetail":{},"id":"106572778bf7"})",
    R"({"status":"Digest: sha256:0123456789abcdef"})",
    R"({"status":"Status: Downloaded newer image for static:latest"})",
};
// clang-format on

TransferProgress pulling(std::int64_t done, std::optional<std::int64_t> total) {
    return {TransferStep::pulling_image, done, total};
}

}  // namespace

TEST_CASE("a pull by Podman") {
    PullStream stream;
    std::vector<TransferProgress> told;
    for (std::size_t start = 0; start < podman.size();) {
        const std::size_t end = podman.find('\n', start) + 1;
        if (stream.feed(podman.substr(start, end - start))) told.push_back(stream.progress());
        start = end;
    }
    CHECK(told == std::vector{pulling(2484224, 8001384), pulling(7506944, 8001384),
                              pulling(8001384, 8001384), pulling(8001384, std::nullopt),
                              pulling(8001384, 8001384)});
    CHECK(stream.error().empty());
}

TEST_CASE("a pull by Docker: what there is in all is known once each layer has begun") {
    PullStream stream;
    std::vector<TransferProgress> told;
    for (const std::string& line : docker)
        if (stream.feed(line + "\r\n")) told.push_back(stream.progress());
    CHECK(told == std::vector{pulling(0, 0), pulling(0, std::nullopt), pulling(621, std::nullopt),
                              pulling(721, 2245881), pulling(1954, 2245881)});
}

TEST_CASE("the stream may break off anywhere") {
    PullStream whole;
    whole.feed(podman);
    PullStream pieces;
    for (const char octet : podman)
        pieces.feed(std::string_view(&octet, 1));
    CHECK(pieces.progress() == whole.progress());
}

TEST_CASE("an error in the stream is found, also in a last line without an end") {
    PullStream stream;
    stream.feed(
        R"({"progressDetail":{},"errorDetail":{"message":"manifest unknown"},"error":"manifest unknown"})");
    CHECK(stream.error().empty());
    stream.finish();
    CHECK(stream.error() == "manifest unknown");
}

TEST_CASE("what is no line of a pull changes nothing") {
    PullStream stream;
    const std::string line = GENERATE(
        "", "not JSON", "[]", "7", R"({"id":7,"status":"Downloading","progressDetail":{"current":1}})",
        R"({"id":"a","status":7})", R"({"id":"a","status":"Extracting","progressDetail":{"total":5}})",
        R"({"status":"Downloading","progressDetail":{"current":1,"total":2}})");
    CAPTURE(line);
    CHECK_FALSE(stream.feed(line + "\n"));
    CHECK(stream.progress() == pulling(0, std::nullopt));
}

TEST_CASE("numbers that are none leave the sum unknown") {
    PullStream stream;
    stream.feed(R"({"id":"a","status":"Downloading","progressDetail":{"current":-5,"total":-1}})"
                "\n");
    CHECK(stream.progress() == pulling(0, std::nullopt));
    stream.feed(R"({"id":"a","status":"Downloading","progressDetail":"soon"})"
                "\n");
    CHECK(stream.progress() == pulling(0, std::nullopt));
}

TEST_CASE("a line without an end is not kept") {
    PullStream stream;
    for (int i = 0; i < 100; ++i)
        stream.feed(std::string(4096, ' '));
    stream.feed("\n" + podman);
    CHECK(stream.progress() == pulling(8001384, 8001384));
}
