// `./run bench equal_asks`: what an order costs in the market's own function when 1, 8 and 64 listings ask
// the same and each has another number of cards free, so that placement has to weigh them all. Prints a
// table and writes build/bench/equal_asks.json. The state is the tests' world without its checks; its
// book-keeping is in the numbers, and is the same in each row.
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "support/market_world.hpp"

namespace fallow::testing {
namespace {

constexpr int orders = 1000;
constexpr int cards_at_least = 1024;  ///< over all listings: an order never finds none

/// Microseconds an order, the median of 20 parts.
double micros_per_order(int listings) {
    World world;
    world.check_every(1'000'000'000);
    const OrganizationId seller = world.organization("seller");
    const OrganizationId renter = world.organization("renter");
    world.deposit(renter, usd(1'000'000));
    for (int i = 0; i < listings; ++i) {
        const int cards = std::min(cards_at_least / listings + i + 1, 1024);
        const HostId host = world.host(seller, a_host().name("host-" + std::to_string(i)).cards(cards));
        world.listing(host, a_listing().ask(usd(1)));
    }
    const auto placed = an_order().cards(1).price_max(usd(1));
    constexpr int parts = 20;
    std::vector<double> micros;
    for (int part = 0; part < parts; ++part) {
        const auto begun = std::chrono::steady_clock::now();
        for (int i = 0; i < orders / parts; ++i)
            world.rent(renter, placed);
        const auto taken = std::chrono::steady_clock::now() - begun;
        micros.push_back(std::chrono::duration<double, std::micro>(taken).count() * parts / orders);
    }
    std::sort(micros.begin(), micros.end());
    return micros[parts / 2];
}

}  // namespace

TEST_CASE("equal asks") {
    std::filesystem::create_directories("build/bench");
    std::ofstream out("build/bench/equal_asks.json");
    out << "{\"orders\":" << orders << ",\"us_per_order\":{";
    std::printf("%10s %12s\n", "listings", "us an order");
    const char* between = "";
    for (const int listings : {1, 8, 64}) {
        const double micros = micros_per_order(listings);
        std::printf("%10d %12.1f\n", listings, micros);
        out << between << '"' << listings << "\":" << micros;
        between = ",";
    }
    out << "}}\n";
}

}  // namespace fallow::testing

int main(int argc, char** argv) {
    return Catch::Session().run(argc, argv);
}
