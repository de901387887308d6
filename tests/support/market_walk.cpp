#include "support/market_walk.hpp"

#include "support/state_text.hpp"

namespace fallow::testing {

Walk::Walk(std::uint64_t seed, std::size_t reload_one_in)
    : random_(seed), reload_one_in_(reload_one_in), world_(rules()) {
    world_.check_every(20);
    world_.set_fee(50'000);
    for (int i = 0; i < 4; ++i) {
        organizations_.push_back(world_.organization("organization " + std::to_string(i)));
        world_.deposit(organizations_.back(), usd(static_cast<std::int64_t>(1 + below(40))));
    }
    for (int i = 0; i < 4; ++i) {
        const HostBuilder builder = a_host().name("host " + std::to_string(i)).cards(4);
        hosts_.push_back({world_.host(organizations_[below(2)], builder), builder});
        world_.listing(hosts_.back().first, a_listing()
                                                .ask(usd(1 + static_cast<std::int64_t>(below(3))))
                                                .floor(usd(i % 3))
                                                .storage(usd(100 * (i % 3)))
                                                .egress(usd(0, i % 4))
                                                .committed(world_.now() + hours(12)));
    }
}

void Walk::step() {
    world_.pass(Millis(static_cast<std::int64_t>(below(60'000))));
    const std::string outcome = act();
    ++outcomes_[outcome];
    // Final rows leave the memory as in the engine.
    world_.forget_final_rows();
    if (reload_one_in_ > 0 && below(reload_one_in_) == 0) reload();
}

market::Rules Walk::rules() {
    market::Rules rules;
    rules.due_per_tick_max = 7;
    rules.matches_per_command_max = 3;
    return rules;
}

std::string Walk::act() {
    switch (below(30)) {
        case 29:
            return place_quoted();
        case 28:
            return bid();
        case 0:
        case 1:
        case 2:
        case 3:
            return place();
        case 4: {
            const auto order = some<market::Order>();
            return order ? go(market::CancelOrder{order->id}, World::by(order->organization)) : "none";
        }
        case 5:
            return on_lease([&](const market::Lease& row) {
                return go(market::EndLease{row.id}, World::by(row.renter));
            });
        case 6:
            return on_lease([&](const market::Lease& row) {
                return go(market::ReclaimLease{row.id, below(2) == 0}, World::by(row.seller));
            });
        case 7: {
            const auto job = some<market::Job>();
            return job ? go(market::CancelJob{job->id}, World::by(job->organization)) : "none";
        }
        case 8:
            return money();
        case 9:
            return host();
        case 10:
            return listing();
        case 11:
            return freeze();
        case 12:
        case 13:
        case 14:
            return go(market::Tick{}, World::system());
        case 15:
            return on_lease([&](const market::Lease& row) {
                const market::JobRequest job{"busybox", hours(1), static_cast<std::int32_t>(1 + below(3)),
                                             "{}", gib(static_cast<std::int64_t>(below(200)))};
                return go(market::AttachJob{row.id, job}, World::by(row.renter));
            });
        case 16:
        case 17:
            return on_lease([&](const market::Lease& row) { return usage(row); });
        case 24:
        case 25:
            return reserve();
        case 26:
            return on_reservation([&](const market::Reservation& row) {
                const OrganizationId by = below(3) == 0 ? row.seller : row.renter;
                return go(market::CancelReservation{row.id, below(3) == 0}, World::by(by));
            });
        case 27:
            return on_reservation([&](const market::Reservation& row) { return resell(row); });
        default:
            return on_lease([&](const market::Lease& row) { return report(row); });
    }
}

std::string Walk::reserve() {
    market::Reserve command;
    command.count = static_cast<std::int32_t>(1 + below(2));
    command.price_max = ledger::Price(usd(static_cast<std::int64_t>(1 + below(4))).count);
    command.term = minutes(static_cast<std::int64_t>(1 + below(90)));
    command.starts_at = world_.now() + minutes(static_cast<std::int64_t>(below(300)));
    return go(command, World::by(somebody()));
}

std::string Walk::resell(const market::Reservation& row) {
    if (row.offer_price && below(2) == 0)
        return go(market::BuyReservation{row.id, usd(9)}, World::by(somebody()));
    market::OfferReservation offer{row.id, usd(0, static_cast<std::int64_t>(below(50))), {}};
    if (below(2) == 0) offer.from = row.starts_at + minutes(static_cast<std::int64_t>(below(60)));
    return go(offer, World::by(row.renter));
}

std::string Walk::go(const market::Command& command, const market::Caller& caller) {
    return std::to_string(command.index()) + ' ' + world_.attempt(command, caller);
}

std::string Walk::place() {
    OrderBuilder order = an_order()
                             .cards(static_cast<std::int32_t>(1 + below(3)))
                             .price_max(usd(static_cast<std::int64_t>(below(5))))
                             .term(minutes(static_cast<std::int64_t>(5 + below(300))))
                             .expires_in(minutes(static_cast<std::int64_t>(1 + below(200))));
    if (below(4) == 0)
        order.hosts(static_cast<std::int32_t>(2 + below(2)));
    else if (below(3) == 0)
        order.cards(1).share(static_cast<std::int32_t>(100 * (1 + below(9))));
    else if (below(2) == 0)
        order.bid(usd(static_cast<std::int64_t>(below(5))));
    if (below(4) == 0) order.fill_or_kill();
    if (below(3) != 0)
        order.job(below(5) == 0 ? "other" : "busybox", static_cast<std::int32_t>(1 + below(4)))
            .storing(gib(static_cast<std::int64_t>(below(200))));
    if (below(4) == 0) order.storage_max(usd(static_cast<std::int64_t>(50 * below(6))));
    if (below(3) == 0)
        order.sending(static_cast<std::int64_t>(below(40)), usd(0, static_cast<std::int64_t>(below(4))));
    if (below(4) == 0) order.overage(usd(0, static_cast<std::int64_t>(below(50))));
    return go(market::PlaceOrder(order), World::by(somebody()));
}

std::string Walk::place_quoted() {
    const market::Caller renter = World::by(somebody());
    market::MakeQuote wanted;
    wanted.count = static_cast<std::int32_t>(1 + below(2));
    if (below(3) == 0) wanted.hosts = 2;
    if (wanted.count * wanted.hosts == 1 && below(2) == 0)
        wanted.thousandths = static_cast<std::int32_t>(100 * (1 + below(10)));
    wanted.stored_gib = static_cast<std::int64_t>(below(200));
    wanted.moved_gib = static_cast<std::int64_t>(below(20));
    wanted.term = minutes(static_cast<std::int64_t>(5 + below(300)));
    const market::Decision decision = world_.decide(wanted, renter);
    if (!decision.outcome) return "quote " + std::string(name_of(decision.outcome.error().code));
    const auto& quote = std::get<ledger::QuoteFacts>(*decision.outcome);
    market::PlaceOrder order;
    order.count = quote.count;
    order.thousandths = quote.thousandths;
    order.hosts = static_cast<std::int32_t>(quote.hosts.size());
    order.term = quote.term;
    order.expires_in = hours(1);
    order.quote = quote;
    if (below(3) == 0) order.egress_gib = static_cast<std::int64_t>(below(22));
    if (below(3) == 0) order.overage_max = usd(0, static_cast<std::int64_t>(below(30)));
    order.job =
        market::JobRequest{"busybox", hours(1), 3, "{}", gib(static_cast<std::int64_t>(below(220)))};
    world_.pass(minutes(static_cast<std::int64_t>(below(6))));
    return go(order, renter);
}

std::string Walk::bid() {
    const auto order = some<market::Order>();
    if (!order) return "none";
    const auto price = ledger::Price(usd(static_cast<std::int64_t>(below(6))).count);
    return go(market::ChangeBid{order->id, price}, World::by(order->organization));
}

std::string Walk::money() {
    const ledger::Micros amount(static_cast<std::int64_t>(below(5'000'000)));
    if (below(3) != 0) return go(market::Deposit{somebody(), amount, "walk"}, World::admin());
    const auto account = below(2) == 0 ? ledger::AccountKind::available : ledger::AccountKind::earned;
    return go(market::Withdraw{somebody(), account, amount, "walk"}, World::admin());
}

std::string Walk::host() {
    const auto& [id, builder] = hosts_[below(hosts_.size())];
    const market::Caller owner = World::by(world_.host_row(id).organization);
    switch (below(10)) {
        case 8: {
            const Time from = world_.now() + minutes(static_cast<std::int64_t>(below(120)));
            return go(market::AddMaintenance{id, from, from + minutes(30), "walk"}, owner);
        }
        case 9:
            for (const auto& [other, cards] : hosts_)
                if (world_.host_row(other).maintenance_from)
                    return go(market::RemoveMaintenance{other},
                              World::by(world_.host_row(other).organization));
            return "none";
        case 0:
            return go(market::HostLost{id}, World::system());
        case 1:
            return go(market::ChangeHost{id, market::HostAction::drain}, owner);
        case 2:
            return go(market::ChangeHost{id, market::HostAction::resume}, owner);
        case 3: {
            market::ReportInventory report = builder.inventory(world_.now());
            report.cards.resize(below(5));
            for (market::ReportedCard& card : report.cards)
                card.offered = below(4) != 0;
            return go(report, world_.agent_of(id));
        }
        case 4:
            return go(builder.inventory(world_.now()), world_.agent_of(id));
        case 5: {
            const std::uint64_t place = below(3);
            const std::string address = place == 0 ? "" : "198.41.0." + std::to_string(place);
            return go(market::HostMoved{id, address}, World::system());
        }
        default:
            return go(market::HostBack{id}, World::system());
    }
}

std::string Walk::listing() {
    const auto some_listing = some<market::Listing>();
    if (!some_listing || below(3) == 0) {
        const HostId id = hosts_[below(hosts_.size())].first;
        const std::vector<CardId> cards = world_.unlisted(id, std::nullopt);
        if (cards.empty()) return "none";
        auto offer = a_listing()
                         .ask(usd(static_cast<std::int64_t>(below(4))))
                         .shares_from(below(2) == 0 ? 250 : limits::thousandths_per_card)
                         .storage(usd(static_cast<std::int64_t>(50 * below(6))))
                         .egress(usd(0, static_cast<std::int64_t>(below(4))))
                         .notice(minutes(static_cast<std::int64_t>(below(20))));
        if (below(2) == 0) offer.floor(usd(static_cast<std::int64_t>(below(3))));
        if (below(3) != 0) offer.committed(world_.now() + hours(8));
        return go(offer.on(id, cards), World::by(world_.host_row(id).organization));
    }
    const market::Caller owner = World::by(some_listing->organization);
    if (below(4) == 0) return go(market::WithdrawListing{some_listing->id}, owner);
    if (below(6) == 0) {
        market::ChangeListings change;
        change.terms.ask = ledger::Price(usd(static_cast<std::int64_t>(below(4))).count);
        change.dry_run = below(3) == 0;
        return go(change, owner);
    }
    market::UpdateListing change;
    change.listing = some_listing->id;
    change.version = some_listing->version;
    change.terms.ask = ledger::Price(usd(static_cast<std::int64_t>(below(4))).count);
    if (below(4) == 0)
        change.terms.spot_floor = ledger::Price(usd(static_cast<std::int64_t>(below(3))).count);
    change.terms.no_spot = below(10) == 0;
    if (below(3) == 0) change.terms.share_min = static_cast<std::int32_t>(100 * (1 + below(10)));
    change.terms.state = below(4) == 0 ? market::ListingState::paused : market::ListingState::open;
    return go(change, owner);
}

std::string Walk::freeze() {
    if (const auto known = some<market::Freeze>())
        return go(market::RemoveFreeze{known->id}, World::admin());
    switch (below(12)) {
        case 0:
            return go(market::CreateFreeze{market::FreezeKind::organization, somebody().text(), ""},
                      World::admin());
        case 1:
            return go(market::CreateFreeze{market::FreezeKind::host,
                                           hosts_[below(hosts_.size())].first.text(), ""},
                      World::admin());
        case 2:
            return go(market::CreateFreeze{market::FreezeKind::market, "main", ""}, World::admin());
        case 3:
            return go(market::CreateFreeze{market::FreezeKind::image, "other", ""}, World::admin());
        default:
            return "none";
    }
}

std::string Walk::usage(const market::Lease& lease) {
    market::ReportUsage report =
        world_.usage(lease.id, lease.claimed + Millis(static_cast<std::int64_t>(below(900'000))));
    if (below(20) == 0) report.sequence += 1;
    if (below(4) != 0)
        report.egress_bytes = std::max<std::int64_t>(
            0, lease.egress_bytes_claimed - 100'000'000 + static_cast<std::int64_t>(below(8'000'000'000)));
    const Millis before = lease.meter.running;
    const std::string outcome = go(report, world_.agent_of(lease.host));
    const market::Lease& after = world_.lease(lease.id);
    if (after.meter.running > before) CHECK(lease.running_at.has_value());
    return outcome;
}

std::string Walk::report(const market::Lease& lease) {
    market::AgentPhase phase = static_cast<market::AgentPhase>(below(6));
    if (below(5) != 0) {
        switch (lease.state) {
            case market::LeaseState::allocated:
                phase = market::AgentPhase::accepted;
                break;
            case market::LeaseState::preparing:
                phase = below(6) == 0 ? market::AgentPhase::failed : market::AgentPhase::running;
                break;
            case market::LeaseState::running:
                phase = market::AgentPhase::exited;
                break;
            case market::LeaseState::reclaiming:
            case market::LeaseState::ended:
                phase = market::AgentPhase::gone;
        }
    }
    market::AgentReport report = world_.report(lease.id, phase);
    if (phase == market::AgentPhase::exited) {
        report.exit_code = static_cast<std::int32_t>(below(2));
        report.oom_killed = below(10) == 0;
    }
    return go(report, world_.agent_of(lease.host));
}

void Walk::reload() {
    const market::State before = world_.state();
    world_.reload();
    market::State expected = before;
    for (const auto& [id, row] : before.table<market::Listing>())
        if (row.state == market::ListingState::withdrawn) expected.replace<market::Listing>(&row, nullptr);
    market::State loaded = world_.state();
    // Of an old attempt whose cards are not released, the job is loaded although it is done with.
    for (const auto& [id, row] : world_.state().table<market::Job>())
        if (row.finished_at && before.find<market::Job>(id) == nullptr)
            loaded.replace<market::Job>(&row, nullptr);
    // And of a gang, an ended job stays until the last of its leases is gone, which a new leader has no
    // need of.
    for (const auto& [id, row] : before.table<market::Job>())
        if (row.finished_at && row.is_member() && loaded.find<market::Job>(id) == nullptr)
            expected.replace<market::Job>(&row, nullptr);
    CHECK(difference(loaded, expected) == "");
}

}  // namespace fallow::testing
