// What a follower needs of a database, declared by its consumer; server/store implements it on PostgreSQL.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/store.hpp"

namespace fallow::engine {

/// The leader row as it stood when it was read.
struct LeaderRow {
    std::string holder;   ///< empty: nobody leads
    std::string address;  ///< "host:port", where other servers reach the holder
    std::int64_t epoch = 0;
    std::int64_t sequence = 0;  ///< of the last journal record
    Millis beat_age;            ///< by the database's clock
    /// The last record of what is not market: keys, members, certificates.
    std::int64_t accounts_sequence = 0;
};

/// One connection, used by one thread at a time.
class JournalSource {
  public:
    virtual ~JournalSource() = default;

    [[nodiscard]] virtual LeaderRow leader(const std::string& market) = 0;
    /// The records after `sequence`, in order, at most `count`; their sum of bytes is bounded by that.
    [[nodiscard]] virtual std::vector<JournalRecord> read(const std::string& market, std::int64_t sequence,
                                                          std::int64_t count) = 0;
    /// The market as it is, with the journal's position that it stands for.
    [[nodiscard]] virtual LoadedMarket load(const std::string& market) = 0;

    /// Drops the connection and makes a new one; throws when the database is out of reach.
    virtual void reconnect() = 0;
};

}  // namespace fallow::engine
