// A Bloom filter over the idempotency keys in the database, so that a new key costs no SELECT: "no" is
// certain, "yes" is looked up. It is sound while this process alone writes keys for its market; with
// several replicas a key may have been stored by another, and then the engine's memory of recent keys and
// the database's unique index are what stop a twin.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/ids.hpp"

namespace fallow::api {

inline constexpr std::size_t key_filter_bytes_default = 8 * 1024 * 1024;

/// Two generations: a key is found in either, and rotate() forgets the older one, so that keys past their
/// retention do not fill the filter up. May be used from any number of threads; an add() is seen by every
/// maybe_contains() that starts after it returned.
class KeyFilter {
  public:
    /// `bytes`, of one generation, is rounded up to a power of two. At 8 bits a key one "yes" in forty is
    /// wrong, at 16 one in two thousand.
    explicit KeyFilter(std::size_t bytes = key_filter_bytes_default);

    void add(OrganizationId organization, std::string_view route, std::string_view key);
    [[nodiscard]] bool maybe_contains(OrganizationId organization, std::string_view route,
                                      std::string_view key) const;
    /// Called once in a retention time: what was added before the last call is forgotten.
    void rotate();
    [[nodiscard]] std::size_t bytes() const { return word_count_ * sizeof(std::uint64_t); }

  private:
    static constexpr int probes = 6;
    using Word = std::atomic<std::uint64_t>;
    using Words = std::unique_ptr<Word[]>;

    [[nodiscard]] bool holds(const Words& words, std::uint64_t start, std::uint64_t step) const;

    std::size_t word_count_;
    std::array<Words, 2> generations_;
    std::atomic<std::size_t> current_ = 0;
};

}  // namespace fallow::api
