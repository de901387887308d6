// What the engine needs of a database, declared by its consumer; server/store implements it on PostgreSQL.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "market/changes.hpp"
#include "market/state.hpp"

namespace fallow::engine {

/// A stored reply, replayed byte for byte to a twin of the request. Key: (organization, route, key).
struct IdempotencyRecord {
    static constexpr std::string_view table = "idempotency_keys";
    OrganizationId organization;
    std::string route;  ///< "POST /v1/orders"
    std::string key;
    std::string body_hash;  ///< lower-case hex SHA-256 of the request's path and body
    std::int32_t status = 0;
    std::string reply;
    Time created_at;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("organization_id", row.organization);
        visit.key("route", row.route);
        visit.key("key", row.key);
        visit.field("body_hash", row.body_hash);
        visit.field("status", row.status);
        visit.field("reply", row.reply);
        visit.field("created_at", row.created_at);
    }
};

/// A lease's final statement, signed by the server when the lease ends; the bytes are kept verbatim.
struct Receipt {
    static constexpr std::string_view table = "receipts";
    LeaseId lease;
    OrganizationId renter;
    OrganizationId seller;
    std::string statement;
    std::string server_signature;  ///< base64
    Time at;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("lease_id", row.lease);
        visit.field("organization_id", row.renter);
        visit.field("seller_id", row.seller);
        visit.field("statement", row.statement);
        visit.field("server_signature", row.server_signature);
        visit.field("at", row.at);
    }
};

/// One journal record a batch. `chain` = SHA-256(previous chain ‖ record), so that an edit of history
/// shows.
struct JournalRecord {
    std::string market;
    std::int64_t sequence = 0;
    std::int64_t epoch = 0;
    Time at;
    std::string record;  ///< JSON of row after-images and the events they are: see journal.hpp
    std::string chain_hex;
};

struct Batch {
    market::Changes changes;
    std::vector<IdempotencyRecord> idempotency;
    std::vector<Receipt> receipts;
    JournalRecord journal;  ///< its sequence is the leader row's after this batch
};

enum class CommitOutcome {
    committed,
    refused,  ///< a constraint of the database was violated: a command of this batch is poisoned
    failed,   ///< not committed, for a reason that is not the batch's: connection lost before COMMIT,
              ///< timeout
    unknown,  ///< the connection broke during COMMIT: resolve() tells
    stale,    ///< the leader row did not match: another leader has taken over
};

struct CommitResult {
    CommitOutcome outcome = CommitOutcome::failed;
    std::string detail;  ///< constraint name and message, for the log
};

/// How far the journal of a market was read: the last record, its link of the chain and its time.
struct JournalPosition {
    std::int64_t sequence = 0;
    std::string chain_hex;
    Time at;
};

struct Leadership {
    std::int64_t epoch = 0;
    std::int64_t sequence = 0;
    std::string chain_hex;
    Time last_journal_at;
};

/// Who would lead: a name that no other process has, and where other servers reach it ("host:port").
struct Candidate {
    std::string name;
    std::string address;
    /// Just started: who leads from the same address was a process before this one, and has ended.
    bool is_new_there = false;
};

/// Everything a leader holds in memory. Ended leases that are released, final orders and final jobs are
/// left out.
struct LoadedMarket {
    market::Settings settings;
    std::vector<market::Organization> organizations;
    std::vector<ledger::Account> accounts;
    std::vector<market::Host> hosts;
    std::vector<market::Card> cards;
    std::vector<market::Listing> listings;          ///< not the withdrawn ones
    std::vector<market::Order> orders;              ///< standing, and those of live leases
    std::vector<market::Lease> leases;              ///< not ended, or not released
    std::vector<market::Job> jobs;                  ///< not final, and those of loaded leases
    std::vector<market::Reservation> reservations;  ///< booked or started
    std::vector<market::Booking> bookings;
    std::vector<market::Freeze> freezes;
    std::vector<market::Policy> policies;  ///< all versions
    std::vector<market::PolicyApproval> policy_approvals;
    std::vector<market::SpotPool> spot_pools;
    std::vector<market::LeaseSegment> lease_segments;  ///< of the loaded leases
    std::vector<IdempotencyRecord> recent_keys;        ///< those of the last minutes, newest last, bounded
    JournalPosition position;                          ///< of the record that left the rows like this
};

/// The market that these rows are.
[[nodiscard]] inline market::State state_of(const LoadedMarket& loaded, const market::Rules& rules) {
    market::State state(rules);
    const auto add = [&](const auto& rows) {
        for (const auto& row : rows)
            state.replace<std::decay_t<decltype(row)>>(nullptr, &row);
    };
    state.replace<market::Settings>(nullptr, &loaded.settings);
    add(loaded.organizations);
    add(loaded.accounts);
    add(loaded.hosts);
    add(loaded.cards);
    add(loaded.listings);
    add(loaded.orders);
    add(loaded.jobs);
    add(loaded.leases);
    add(loaded.reservations);
    add(loaded.bookings);
    add(loaded.freezes);
    add(loaded.policies);
    add(loaded.policy_approvals);
    add(loaded.spot_pools);
    add(loaded.lease_segments);
    return state;
}

/// One connection, used by one thread at a time.
class MarketStore {
  public:
    virtual ~MarketStore() = default;

    /// Takes the leader row by compare-and-set when nobody holds it, its beat is older than `stale_after`
    /// (database clock), or its holder has ended by what the candidate says, and raises the epoch; nothing
    /// while another holder is fresh. Done before load().
    [[nodiscard]] virtual std::optional<Leadership> take_leadership(const std::string& market,
                                                                    const Candidate& candidate,
                                                                    Millis stale_after) = 0;
    /// Renews the beat of (market, epoch); false when the row has another epoch.
    [[nodiscard]] virtual bool beat(const std::string& market, std::int64_t epoch) = 0;
    /// Gives the row up at a clean stop, so that a successor need not wait.
    virtual void release_leadership(const std::string& market, std::int64_t epoch) = 0;

    [[nodiscard]] virtual LoadedMarket load(const std::string& market) = 0;

    /// One transaction: the leader row first, then all rows, then the journal record.
    [[nodiscard]] virtual CommitResult commit(const Batch& batch) = 0;

    /// After `unknown`: waits for the old transaction to be decided (the leader row's lock) and reads the
    /// journal. committed (this epoch's record of that chain is there), failed (none is) or stale.
    [[nodiscard]] virtual CommitOutcome resolve(const JournalRecord& journal) = 0;

    /// Drops the connection and makes a new one; throws when the database is out of reach.
    virtual void reconnect() = 0;
};

}  // namespace fallow::engine
