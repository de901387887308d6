// The pipe of a tunnel: what it holds, whom it wakes, how it ends.
#include "http/tunnel_pipe.hpp"

#include <catch2/catch.hpp>

using namespace fallow::http;

TEST_CASE("Bytes go both ways, and each way takes so many") {
    auto [left, right] = make_tunnel({});
    CHECK(left->write("to the right") == 12);
    CHECK(right->write("to the left") == 11);
    CHECK(right->take() == "to the right");
    CHECK(left->take() == "to the left");
    CHECK(left->take().empty());

    const std::string much(tunnel_buffer_bytes_max + 10, 'x');
    CHECK(left->write(much) == tunnel_buffer_bytes_max);
    CHECK(left->write("y") == 0);
    CHECK(right->write("beside it") == 9);
    CHECK(right->take().size() == tunnel_buffer_bytes_max);
    CHECK(left->write("y") == 1);
}

TEST_CASE("An end is woken by what the other does") {
    auto [left, right] = make_tunnel({});
    int left_woken = 0;
    int right_woken = 0;
    left->on_change([&] { ++left_woken; });
    right->on_change([&] { ++right_woken; });
    CHECK(left->write("a") == 1);
    CHECK((left_woken == 0 && right_woken == 1));
    CHECK(right->take() == "a");
    CHECK((left_woken == 1 && right_woken == 1));
    CHECK(right->take().empty());
    CHECK(left_woken == 1);
    right->close();
    CHECK((left_woken == 2 && right_woken == 2));
}

TEST_CASE("What was written before the end can be had after it") {
    int closed = 0;
    auto [left, right] = make_tunnel([&] { ++closed; });
    CHECK(left->write("last words") == 10);
    left.reset();
    CHECK(closed == 1);
    CHECK(right->is_closed());
    CHECK(right->take() == "last words");
    CHECK(right->write("too late") == 0);
    right->close();
    CHECK(closed == 1);
}

TEST_CASE("A reply grants a tunnel with status 101 alone") {
    auto ends = make_tunnel({});
    Reply reply;
    CHECK(tunnel_of(reply) == nullptr);
    reply.stream = ends.first;
    CHECK(tunnel_of(reply) == nullptr);
    reply.status = 101;
    CHECK(tunnel_of(reply) == ends.first);
}
