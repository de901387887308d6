// Hosts and their cards: enrolment, inventory, silence and return.
#include <fmt/format.h>

#include <algorithm>

#include "market/handlers.hpp"
#include "market/leases.hpp"
#include "market/listings.hpp"
#include "market/matching.hpp"

namespace fallow::market {
namespace {

Card card_of(const Host& host, const ReportedCard& reported) {
    Card card;
    card.host = host.id;
    card.organization = host.organization;
    card.index = reported.index;
    card.uuid = reported.uuid;
    card.pci_address = reported.pci_address;
    card.product = reported.product;
    card.vendor = reported.vendor;
    card.device_class = reported.device_class;
    card.backend = reported.backend;
    card.driver_version = reported.driver_version;
    card.cuda_version = reported.cuda_version;
    card.compute_capability = reported.compute_capability;
    card.pcie_generation = reported.pcie_generation;
    card.pcie_width = reported.pcie_width;
    card.power_limit_watts = reported.power_limit_watts;
    card.vram_bytes = reported.vram_bytes;
    card.memory_bandwidth_bytes_per_s = reported.memory_bandwidth_bytes_per_s;
    card.fp32_flops = reported.fp32_flops;
    card.measured_at = reported.measured_at;
    card.speeds = reported.speeds;
    card.details = reported.details;
    card.verdict = reported.verdict.value_or(CardVerdict{});
    card.state = reported.offered ? CardState::present : CardState::withheld;
    card.withheld_reason = reported.withheld_reason;
    return card;
}

/// The same card, as reported now, beside what the market knows of it. A report without a measurement keeps
/// the last, and so does one without a verdict.
Card merged(const Card& known, Card reported, bool has_verdict) {
    reported.id = known.id;
    reported.used = known.used;
    reported.version = known.version;
    if (!reported.measured_at) {
        reported.vram_bytes = known.vram_bytes;
        reported.memory_bandwidth_bytes_per_s = known.memory_bandwidth_bytes_per_s;
        reported.fp32_flops = known.fp32_flops;
        reported.measured_at = known.measured_at;
        reported.speeds = known.speeds;
    }
    if (!has_verdict) reported.verdict = known.verdict;
    return reported;
}

bool same_facts(const Card& a, const Card& b) {
    return a.index == b.index && a.pci_address == b.pci_address && a.product == b.product &&
           a.vendor == b.vendor && a.device_class == b.device_class && a.backend == b.backend &&
           a.driver_version == b.driver_version && a.cuda_version == b.cuda_version &&
           a.compute_capability == b.compute_capability && a.pcie_generation == b.pcie_generation &&
           a.pcie_width == b.pcie_width && a.power_limit_watts == b.power_limit_watts &&
           a.vram_bytes == b.vram_bytes &&
           a.memory_bandwidth_bytes_per_s == b.memory_bandwidth_bytes_per_s &&
           a.fp32_flops == b.fp32_flops && a.measured_at == b.measured_at && a.state == b.state &&
           a.withheld_reason == b.withheld_reason && a.speeds == b.speeds && a.details == b.details &&
           a.verdict == b.verdict;
}

Status check_cards(const std::vector<ReportedCard>& cards) {
    std::set<std::string_view> seen;
    for (std::size_t i = 0; i < cards.size(); ++i)
        if (!seen.insert(cards[i].uuid).second)
            return refuse(ErrorCode::invalid_field, "Two cards of one host have the same uuid.",
                          fmt::format("/cards/{}/uuid", i));
    return Done{};
}

/// A host's cards are never forgotten, so that their number is bounded here and not by the report's length
/// alone.
Status check_card_count(const State& state, HostId host, const std::vector<ReportedCard>& reported) {
    std::set<std::string_view> uuids;
    for (const CardId id : state.cards_of(host))
        uuids.insert(state.at<Card>(id).uuid);
    for (const ReportedCard& card : reported)
        uuids.insert(card.uuid);
    if (uuids.size() > limits::cards_per_host_max)
        return refuse(ErrorCode::limit_reached,
                      fmt::format("A host has at most {} cards, those that are missing now included.",
                                  limits::cards_per_host_max),
                      "/cards");
    return Done{};
}

void write_cards(Transaction& tx, const Host& host, const std::vector<ReportedCard>& reported) {
    std::map<std::string, CardId> known;
    for (const CardId id : tx.state().cards_of(host.id))
        known.emplace(tx.state().at<Card>(id).uuid, id);
    for (const ReportedCard& entry : reported) {
        Card card = card_of(host, entry);
        const auto at = known.find(entry.uuid);
        if (at == known.end()) {
            card.id = tx.make_id<CardId>();
            tx.insert(card, "card.found");
            continue;
        }
        const Card& before = tx.state().at<Card>(at->second);
        card = merged(before, std::move(card), entry.verdict.has_value());
        known.erase(at);
        if (!same_facts(before, card)) tx.update(std::move(card), "card.changed");
    }
    for (const auto& [uuid, id] : known) {
        Card card = tx.state().at<Card>(id);
        if (card.state == CardState::missing) continue;
        card.state = CardState::missing;
        card.withheld_reason.reset();
        tx.update(std::move(card), "card.missing");
    }
}

/// The host's listings that are open, and have no card that is offered.
std::set<ListingId> paused_by_cards(const State& state, HostId host) {
    std::set<ListingId> paused;
    for (const CardId card : state.cards_of(host)) {
        const auto listing = state.listing_of(card);
        if (listing && pause_of(state, state.at<Listing>(*listing)) == ListingPause::cards)
            paused.insert(*listing);
    }
    return paused;
}

/// Of a listing nothing but its version changes; its seller is to hear of it.
void tell_pauses(Transaction& tx, const std::set<ListingId>& before, const std::set<ListingId>& after) {
    const std::string_view reason = name_of(ListingPause::cards);
    for (const ListingId id : after)
        if (!before.contains(id)) tx.update(Listing(tx.state().at<Listing>(id)), "listing.paused", reason);
    for (const ListingId id : before)
        if (!after.contains(id)) tx.update(Listing(tx.state().at<Listing>(id)), "listing.resumed", reason);
}

/// Of the cards that are there: refused if one is, verified if all are.
Verification verification_of(const State& state, HostId host) {
    bool all_verified = true;
    bool any = false;
    for (const CardId id : state.cards_of(host)) {
        const Card& card = state.at<Card>(id);
        if (card.state == CardState::missing) continue;
        if (card.verdict.verification == Verification::refused) return Verification::refused;
        any = true;
        all_verified = all_verified && card.verdict.verification == Verification::verified;
    }
    return any && all_verified ? Verification::verified : Verification::unverified;
}

void verify_host(Transaction& tx, HostId id) {
    Host host = tx.state().at<Host>(id);
    const Verification found = verification_of(tx.state(), id);
    if (found == host.verification) return;
    host.verification = found;
    tx.update(std::move(host), found == Verification::refused    ? "host.refused"
                               : found == Verification::verified ? "host.verified"
                                                                 : "host.unverified");
}

Result<const Host*> own_host(const Transaction& tx) {
    FALLOW_ASSERT(tx.context().caller.host.has_value());
    const Host* host = tx.state().find<Host>(*tx.context().caller.host);
    if (host == nullptr || host->state == HostState::retired)
        return refuse(ErrorCode::not_found, "The host is retired or unknown: enrol it again.");
    return host;
}

}  // namespace

Result<Outcome> handle(Transaction& tx, const EnrollHost& command) {
    const OrganizationId owner = tx.context().caller.organization;
    if (const auto open = check_may_trade(tx.state(), owner); !open) return open.error();
    if (tx.state().host_name_taken(owner, command.name))
        return refuse(ErrorCode::name_taken, fmt::format("The organization has a host named {} already: "
                                                         "retire it, or make a token with another name.",
                                                         command.name));

    Host host;
    host.id = command.host;
    host.organization = owner;
    host.name = command.name;
    host.country = command.country;
    host.runtime = command.runtime;
    host.engine = command.engine;
    host.agent_version = command.agent_version;
    host.cpu_cores = command.cpu_cores;
    host.memory_bytes = command.memory_bytes;
    host.signing_key = command.signing_key;
    host.signing_key_certificate = command.signing_key_certificate;
    host.enrolled_at = tx.now();
    tx.insert(host, "host.enrolled");
    return Outcome(host);
}

Result<Outcome> handle(Transaction& tx, const ReportInventory& command) {
    const auto found = own_host(tx);
    if (!found) return found.error();
    if (const auto distinct = check_cards(command.cards); !distinct) return distinct.error();
    if (const auto fits = check_card_count(tx.state(), (*found)->id, command.cards); !fits)
        return fits.error();

    Host host = **found;
    const HostId id = host.id;
    const bool changed = host.runtime != command.runtime || host.engine != command.engine ||
                         host.agent_version != command.agent_version || host.boot_id != command.boot_id ||
                         host.cpu_cores != command.cpu_cores || host.memory_bytes != command.memory_bytes ||
                         host.cpu_architecture != command.cpu_architecture ||
                         host.disk_bytes != command.disk_bytes || host.details != command.details;
    host.runtime = command.runtime;
    host.engine = command.engine;
    host.agent_version = command.agent_version;
    host.boot_id = command.boot_id;
    host.cpu_cores = command.cpu_cores;
    host.memory_bytes = command.memory_bytes;
    host.cpu_architecture = command.cpu_architecture;
    host.disk_bytes = command.disk_bytes;
    host.details = command.details;
    if (changed) tx.update(std::move(host), "host.changed");
    const std::set<ListingId> paused = paused_by_cards(tx.state(), id);
    write_cards(tx, tx.state().at<Host>(id), command.cards);
    tell_pauses(tx, paused, paused_by_cards(tx.state(), id));
    verify_host(tx, id);
    match_standing_orders(tx);

    InventoryAccepted accepted;
    for (const CardId card : tx.state().cards_of(id))
        accepted.cards.push_back(tx.state().at<Card>(card));
    std::sort(accepted.cards.begin(), accepted.cards.end(), [](const Card& a, const Card& b) {
        return std::tie(a.index, a.id) < std::tie(b.index, b.id);
    });
    return Outcome(std::move(accepted));
}

Result<Outcome> handle(Transaction& tx, const HostLost& command) {
    const Host* found = tx.state().find<Host>(command.host);
    if (found == nullptr || found->unreachable_since || found->state == HostState::enrolled ||
        found->state == HostState::retired)
        return Outcome(Done{});

    Host host = *found;
    host.unreachable_since = tx.now();
    if (host.state == HostState::online) host.state = HostState::unreachable;
    tx.update(std::move(host), "host.unreachable");
    const std::set<LeaseId> leases = tx.state().live_leases_of(command.host);
    for (const LeaseId id : leases) {
        Lease lease = tx.state().at<Lease>(id);
        if (lease.state == LeaseState::ended) continue;
        if (!lease.pinned || lease.state != LeaseState::running) {
            finish_lease(tx, id, EndReason::host_lost, false);
            continue;
        }
        lease.phase_deadline = tx.now() + tx.state().rules().pinned_lost;
        tx.update(std::move(lease), "lease.host_silent");
    }
    return Outcome(Done{});
}

Result<Outcome> handle(Transaction& tx, const HostBack& command) {
    const Host* found = tx.state().find<Host>(command.host);
    const bool is_away =
        found != nullptr && (found->state == HostState::enrolled || found->unreachable_since);
    if (!is_away || found->state == HostState::retired) return Outcome(Done{});

    Host host = *found;
    host.unreachable_since.reset();
    if (host.state != HostState::draining) host.state = HostState::online;
    tx.update(std::move(host), "host.online");
    const std::set<LeaseId> leases = tx.state().live_leases_of(command.host);
    for (const LeaseId id : leases) {
        Lease lease = tx.state().at<Lease>(id);
        if (lease.state != LeaseState::running || !lease.phase_deadline) continue;
        lease.phase_deadline.reset();
        tx.update(std::move(lease), "lease.host_back");
    }
    match_standing_orders(tx);
    return Outcome(Done{});
}

/// A fact that is noted; nothing is decided by it, and orders that ask for it are matched in time.
Result<Outcome> handle(Transaction& tx, const HostMoved& command) {
    const Host* found = tx.state().find<Host>(command.host);
    if (found == nullptr || found->state == HostState::retired ||
        found->address.value_or("") == command.address)
        return Outcome(Done{});

    Host host = *found;
    host.address.reset();
    host.address_since.reset();
    if (!command.address.empty()) {
        host.address = command.address;
        host.address_since = tx.now();
    }
    tx.update(std::move(host), "host.address_changed");
    return Outcome(Done{});
}

}  // namespace fallow::market
