// The routes of ServerLink that measure the way to the server.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <utility>

#include "agent/server_link.hpp"
#include "fallow/url.hpp"

namespace fallow::agent {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto test_path = "/v1/agent/network-test";
constexpr std::int64_t test_timeout_ms = 30'000;  ///< the server ends a transfer after half of it

std::int64_t us_of(Clock::duration span) {
    return std::chrono::duration_cast<std::chrono::microseconds>(span).count();
}

/// Of numbers that nobody on the way can make smaller.
const std::string& random_block() {
    static const std::string block = [] {
        std::string bytes(64 * 1024, '\0');
        std::mt19937_64 generator(std::random_device{}());
        for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint64_t)) {
            const std::uint64_t word = generator();
            std::memcpy(bytes.data() + at, &word, sizeof word);
        }
        return bytes;
    }();
    return block;
}

}  // namespace

/// From the first piece on, which is not counted: what came before it was waiting.
Moved ServerLink::test_download(std::int64_t bytes, std::stop_token stop) {
    sdk::HttpRequest request;
    request.path = test_path + sdk::query_string({{"bytes", std::to_string(bytes)}});
    request.timeout_ms = test_timeout_ms;
    request.stop = std::move(stop);
    std::optional<Clock::time_point> first;
    Clock::time_point last;
    Moved moved;
    const sdk::HttpResponse response = client().stream(request, {}, [&](std::string_view piece) {
        last = Clock::now();
        if (first)
            moved.bytes += static_cast<std::int64_t>(piece.size());
        else
            first = last;
        return true;
    });
    if (!response.ok()) throw_problem(response);
    if (first) moved.us = us_of(last - *first);
    return moved;
}

/// From the first byte to the answer: only then has all of it arrived.
Moved ServerLink::test_upload(std::int64_t bytes, std::stop_token stop) {
    sdk::HttpRequest request;
    request.method = "POST";
    request.path = test_path;
    request.content_type = "application/octet-stream";
    request.timeout_ms = test_timeout_ms;
    request.stop = std::move(stop);
    request.body_source_bytes = bytes;
    std::optional<Clock::time_point> first;
    std::int64_t left = bytes;
    request.body_source = [&](char* buffer, std::size_t capacity) {
        if (!first) first = Clock::now();
        const std::size_t count =
            std::min({capacity, static_cast<std::size_t>(left), random_block().size()});
        std::copy_n(random_block().begin(), count, buffer);
        left -= static_cast<std::int64_t>(count);
        return count;
    };
    send(std::move(request));
    return {bytes, first ? us_of(Clock::now() - *first) : 0};
}

}  // namespace fallow::agent
