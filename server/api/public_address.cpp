#include "api/public_address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace fallow::api {
namespace {

struct Block {
    std::array<std::uint8_t, 4> begin;
    int bits;
};

/// What no host on the internet is reached by.
constexpr std::array<Block, 15> special_v4{{{{0, 0, 0, 0}, 8},
                                            {{10, 0, 0, 0}, 8},
                                            {{100, 64, 0, 0}, 10},
                                            {{127, 0, 0, 0}, 8},
                                            {{169, 254, 0, 0}, 16},
                                            {{172, 16, 0, 0}, 12},
                                            {{192, 0, 0, 0}, 24},
                                            {{192, 0, 2, 0}, 24},
                                            {{192, 88, 99, 0}, 24},
                                            {{192, 168, 0, 0}, 16},
                                            {{198, 18, 0, 0}, 15},
                                            {{198, 51, 100, 0}, 24},
                                            {{203, 0, 113, 0}, 24},
                                            {{224, 0, 0, 0}, 4},
                                            {{240, 0, 0, 0}, 4}}};

std::uint32_t word_of(const std::array<std::uint8_t, 4>& bytes) {
    std::uint32_t word = 0;
    for (const std::uint8_t byte : bytes)
        word = word << 8 | byte;
    return word;
}

bool is_public_v4(const std::array<std::uint8_t, 4>& address) {
    return std::ranges::none_of(special_v4, [&](const Block& block) {
        const std::uint32_t mask = ~std::uint32_t{0} << (32 - block.bits);
        return (word_of(address) & mask) == word_of(block.begin);
    });
}

/// Of what is given out, 2000::/3, all but tunnels of IPv4 and documentation.
bool is_public_v6(const std::array<std::uint8_t, 16>& address) {
    const int first = address[0] << 8 | address[1];
    const int second = address[2] << 8 | address[3];
    if (first < 0x2000 || first > 0x3fff) return false;
    if (first == 0x2001 && (second < 0x0200 || second == 0x0db8)) return false;
    return first != 0x2002 && (first != 0x3fff || second > 0x0fff);
}

}  // namespace

std::string public_address(std::string_view seen) {
    const std::string text(seen);
    std::array<std::uint8_t, 4> v4{};
    if (::inet_pton(AF_INET, text.c_str(), v4.data()) == 1) return is_public_v4(v4) ? text : std::string();
    std::array<std::uint8_t, 16> v6{};
    if (::inet_pton(AF_INET6, text.c_str(), v6.data()) != 1 || !is_public_v6(v6)) return {};
    std::fill(v6.begin() + 8, v6.end(), std::uint8_t{0});
    std::array<char, INET6_ADDRSTRLEN> shown{};
    if (::inet_ntop(AF_INET6, v6.data(), shown.data(), shown.size()) == nullptr) return {};
    return std::string(shown.data()) + "/64";
}

}  // namespace fallow::api
