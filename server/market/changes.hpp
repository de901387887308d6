// What a batch of decisions changed: rows to insert, update and remove, each once, in their final form.
#pragma once

#include <vector>

#include "ledger/account.hpp"
#include "market/card.hpp"
#include "market/host.hpp"
#include "market/job.hpp"
#include "market/jurisdiction.hpp"
#include "market/lease.hpp"
#include "market/listing.hpp"
#include "market/order.hpp"
#include "market/organization.hpp"
#include "market/policy.hpp"
#include "market/reservation.hpp"
#include "market/spot_rows.hpp"

namespace fallow::market {

template <class Row>
struct RowWrites {
    std::vector<Row> inserts;
    std::vector<Row> updates;
    std::vector<Row> removes;

    [[nodiscard]] bool empty() const { return inserts.empty() && updates.empty() && removes.empty(); }
    [[nodiscard]] std::size_t size() const { return inserts.size() + updates.size() + removes.size(); }
};

struct Changes {
    RowWrites<Organization> organizations;
    RowWrites<ledger::Account> accounts;    ///< inserts only
    RowWrites<ledger::Transfer> transfers;  ///< inserts only
    RowWrites<Host> hosts;
    RowWrites<Card> cards;
    RowWrites<Listing> listings;
    RowWrites<Order> orders;
    RowWrites<Lease> leases;
    RowWrites<LeaseCard> lease_cards;  ///< inserts, and updates that set `released`
    RowWrites<Job> jobs;
    RowWrites<JobSpec> job_specs;  ///< inserts only
    RowWrites<Usage> usage;        ///< inserts only
    RowWrites<Reservation> reservations;
    RowWrites<Booking> bookings;
    RowWrites<Freeze> freezes;                   ///< inserts and removes
    RowWrites<Settings> settings;                ///< updates only
    RowWrites<Policy> policies;                  ///< inserts only
    RowWrites<PolicyApproval> policy_approvals;  ///< inserts and removes
    RowWrites<SpotPool> spot_pools;
    RowWrites<SpotPrice> spot_prices;        ///< inserts only
    RowWrites<LeaseSegment> lease_segments;  ///< inserts only

    /// Calls `visit` with every RowWrites, in an order in which they can be written.
    template <class Self, class Visit>
    static void each(Self& self, Visit&& visit) {
        visit(self.organizations);
        visit(self.accounts);
        visit(self.hosts);
        visit(self.cards);
        visit(self.listings);
        visit(self.orders);
        visit(self.leases);
        visit(self.lease_cards);
        visit(self.jobs);
        visit(self.job_specs);
        visit(self.transfers);
        visit(self.usage);
        visit(self.reservations);
        visit(self.bookings);
        visit(self.freezes);
        visit(self.settings);
        visit(self.policies);
        visit(self.policy_approvals);
        visit(self.spot_pools);
        visit(self.spot_prices);
        visit(self.lease_segments);
    }
};

}  // namespace fallow::market
