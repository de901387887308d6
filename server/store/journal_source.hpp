// engine::JournalSource on PostgreSQL: the leader row and the journal's tail, read in a bounded way. It
// asks again rather than being told: a question costs 0.02 ms of PostgreSQL's time, and the leader nothing.
#pragma once

#include <memory>

#include "engine/journal_source.hpp"
#include "store/connection.hpp"

namespace fallow::store {

/// Connects at once; throws DatabaseError when the database is out of reach. The role is set here.
[[nodiscard]] std::unique_ptr<engine::JournalSource> make_journal_source(ConnectionSettings settings);

}  // namespace fallow::store
