// What an order may send, by the published rule.
#pragma once

#include "simulation/auditor.hpp"

namespace fallow::sim {

/// The most that a host of the order may send at this price for a GiB, in MiB × that price. Nothing where
/// it costs nothing.
[[nodiscard]] Int128 most_traffic(const market::Order& order, ledger::Micros per_gib);

}  // namespace fallow::sim
