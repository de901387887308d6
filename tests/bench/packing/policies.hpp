// The policies that the placement benchmark compares, all behind one interface.
#pragma once

#include <memory>
#include <optional>
#include <random>
#include <string_view>
#include <vector>

#include "bench/packing/trace.hpp"

namespace fallow::bench {

/// A host in the harness: its room, and its cards one by one.
struct Host {
    placement::Room room;
    placement::Room empty;              ///< as it was with every card free
    std::vector<std::int32_t> cards;    ///< free thousandths
    std::vector<std::size_t> of_class;  ///< tasks here, by how much of the cards they ask for
    std::uint32_t version = 1;
};

struct Place {
    std::size_t host = 0;
    std::int32_t card = 0;  ///< of a share
};

class Policy {
  public:
    virtual ~Policy() = default;
    /// The host for a task of class `of`; nothing if none fits.
    virtual std::optional<Place> place(std::size_t of) = 0;
    /// The host as it is after the task was put there.
    virtual void changed(std::size_t host) = 0;
};

struct Scene {
    const Workload& workload;
    const std::vector<Host>& hosts;
    std::uint64_t seed = 0;
};

struct PolicyName {
    std::string_view key;
    std::string_view what;  ///< its rule, in a line
    std::unique_ptr<Policy> (*make)(const Scene&);
};

/// Fallow first, FGD last.
[[nodiscard]] const std::vector<PolicyName>& policies();

/// The class of cards that a task asks for, which Clustering packs together.
[[nodiscard]] std::size_t cards_class(const placement::Task& task);
inline constexpr std::size_t cards_classes = 12;

}  // namespace fallow::bench
