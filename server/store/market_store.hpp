// engine::MarketStore on PostgreSQL: leadership, one transaction a batch, and what a new leader loads.
#pragma once

#include <memory>

#include "engine/store.hpp"
#include "store/connection.hpp"

namespace fallow::store {

/// Connects at once; throws DatabaseError when the database is out of reach. The role is set here.
[[nodiscard]] std::unique_ptr<engine::MarketStore> make_market_store(ConnectionSettings settings);

}  // namespace fallow::store
