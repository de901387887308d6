// A small market with one of everything, as the engine would have written it: a renter with money, a
// seller's host with two cards, a lease that runs and one that has ended. Tests of the store and of the
// ledger proof start here.
#pragma once

#include <memory>
#include <string>

#include "engine/store.hpp"
#include "store/transaction.hpp"

namespace fallow::test {

struct World {
    World();

    OrganizationId renter, seller, stranger;
    AccountId available, held, earned;
    HostId host;
    CardId card, free_card;
    ListingId listing;
    OrderId order, ended_order;
    LeaseId lease, ended_lease;  ///< running with two usage statements; ended after one
    JobId job;
    ReservationId reservation;  ///< of the free card, with a deposit
    engine::Batch batch;        ///< everything, for leadership (epoch 1, sequence 0)

    [[nodiscard]] const market::Lease& running() const { return batch.changes.leases.inserts[0]; }
    [[nodiscard]] const market::Lease& ended() const { return batch.changes.leases.inserts[1]; }

  private:
    void people();
    void supply();
    void demand();
    void rest();
    void move(AccountId debit, OrganizationId debit_owner, AccountId credit, OrganizationId credit_owner,
              std::int64_t micros, ledger::TransferReason reason, std::optional<LeaseId> of_lease);
    void meter(market::Lease& lease, std::int64_t running_ms, std::int64_t accepted_at, bool final);
    template <class AnyId>
    AnyId fresh() {
        return AnyId(mint_.next());
    }

    IdMint mint_{RawId{7, 11}};
};

/// Well known, made by the migrations.
inline constexpr OrganizationId platform{RawId{0, 1}};
inline constexpr AccountId external{RawId{0, 2}};
inline constexpr AccountId fees{RawId{0, 3}};

inline constexpr std::int64_t world_now = 1'800'000'000'000;

/// A fresh database with the world in it; the store still leads.
struct SeededDatabase {
    SeededDatabase();

    World world;
    std::string url;
    std::unique_ptr<engine::MarketStore> store;
    engine::Leadership leadership;  ///< as after the world's batch

    /// Commits `changes` as the next batch.
    engine::CommitResult commit(const market::Changes& changes);
};

template <class AnyId>
[[nodiscard]] std::string sql(const AnyId& id) {
    return "'" + format_uuid(id.raw) + "'";
}

}  // namespace fallow::test
