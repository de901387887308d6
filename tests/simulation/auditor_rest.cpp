// The rules that hold once everything has come to rest: nothing is stuck, nothing is left over, and all
// that ran was paid for once.
#include "simulation/auditor_traffic.hpp"

#include <map>
#include <set>

namespace fallow::sim {
namespace {

using ledger::AccountKind;
using market::LeaseState;

void require(bool holds, const char* rule, const std::string& detail) {
    if (!holds) throw Violation(rule, detail);
}

}  // namespace

bool Auditor::is_quiet() const {
    for (const auto& [id, lease] : rows<market::Lease>())
        if (!lease.released) return false;
    for (const auto& [id, row] : rows<market::Reservation>())
        if (row.is_open()) return false;
    return true;
}

void Auditor::check_answered(const std::vector<std::unique_ptr<Server>>& servers) {
    for (const auto& server : servers)
        require(server->unanswered() == 0, "every_command_is_answered",
                server->name() + " owes " + std::to_string(server->unanswered()));
}

void Auditor::finish(const std::vector<std::unique_ptr<Server>>& servers) {
    check_answered(servers);
    for (const auto& [id, lease] : rows<market::Lease>()) {
        require(lease.released, "queues_drain", id.text() + " is " + std::string(name_of(lease.state)));
        check_lease(lease);
    }
    for (const auto& [id, row] : rows<market::Reservation>()) {
        require(!row.is_open(), "queues_drain", id.text() + " is " + std::string(name_of(row.state)));
        check_reservation(row);
    }
    require(rows<market::Booking>().empty(), "queues_drain", "a booking is left");
    for (const auto& [id, host] : rows<market::Host>())
        require(host.state == market::HostState::online && !host.unreachable_since, "queues_drain",
                id.text() + " is " + std::string(name_of(host.state)));
    for (const auto& [id, card] : rows<market::Card>())
        require(card.used == 0, "cards_are_free_again", id.text());
    for (const auto& [id, job] : rows<market::Job>()) {
        check_job(job);
        if (!job.is_member()) check_attempts(job);
    }
    check_own_ends();
    check_containers();
    check_traffic_of_jobs();
    check_effects();
    check_gangs();
    check_standing_orders();
}

void Auditor::check_job(const market::Job& job) const {
    const std::string id = job.id.text();
    if (!job.finished_at) {
        const bool stands = job.state == market::JobState::queued && job.order &&
                            rows<market::Order>().at(*job.order).state == market::OrderState::standing;
        require(stands, "queues_drain", id + " is " + std::string(name_of(job.state)));
        return;
    }
    if (job.state != market::JobState::succeeded) return;
    require(machines_.uploads.contains(job.lease->text()), "success_has_its_outputs", id);
    const market::Lease& lease = rows<market::Lease>().at(*job.lease);
    const Container& container = machines_.containers.at(*lease.container);
    require(container.state == agent::ContainerState::exited && container.exit_code == 0,
            "success_is_exit_0", id);
}

/// What a job had asked to be ended, or to be tried again for did happen, to a container that ran. What it
/// ran is paid for like any other run: check_lease() and check_containers(). The members of a gang carry
/// the reason of the first of them that ended.
void Auditor::check_own_ends() const {
    using enum market::EndReason;
    for (const auto& [id, lease] : rows<market::Lease>()) {
        if (lease.is_member()) continue;
        const market::EndReason reason = lease.end_reason.value_or(completed);
        if (reason == command_failed)
            require(lease.exit_code != exit_code_temporary, "temporary_as_the_job_said", id.text());
        if (reason != temporary_failure && reason != unhealthy && reason != idle) continue;
        require(lease.running_at && lease.container, "own_ends_come_to_what_ran", id.text());
        const Container& container = machines_.containers.at(*lease.container);
        const auto came = [&](const std::optional<Millis>& after) {
            return after && container.ran >= *after;
        };
        if (reason == temporary_failure)
            require(lease.exit_code == exit_code_temporary, "temporary_as_the_job_said", id.text());
        if (reason == unhealthy)
            require(came(container.program.sickens_after), "unhealthy_when_sick", id.text());
        if (reason == idle) require(came(container.program.idles_after), "idle_when_idle", id.text());
    }
}

/// An idle job is not tried again; one whose failure passes, or that was unhealthy, is, as often as it may
/// be. A quote's term, or an order that was given up meanwhile, can end it before; a rental's job is tried
/// once.
void Auditor::check_attempts(const market::Job& job) const {
    using enum market::EndReason;
    const std::string id = job.id.text();
    require(job.attempts <= job.attempts_max, "attempts_are_bounded", id);
    for (const auto& [lease_id, lease] : rows<market::Lease>())
        if (lease.job == job.id && lease.end_reason == idle)
            require(job.finished_at && job.lease == lease_id, "idle_is_the_end", id);
    if (job.state != market::JobState::failed || !job.order) return;
    if (job.reason != temporary_failure && job.reason != unhealthy) return;
    const market::Order& order = rows<market::Order>().at(*job.order);
    const bool may_be_tried_again = order.state == market::OrderState::filled && order.job && !order.quote;
    require(!may_be_tried_again || job.attempts == job.attempts_max, "tried_as_often_as_it_may", id);
    if (job.attempts > 1) world_.hit("own end after several attempts");
}

void Auditor::check_containers() const {
    for (const auto& [id, host] : hosts_)
        require(host->list().empty(), "no_container_is_left",
                host->list().empty() ? "" : host->list().front().id);
    for (const auto& [id, lease] : rows<market::Lease>()) {
        if (!lease.container || hosts_.at(lease.host)->is_lying) continue;
        const Container& container = machines_.containers.at(*lease.container);
        // What ran since the last statement cannot be proved when the host goes down.
        const bool is_stated_to_the_end =
            !container.saw_reboot && lease.exit_code && lease.usage_sequence > 0 &&
            lease.claimed == lease.meter.running && lease.end_reason != market::EndReason::host_lost;
        bool has_final = false;
        for (const market::Usage& usage : database_.rows().usage())
            has_final = has_final || (usage.lease == id && usage.final);
        if (!is_stated_to_the_end || !has_final) continue;
        // What is lost between a start, a thaw or a freeze and its record is the host's loss.
        const Millis slack = Millis(1500 + 2500 * container.freezes);
        require(lease.meter.running + slack >= container.ran, "all_proved_time_charged",
                id.text() + " ran " + std::to_string(container.ran.count) + " ms and was charged " +
                    std::to_string(lease.meter.running.count));
        if (hosts_.at(lease.host)->is_old) continue;
        require(lease.meter.egress_mib == container.sent_until(world_.now()) >> 20,
                "all_sent_traffic_charged",
                id.text() + " was charged " + std::to_string(lease.meter.egress_mib) + " MiB");
    }
}

/// One effect a key, however often it was sent.
void Auditor::check_effects() const {
    std::map<std::string, int> effects;
    for (const market::JobSpec& spec : database_.rows().job_specs())
        if (rows<market::Job>().at(spec.job).rank == 0) ++effects["job " + spec.document];
    for (const ledger::Transfer& transfer : database_.rows().transfers())
        if (transfer.reference) ++effects["transfer " + *transfer.reference];
    std::set<LeaseId> reserved;
    for (const auto& [id, row] : rows<market::Reservation>())
        if (row.lease) reserved.insert(*row.lease);
    for (const auto& [id, order] : rows<market::Order>())
        if (!order.job && order.state != market::OrderState::rejected &&
            !(order.lease && reserved.contains(*order.lease)))
            ++effects["rental " + order.organization.text() + ' ' + std::to_string(order.term.count)];
    for (const auto& [what, count] : effects)
        require(count == 1, "one_effect_a_key", what + " happened " + std::to_string(count) + " times");
    // Sequences of statements have no gap: each was taken once.
    std::map<LeaseId, std::int64_t> last;
    for (const market::Usage& usage : database_.rows().usage())
        require(usage.sequence == ++last[usage.lease], "statements_in_order", usage.lease.text());
}

std::int64_t Auditor::balance(OrganizationId owner, AccountKind kind) const {
    for (const auto& [id, account] : rows<ledger::Account>())
        if (account.organization == owner && account.kind == kind) return account.balance.count;
    return 0;
}

bool Auditor::is_frozen(const std::string& target) const {
    for (const auto& [id, freeze] : rows<market::Freeze>())
        if (freeze.target == target) return true;
    return false;
}

/// Room on a card: free thousandths, nobody else's shares beside them, and no booking that is near.
bool Auditor::has_room(const market::Card& card, const market::Order& order) const {
    if (card.used + order.thousandths > 1000) return false;
    for (const auto& [id, lease] : rows<market::Lease>()) {
        const bool holds = !lease.released && std::ranges::find(lease.cards, card.id) != lease.cards.end();
        if (holds && lease.renter != order.organization) return false;
    }
    const Time clean = world_.now() + rules_.attach_deadline + rules_.accept_deadline +
                       rules_.pull_deadline + rules_.start_deadline + order.term + rules_.stop_grace +
                       rules_.reclaim_deadline + rules_.heartbeat;
    for (const auto& [id, row] : rows<market::Booking>())
        if (row.card == card.id && row.starts_at < clean) return false;
    return true;
}

bool Auditor::could_serve(const market::Listing& listing, const market::Order& order) const {
    const market::Host& host = rows<market::Host>().at(listing.host);
    const bool is_bid = order.pricing == market::OrderPricing::spot;
    if (is_bid && !listing.spot_floor) return false;
    const ledger::Price entry = is_bid ? *listing.spot_floor : listing.ask;
    const bool is_open = listing.state == market::ListingState::open && entry <= order.price_max &&
                         order.term >= listing.term_min && order.term <= listing.term_max &&
                         order.count >= listing.bundle_min &&
                         (order.thousandths == 1000 || order.thousandths >= listing.share_min) &&
                         listing.storage_price <= order.storage_price_max.value_or(listing.storage_price) &&
                         listing.egress_price <= order.egress_price_max.value_or(listing.egress_price);
    const bool is_there = host.state == market::HostState::online && !host.unreachable_since &&
                          !is_frozen(host.id.text()) && !is_frozen(listing.organization.text());
    if (!is_open || !is_there) return false;
    int free = 0;
    for (const CardId id : listing.cards)
        if (has_room(rows<market::Card>().at(id), order)) ++free;
    if (free < order.count) return false;
    const Millis window =
        rules_.hold_window + rules_.disconnect_window + std::max(listing.reclaim_notice, rules_.stop_grace);
    const ledger::Price held_at = is_bid ? order.price_max : listing.ask;
    const Int128 storage =
        static_cast<Int128>(listing.storage_price.count) * order.storage_bytes * 1000 / 730 / 1'073'741'824;
    const Int128 numerator =
        (static_cast<Int128>(held_at.micros_per_hour) * order.count * order.thousandths + storage) *
        std::min(window, order.term).count;
    const Int128 traffic = most_traffic(order, listing.egress_price) * 3'515'625;
    const auto rounded_up = [](Int128 sum) {
        return static_cast<std::int64_t>((sum + 3'599'999'999) / 3'600'000'000);
    };
    const std::int64_t hold = order.hosts * (rounded_up(numerator) + rounded_up(traffic));
    return balance(order.organization, AccountKind::available) >= hold;
}

bool Auditor::is_kept_by_policy(const market::Order& order) const {
    const auto& versions = rows<market::Policy>();
    if (versions.empty() || order.end_use != market::EndUse::ai_training) return false;
    const std::string& text = versions.rbegin()->second.text;
    return text.starts_with("deny") || (text.starts_with("needs-approval") && !order.approved);
}

bool Auditor::could_be_filled(const market::Order& order) const {
    if (is_frozen(order.organization.text()) || is_frozen("main")) return false;
    if (is_kept_by_policy(order)) return false;
    if (order.job && is_frozen(rows<market::Job>().at(*order.job).image)) return false;
    std::set<HostId> hosts;
    for (const auto& [id, listing] : rows<market::Listing>())
        if (could_serve(listing, order)) hosts.insert(listing.host);
    return hosts.size() >= static_cast<std::size_t>(order.hosts);
}

/// Every lease of a gang beside all the others.
void Auditor::check_gangs() const {
    std::map<OrderId, std::vector<const market::Lease*>> gangs;
    for (const auto& [id, lease] : rows<market::Lease>())
        if (lease.is_member()) gangs[lease.order].push_back(&lease);
    for (const auto& [order, leases] : gangs) {
        std::set<HostId> hosts;
        for (const market::Lease* lease : leases) {
            hosts.insert(lease->host);
            require(lease->allocated_at == leases.front()->allocated_at, "gangs_begin_whole", order.text());
        }
        const market::Order& row = rows<market::Order>().at(order);
        require(hosts.size() == leases.size() && leases.size() == static_cast<std::size_t>(row.hosts),
                "gangs_are_whole", order.text());
        world_.hit("a gang is whole");
    }
    std::map<OrderId, std::set<market::JobState>> ends;
    for (const auto& [id, job] : rows<market::Job>())
        if (job.is_member()) ends[*job.order].insert(job.state);
    for (const auto& [order, states] : ends)
        require(states.size() == 1, "gangs_end_whole", order.text());
}

void Auditor::check_standing_orders() const {
    for (const auto& [id, order] : rows<market::Order>()) {
        if (order.state != market::OrderState::standing) continue;
        require(order.expires_at > world_.now() - seconds(10), "queues_drain", id.text() + " has expired");
        require(!could_be_filled(order), "standing_orders_are_filled", id.text());
        world_.hit("order stands for want of a fit");
    }
}

}  // namespace fallow::sim
