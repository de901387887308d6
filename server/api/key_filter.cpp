#include "api/key_filter.hpp"

#include <algorithm>
#include <bit>

namespace fallow::api {
namespace {

/// FNV-1a, then the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), which FNV's upper bits
/// need.
std::uint64_t hash(std::string_view text, std::uint64_t seed) {
    std::uint64_t value = 0xcbf29ce484222325ULL ^ seed;
    for (const char c : text) {
        value ^= static_cast<unsigned char>(c);
        value *= 0x100000001b3ULL;
    }
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
}

struct Positions {
    std::uint64_t start;
    std::uint64_t step;  ///< odd, so that all probes differ in a table of a power of two
};

Positions positions_of(OrganizationId organization, std::string_view route, std::string_view key) {
    const std::uint64_t first = hash(key, hash(route, organization.raw.high ^ (organization.raw.low * 3)));
    return {first, hash(key, ~first) | 1};
}

}  // namespace

KeyFilter::KeyFilter(std::size_t bytes)
    : word_count_(std::bit_ceil(std::max(bytes, sizeof(std::uint64_t))) / sizeof(std::uint64_t)),
      generations_{std::make_unique<Word[]>(word_count_), std::make_unique<Word[]>(word_count_)} {}

void KeyFilter::add(OrganizationId organization, std::string_view route, std::string_view key) {
    const auto [start, step] = positions_of(organization, route, key);
    const Words& words = generations_[current_.load()];
    for (int i = 0; i < probes; ++i) {
        const std::uint64_t bit = (start + static_cast<std::uint64_t>(i) * step) & (word_count_ * 64 - 1);
        words[bit / 64].fetch_or(1ULL << (bit % 64), std::memory_order_release);
    }
}

bool KeyFilter::maybe_contains(OrganizationId organization, std::string_view route,
                               std::string_view key) const {
    const auto [start, step] = positions_of(organization, route, key);
    return holds(generations_[0], start, step) || holds(generations_[1], start, step);
}

void KeyFilter::rotate() {
    const std::size_t next = 1 - current_.load();
    for (std::size_t i = 0; i < word_count_; ++i)
        generations_[next][i].store(0, std::memory_order_relaxed);
    current_.store(next);
}

bool KeyFilter::holds(const Words& words, std::uint64_t start, std::uint64_t step) const {
    for (int i = 0; i < probes; ++i) {
        const std::uint64_t bit = (start + static_cast<std::uint64_t>(i) * step) & (word_count_ * 64 - 1);
        if ((words[bit / 64].load(std::memory_order_acquire) >> (bit % 64) & 1) == 0) return false;
    }
    return true;
}

}  // namespace fallow::api
