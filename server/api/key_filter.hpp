// A Bloom filter over the idempotency keys in the database, so that a new key costs no SELECT: "no" is
// certain, "yes" is looked up. It is sound because only a market's leader stores its keys: the filter is
// filled for one epoch, after that epoch has begun, and says "yes" to everything while another one holds.
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
    /// Everything that was stored before `epoch` began has been added, and what is stored in it is.
    void complete_for(std::int64_t epoch) { epoch_ = epoch; }
    [[nodiscard]] bool is_complete_for(std::int64_t epoch) const { return epoch_ == epoch; }

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
    std::atomic<std::int64_t> epoch_ = -1;
};

}  // namespace fallow::api
