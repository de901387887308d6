#include "market/host_life.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "market/handlers.hpp"
#include "market/leases.hpp"
#include "market/matching.hpp"
#include "market/reservations.hpp"

namespace fallow::market {
namespace {

bool has_bookings(const State& state, HostId host) {
    return std::ranges::any_of(state.cards_of(host),
                               [&](CardId card) { return !state.bookings_of(card).empty(); });
}

bool is_booked_within(const State& state, HostId host, Time from, Time until) {
    for (const CardId card : state.cards_of(host))
        for (const auto& [start, id] : state.bookings_of(card))
            if (start < until && from < state.at<Booking>(id).ends_at + turnaround(state.rules()))
                return true;
    return false;
}

void withdraw_listings(Transaction& tx, HostId host) {
    std::set<ListingId> listings;
    for (const CardId card : tx.state().cards_of(host))
        if (const auto listing = tx.state().listing_of(card)) listings.insert(*listing);
    for (const ListingId id : listings) {
        Listing listing = tx.state().at<Listing>(id);
        listing.state = ListingState::withdrawn;
        tx.update(std::move(listing), "listing.withdrawn");
    }
}

void forget_maintenance(Host& host) {
    host.maintenance_from.reset();
    host.maintenance_until.reset();
    host.maintenance_reason.reset();
}

/// From here on its certificate is refused: see api/authenticator.
void retire(Transaction& tx, HostId id) {
    withdraw_listings(tx, id);
    Host host = tx.state().at<Host>(id);
    host.state = HostState::retired;
    host.retiring = false;
    forget_maintenance(host);
    tx.update(std::move(host), "host.retired");
}

bool has_only_ended(const State& state, HostId host) {
    return std::ranges::all_of(state.live_leases_of(host),
                               [&](LeaseId id) { return state.at<Lease>(id).state == LeaseState::ended; });
}

/// Its cards will never be leased again, so nobody has to know that they are clean.
void release_all(Transaction& tx, HostId host) {
    const std::set<LeaseId> leases = tx.state().live_leases_of(host);
    for (const LeaseId id : leases)
        if (!tx.state().at<Lease>(id).released) release_cards(tx, id);
}

Status check_window(const AddMaintenance& command, Time now) {
    if (command.from < now)
        return refuse(ErrorCode::invalid_field, "Maintenance begins in the future.", "/from");
    if ((command.from - now).count > limits::reservation_ahead_ms_max)
        return refuse(ErrorCode::invalid_field,
                      fmt::format("Maintenance begins within {} days.",
                                  limits::reservation_ahead_ms_max / days(1).count),
                      "/from");
    if (command.until <= command.from)
        return refuse(ErrorCode::invalid_field, "Maintenance ends after it has begun.", "/until");
    if ((command.until - command.from).count > limits::maintenance_ms_max)
        return refuse(ErrorCode::invalid_field,
                      fmt::format("Maintenance lasts {} days at most: drain the host for longer.",
                                  limits::maintenance_ms_max / days(1).count),
                      "/until");
    return Done{};
}

bool reaches_into(const Lease& lease, Time from) {
    if (lease.state == LeaseState::ended || lease.state == LeaseState::reclaiming) return false;
    if (lease.ends_by && *lease.ends_by <= from) return false;
    return !lease.running_at || *lease.running_at + lease.term > from;
}

std::vector<LeaseId> reaching_into(const State& state, HostId host, Time from) {
    std::vector<LeaseId> found;
    std::ranges::copy_if(state.live_leases_of(host), std::back_inserter(found),
                         [&](LeaseId id) { return reaches_into(state.at<Lease>(id), from); });
    return found;
}

/// Every renter keeps what was promised: its notice, and a commitment.
Status check_leases(const State& state, const std::vector<LeaseId>& leases, Time from, Time now) {
    Millis longest;
    for (const LeaseId id : leases) {
        const Lease& lease = state.at<Lease>(id);
        longest = std::max(longest, lease.reclaim_notice);
        if (penalty_for_reclaim(state, lease, now))
            return refuse(ErrorCode::committed,
                          fmt::format("{} runs into it on cards that are committed to its renter: choose "
                                      "a later time, or reclaim it with breach: true first.",
                                      id.text()),
                          "/from");
    }
    if (now + longest > from)
        return refuse(ErrorCode::invalid_field,
                      fmt::format("Renters on this host have a notice of {} s: begin at {} or later, or "
                                  "reclaim their leases first.",
                                  longest.count / 1000, to_rfc3339(now + longest)),
                      "/from");
    return Done{};
}

}  // namespace

bool is_beside_maintenance(const Host& host, Millis term, Time now) {
    if (!host.maintenance_from || *host.maintenance_until <= now) return true;
    return now < *host.maintenance_from && now + term <= *host.maintenance_from;
}

std::optional<Millis> longest_before_maintenance(const Host& host, Time now) {
    if (!host.maintenance_from || *host.maintenance_from <= now) return std::nullopt;
    return *host.maintenance_from - now;
}

void settle_draining(Transaction& tx, HostId id) {
    const State& state = tx.state();
    Host host = state.at<Host>(id);
    if (host.state != HostState::draining) return;
    if (host.retiring && host.unreachable_since && has_only_ended(state, id)) release_all(tx, id);
    // Released one by one above, the last of them has settled it already.
    if (!state.live_leases_of(id).empty() || state.at<Host>(id).state != HostState::draining) return;
    if (host.retiring) return retire(tx, id);
    if (host.drained_at) return;
    host.drained_at = tx.now();
    tx.update(std::move(host), "host.drained");
}

void on_host_due(Transaction& tx, HostId id) {
    const Host* found = tx.state().find<Host>(id);
    if (found == nullptr || !found->maintenance_until || *found->maintenance_until > tx.now()) return;
    Host host = *found;
    forget_maintenance(host);
    tx.update(std::move(host), "host.maintenance_over");
}

Result<Outcome> handle(Transaction& tx, const ChangeHost& command) {
    const auto found = visible(tx, command.host);
    if (!found) return found.error();
    Host host = **found;
    const auto wrong_state = [&](std::string_view wanted) {
        return refuse(ErrorCode::wrong_state,
                      fmt::format("The host is {}: only a host that is {} can do this.",
                                  host.retiring ? "retiring" : name_of(host.state), wanted));
    };
    switch (command.action) {
        case HostAction::drain:
            if (host.state != HostState::online && host.state != HostState::unreachable)
                return wrong_state("online or unreachable");
            host.state = HostState::draining;
            if (tx.state().live_leases_of(command.host).empty()) host.drained_at = tx.now();
            tx.update(std::move(host), "host.draining");
            break;
        case HostAction::resume:
            if (host.state != HostState::draining) return wrong_state("draining");
            host.state = host.unreachable_since ? HostState::unreachable : HostState::online;
            host.retiring = false;
            host.drained_at.reset();
            tx.update(std::move(host), "host.resumed");
            match_standing_orders(tx);
            break;
        case HostAction::retire:
            if (host.state == HostState::retired || host.retiring) return wrong_state("not retired yet");
            if (has_bookings(tx.state(), host.id))
                return refuse(ErrorCode::committed,
                              "The host's cards are reserved: break the reservations first.");
            if (tx.state().live_leases_of(command.host).empty()) {
                retire(tx, command.host);
                break;
            }
            host.state = HostState::draining;
            host.retiring = true;
            tx.update(std::move(host), "host.retiring");
            settle_draining(tx, command.host);  // one that is out of reach
            break;
    }
    return Outcome(tx.state().at<Host>(command.host));
}

Result<Outcome> handle(Transaction& tx, const AddMaintenance& command) {
    const auto found = visible(tx, command.host);
    if (!found) return found.error();
    Host host = **found;
    if (host.state == HostState::retired) return refuse(ErrorCode::wrong_state, "The host is retired.");
    if (host.maintenance_from)
        return refuse(ErrorCode::wrong_state,
                      fmt::format("The host has a maintenance from {} to {} already: remove it first.",
                                  to_rfc3339(*host.maintenance_from), to_rfc3339(*host.maintenance_until)));
    if (const auto fine = check_window(command, tx.now()); !fine) return fine.error();
    if (is_booked_within(tx.state(), host.id, command.from, command.until))
        return refuse(ErrorCode::committed,
                      "Cards of the host are reserved in that time: break the reservations first, or "
                      "choose another time.",
                      "/from");
    const auto leases = reaching_into(tx.state(), host.id, command.from);
    if (const auto fine = check_leases(tx.state(), leases, command.from, tx.now()); !fine)
        return fine.error();

    host.maintenance_from = command.from;
    host.maintenance_until = command.until;
    host.maintenance_reason = command.reason;
    tx.update(std::move(host), "host.maintenance_announced");
    for (const LeaseId id : leases) {
        Lease lease = tx.state().at<Lease>(id);
        lease.maintenance_at = command.from;
        tx.update(std::move(lease), "lease.maintenance_announced");
    }
    return Outcome(tx.state().at<Host>(command.host));
}

Result<Outcome> handle(Transaction& tx, const RemoveMaintenance& command) {
    const auto found = visible(tx, command.host);
    if (!found) return found.error();
    Host host = **found;
    if (!host.maintenance_from)
        return refuse(ErrorCode::wrong_state, "The host has no maintenance to remove.");

    forget_maintenance(host);
    tx.update(std::move(host), "host.maintenance_removed");
    const std::set<LeaseId> leases = tx.state().live_leases_of(command.host);
    for (const LeaseId id : leases) {
        Lease lease = tx.state().at<Lease>(id);
        // One that was told to stop is on its way: its program may have gone already.
        if (!lease.maintenance_at || lease.stop_reason || lease.state == LeaseState::ended) continue;
        lease.maintenance_at.reset();
        tx.update(std::move(lease), "lease.maintenance_removed");
    }
    match_standing_orders(tx);
    return Outcome(tx.state().at<Host>(command.host));
}

}  // namespace fallow::market
