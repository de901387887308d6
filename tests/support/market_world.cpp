#include "support/market_world.hpp"

#include <set>

#include "support/row_text.hpp"
#include "support/state_text.hpp"

namespace fallow::testing {

namespace {

// A gang is whole: as many leases as hosts, each on another one, each with another rank; once one was told
// to stop all were, and their jobs are in the hands of one order.
std::string audit_gangs(const market::State& state) {
    std::string errors;
    std::map<OrderId, std::set<HostId>> hosts;
    std::map<OrderId, std::set<std::int32_t>> ranks;
    std::map<OrderId, std::set<bool>> stopping;
    for (const auto& [id, lease] : state.table<market::Lease>()) {
        if (!lease.is_member()) continue;
        const market::Order& order = state.at<market::Order>(lease.order);
        if (lease.hosts != order.hosts || lease.pinned != !order.job)
            errors += "not of its order: " + id.text() + '\n';
        if (!hosts[lease.order].insert(lease.host).second) errors += "twice on a host: " + id.text() + '\n';
        if (!ranks[lease.order].insert(lease.rank).second) errors += "twice a rank: " + id.text() + '\n';
        if (lease.end_reason != market::EndReason::completed)
            stopping[lease.order].insert(lease.stop_reason.has_value());
    }
    for (const auto& [order, kinds] : stopping)
        if (kinds.size() > 1) errors += "stopped in part: " + order.text() + '\n';
    for (const auto& [id, order] : state.table<market::Order>())
        if (order.is_gang() && order.state == market::OrderState::filled &&
            state.leases_of(id).size() > static_cast<std::size_t>(order.hosts))
            errors += "too many members: " + id.text() + '\n';
    return errors;
}

}  // namespace

std::string audit(const market::State& state) {
    std::string errors;
    std::int64_t sum = 0;
    std::map<OrganizationId, std::int64_t> held;
    std::map<CardId, std::int32_t> used;
    std::map<CardId, OrganizationId> tenant;
    std::map<JobId, int> busy;
    for (const auto& [id, lease] : state.table<market::Lease>()) {
        held[lease.renter] += lease.held.count;
        if (!lease.released)
            for (const CardId card : lease.cards) {
                used[card] += lease.thousandths_of_each();
                if (!tenant.emplace(card, lease.renter).second && tenant[card] != lease.renter)
                    errors += "two organizations share " + card.text() + '\n';
            }
        if (lease.job && lease.state != market::LeaseState::ended && ++busy[*lease.job] > 1)
            errors += "two leases run for " + lease.job->text() + '\n';
        if (lease.meter.running.count > 0 && !lease.running_at)
            errors += "billed before running: " + id.text() + '\n';
        // What may still be sent is paid by what is held: nothing that comes can cost more.
        const Int128 to_come = lease.meter.numerator + lease.traffic_left().numerator();
        const bool is_live = lease.state != market::LeaseState::ended;
        if (is_live && to_come / ledger::numerator_per_micro > lease.meter.charged.count + lease.held.count)
            errors += "its traffic is not held: " + id.text() + '\n';
        if (lease.running_at && lease.meter.running > lease.term)
            errors += "billed past the term: " + id.text() + '\n';
    }
    for (const auto& [id, row] : state.table<market::Reservation>()) {
        held[row.renter] += row.deposit.count;
        held[row.seller] += row.bond.count;
    }
    for (const auto& [id, account] : state.table<ledger::Account>()) {
        sum += account.balance.count;
        if (account.balance < ledger::floor_of(account.kind))
            errors += "below its floor: " + id.text() + '\n';
        if (account.kind == ledger::AccountKind::held &&
            account.balance.count != held[account.organization])
            errors +=
                "held is not what leases and reservations hold: " + account.organization.text() + '\n';
    }
    errors += audit_gangs(state);
    if (sum != 0) errors += "the accounts' sum is " + std::to_string(sum) + '\n';
    for (const auto& [id, card] : state.table<market::Card>())
        if (card.used != used[id] || card.used > limits::thousandths_per_card)
            errors += "used " + std::to_string(card.used) + " of " + id.text() + '\n';
    return errors;
}

World::World(market::Rules rules) : state_(state_of(database_.load(), rules)) {}

market::Caller World::by(OrganizationId organization) {
    return {organization, false, std::nullopt, "key_1"};
}

market::Caller World::agent_of(HostId host) const {
    return {state_.at<market::Host>(host).organization, false, host, host.text()};
}

market::Decision World::decide(const market::Command& command, const market::Caller& caller) {
    const market::Context context{now_, RawId{7, ++seed_}, epoch_, caller};
    const bool is_checked = seed_ % static_cast<std::uint64_t>(check_every_) == 0;
    std::optional<market::State> before;
    if (is_checked) before = state_;
    market::Decision decision = market::decide(state_, command, context);
    last_entries_ = decision.entries;
    if (is_checked) check_decision(*before, command, context, decision);
    database_.apply(market::coalesce(decision.entries));
    if (is_checked) check_state();
    all_entries_.insert(all_entries_.end(), decision.entries.begin(), decision.entries.end());
    if (on_decided_) on_decided_(command, caller, context.seed.low);
    return decision;
}

std::string World::attempt(const market::Command& command, const market::Caller& caller) {
    const market::Decision decision = decide(command, caller);
    if (decision.outcome) return "ok";
    CHECK(decision.entries.empty());
    CHECK_FALSE(decision.outcome.error().detail.empty());
    return std::string(name_of(decision.outcome.error().code));
}

OrganizationId World::organization(const std::string& name, const std::string& country) {
    return must<market::Organization>(market::CreateOrganization{name, country}, admin()).id;
}

OrganizationId World::rich(const std::string& name) {
    const OrganizationId id = organization(name);
    deposit(id, usd(1000));
    return id;
}

void World::deposit(OrganizationId organization, ledger::Micros amount) {
    must<ledger::Transfer>(market::Deposit{organization, amount, "test"}, admin());
}

void World::set_fee(std::int32_t ppm) {
    must<market::Settings>(market::SetFee{ppm}, admin());
}

HostId World::enroll(OrganizationId owner, const HostBuilder& builder) {
    const HostId id(RawId{3, ++seed_});
    must<market::Host>(builder.enrollment(id), market::Caller{owner, false, id, id.text()});
    return id;
}

HostId World::host(OrganizationId owner, const HostBuilder& builder) {
    const HostId id = enroll(owner, builder);
    inventory(id, builder);
    back(id);
    return id;
}

std::vector<market::Card> World::inventory(HostId host, const HostBuilder& builder) {
    return must<market::InventoryAccepted>(builder.inventory(now_), agent_of(host)).cards;
}

void World::lost(HostId host) {
    must<Done>(market::HostLost{host}, system());
}

void World::back(HostId host) {
    must<Done>(market::HostBack{host}, system());
}

void World::tick() {
    must<Done>(market::Tick{}, system());
}

void World::tick_after(Millis span) {
    pass(span);
    tick();
}

std::vector<CardId> World::unlisted(HostId host, std::optional<int> count) const {
    std::map<std::int32_t, CardId> by_index;
    for (const CardId id : state_.cards_of(host))
        if (!state_.listing_of(id)) by_index.emplace(state_.at<market::Card>(id).index, id);
    std::vector<CardId> cards;
    for (const auto& [index, id] : by_index)
        if (!count || static_cast<int>(cards.size()) < *count) cards.push_back(id);
    return cards;
}

ListingId World::listing(HostId host, const ListingBuilder& builder) {
    const market::CreateListing command = builder.on(host, unlisted(host, builder.count()));
    return must<market::ListingView>(command, by(state_.at<market::Host>(host).organization)).listing.id;
}

market::OrderPlaced World::place(OrganizationId renter, const market::PlaceOrder& order) {
    return must<market::OrderPlaced>(order, by(renter));
}

LeaseId World::rent(OrganizationId renter, const market::PlaceOrder& order) {
    const market::OrderPlaced placed = place(renter, order);
    REQUIRE(placed.lease);
    return placed.lease->id;
}

market::AgentReport World::report(LeaseId lease, market::AgentPhase phase) const {
    market::AgentReport report;
    report.lease = lease;
    report.lease_epoch = this->lease(lease).epoch;
    report.phase = phase;
    if (phase == market::AgentPhase::running) {
        report.container = "container-" + lease.text();
        report.boot = "boot-1";
    }
    if (phase == market::AgentPhase::exited) report.exit_code = 0;
    if (phase == market::AgentPhase::failed) report.failure = market::EndReason::start_failed;
    return report;
}

std::string World::tell(const market::AgentReport& report) {
    return attempt(report, agent_of(lease(report.lease).host));
}

void World::reported(LeaseId lease, market::AgentPhase phase) {
    REQUIRE(tell(report(lease, phase)) == "ok");
}

void World::exited(LeaseId lease, std::int32_t exit_code) {
    market::AgentReport report = this->report(lease, market::AgentPhase::exited);
    report.exit_code = exit_code;
    REQUIRE(tell(report) == "ok");
}

void World::run(LeaseId lease) {
    reported(lease, market::AgentPhase::accepted);
    reported(lease, market::AgentPhase::running);
}

market::ReportUsage World::usage(LeaseId id, Millis running,
                                 std::optional<std::int64_t> egress_bytes) const {
    const market::Lease& lease = this->lease(id);
    market::ReportUsage report;
    report.lease = id;
    report.lease_epoch = lease.epoch;
    report.container = lease.container.value_or("");
    report.boot = lease.boot.value_or("");
    report.nonce = lease.nonce;
    report.sequence = lease.usage_sequence + 1;
    report.running = running;
    report.egress_bytes = egress_bytes;
    report.statement = "a statement";
    report.statement_sha256 = "a-hash";
    report.signature = "a-signature";
    return report;
}

Millis World::state_usage(LeaseId lease, Millis running, std::optional<std::int64_t> egress_bytes) {
    const market::Caller agent = agent_of(this->lease(lease).host);
    return must<market::UsageAccepted>(usage(lease, running, egress_bytes), agent).usage.accepted_running;
}

const market::Listing& World::listing_row(ListingId id) const {
    return state_.at<market::Listing>(id);
}

ledger::Micros World::balance(OrganizationId organization, ledger::AccountKind kind) const {
    return state_.account(organization, kind).balance;
}

std::string World::phase(LeaseId id) const {
    const market::Lease& row = lease(id);
    std::string text(name_of(row.state));
    if (row.end_reason) text += ' ' + std::string(name_of(*row.end_reason));
    if (row.released) text += ", released";
    return text;
}

std::string World::events() const {
    std::string text;
    for (const market::Entry& entry : last_entries_)
        if (!entry.event.empty()) text += (text.empty() ? "" : " ") + std::string(entry.event);
    return text;
}

void World::forget_final_rows() {
    for (const market::Entry& entry : last_entries_)
        if (entry.after) market::forget_if_final(state_, *entry.after);
    CHECK(index_errors(state_).empty());
}

void World::reload() {
    state_ = state_of(database_.load(), state_.rules());
}

std::string World::text_of(const std::vector<market::Entry>& entries) {
    const auto text = [](const std::optional<market::AnyRow>& any) {
        return any ? std::visit([](const auto& row) { return row_text(row); }, *any) : std::string("none");
    };
    std::string all;
    for (const market::Entry& entry : entries)
        all += text(entry.before) + " -> " + text(entry.after) + std::string(entry.event) + entry.reason +
               entry.actor + (entry.derived ? " derived\n" : "\n");
    return all;
}

void World::check_decision(const market::State& before, const market::Command& command,
                           const market::Context& context, const market::Decision& decision) {
    market::State again = before;
    const market::Decision second = market::decide(again, command, context);
    CHECK(second.outcome.ok() == decision.outcome.ok());
    CHECK(text_of(second.entries) == text_of(decision.entries));
    market::undo(again, decision.entries);
    CHECK(difference(again, before) == "");
    CHECK(index_errors(again) == "");
}

void World::check_state() const {
    CHECK(audit(state_) == "");
    CHECK(index_errors(state_) == "");
    CHECK(missing_rows() == "");
    CHECK_NOTHROW(database_.check());
}

std::string World::missing_rows() const {
    std::string errors;
    const auto compare = [&]<class Row>(const market::Table<Row>& table) {
        for (const auto& [key, row] : table) {
            const auto at = database_.rows<Row>().find(key);
            if (at == database_.rows<Row>().end())
                errors += "not in the database: " + row_text(row) + '\n';
            else if (row_text(at->second) != row_text(row))
                errors += "otherwise in the database: " + row_text(row) + '\n';
        }
    };
    compare(state_.table<market::Organization>());
    compare(state_.table<ledger::Account>());
    compare(state_.table<market::Host>());
    compare(state_.table<market::Card>());
    compare(state_.table<market::Listing>());
    compare(state_.table<market::Order>());
    compare(state_.table<market::Lease>());
    compare(state_.table<market::Job>());
    compare(state_.table<market::Reservation>());
    compare(state_.table<market::Booking>());
    compare(state_.table<market::Freeze>());
    compare(state_.table<market::Settings>());
    compare(state_.table<market::Policy>());
    compare(state_.table<market::PolicyApproval>());
    compare(state_.table<market::SpotPool>());
    compare(state_.table<market::LeaseSegment>());
    return errors;
}

}  // namespace fallow::testing
