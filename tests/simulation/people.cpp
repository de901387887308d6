#include "simulation/people.hpp"

namespace fallow::sim {

using market::LeaseState;

Person::Person(Scene& scene, std::string name, market::Caller caller)
    : Process(scene.world, std::move(name)), scene_(scene), caller_(std::move(caller)) {}

void Person::live() {
    if (!world_.is_calm) act();
    later(pause(), [this] { live(); });
}

void Person::perform(const std::string& route, const market::Command& command, Then then, std::string key) {
    const auto errand = std::make_shared<Errand>();
    errand->key = {caller_.organization, route, key.empty() ? make_key() : std::move(key), "hash"};
    errand->command = command;
    errand->then = std::move(then);
    send(errand);
    // An impatient client: a twin of the request before there is an answer.
    if (world_.random.chance(60)) send(errand);
}

void Person::ask_server(const std::shared_ptr<Errand>& errand, Server& server,
                        std::function<void(const Answer*)> then) {
    ask<Answer>(
        scene_.network, *this, line_, server, seconds(5),
        [this, &server, errand](auto answer) {
            server.request(errand->command, caller_, errand->key, std::move(answer));
        },
        [this, errand, then = std::move(then)](const Answer* answer) {
            if (answer != nullptr) scene_.auditor.answered(errand->key, *answer);
            then(answer);
        });
}

void Person::send(const std::shared_ptr<Errand>& errand) {
    ask_server(errand, *world_.random.pick(scene_.servers), [this, errand](const Answer* answer) {
        if (errand->is_over) return;
        if (answer == nullptr || answer->status == 503) {
            later(world_.random.span(300, 2500), [this, errand] {
                if (!errand->is_over) send(errand);
            });
            return;
        }
        errand->is_over = true;
        world_.note("{}: {} answered {} {}", name(), errand->key.route, answer->status, answer->body);
        if (errand->then) errand->then(*answer);
        if (answer->status < 500 && world_.random.chance(150)) send_again(errand);
    });
}

/// Long after the answer: a client that lost it.
void Person::send_again(const std::shared_ptr<Errand>& errand) {
    later(world_.random.span(500, 60'000), [this, errand] {
        ask_server(errand, *world_.random.pick(scene_.servers), [](const Answer*) {});
    });
}

// --- renters

void Renter::act() {
    const auto choice = world_.random.between(1, 100);
    if (choice <= 46) return place(true);
    if (choice <= 53) return place_quoted();
    if (choice <= 64) return place(false);
    if (choice <= 72) return reserve();
    if (choice <= 78) return trade();
    if (choice <= 86) return change_bid();
    cancel();
}

Program Renter::program() {
    Random& random = world_.random;
    Program program;
    program.work = random.chance(250) ? random.span(40'000, 400'000) : random.span(500, 30'000);
    program.exit_code = random.chance(120) ? 1 : 0;
    if (random.chance(80)) program.exit_code = exit_code_temporary;
    program.runs_out_of_memory = random.chance(60);
    program.has_no_image = random.chance(50);
    program.cannot_start = random.chance(50);
    program.ignores_sigterm = random.chance(300);
    if (random.chance(700)) program.sends_bytes_per_ms = random.between(0, 300'000);
    program.pull = random.chance(60) ? random.span(30'000, 60'000) : random.span(100, 4000);
    program.has_health_check = random.chance(250);
    if (program.has_health_check && random.chance(500)) program.sickens_after = random.span(0, 20'000);
    program.is_ended_when_idle = random.chance(250);
    if (program.is_ended_when_idle && random.chance(500)) program.idles_after = random.span(0, 20'000);
    return program;
}

market::JobRequest Renter::job(const std::string& key) {
    Random& random = world_.random;
    market::JobRequest request;
    request.image = random.chance(150) ? "image-b" : "image-a";
    request.max_duration = random.chance(150) ? random.span(2000, 10'000) : seconds(600);
    request.attempts_max = static_cast<std::int32_t>(random.between(1, 4));
    request.document = key;
    request.storage_bytes = random.between(0, 64) * 1'000'000'007;
    scene_.machines.plans[key] = program();
    return request;
}

void Renter::place(bool has_job) {
    Random& random = world_.random;
    const std::string key = make_key();
    market::PlaceOrder order;
    order.count = random.chance(250) ? 2 : 1;
    if (order.count == 1 && random.chance(400))
        order.thousandths = static_cast<std::int32_t>(random.between(1, 3) * 250);
    if (order.thousandths == limits::thousandths_per_card && random.chance(150)) order.hosts = 2;
    order.price_max = ledger::Price(random.between(8, 30) * 100'000);
    const bool may_bid = order.thousandths == limits::thousandths_per_card && order.hosts == 1;
    if (may_bid && random.chance(400)) order.pricing = market::OrderPricing::spot;
    order.term = is_poor_ ? seconds(300) : random.span(15'000, 120'000);
    if (random.chance(200)) order.storage_price_max = ledger::Micros(random.between(0, 12) * 100'000'000);
    if (random.chance(400)) {
        order.egress_gib = random.between(0, 3);
        order.egress_price_max = ledger::Micros(random.between(0, 12) * 1000);
    }
    if (random.chance(200)) order.overage_max = ledger::Micros(random.between(0, 6000));
    order.expires_in = random.chance(200) ? hours(1) : random.span(10'000, 90'000);
    order.fill_or_kill = random.chance(100);
    if (random.chance(250)) order.end_use = market::EndUse::ai_training;
    if (has_job) {
        order.job = job(key);
    } else {
        // A term of its own tells the rental from every other one.
        order.term = Millis(order.term.count / 1000 * 1000 + ++rentals_ % 1000);
        order.fill_or_kill = true;
    }
    perform(
        "POST /v1/orders", order,
        [this, has_job](const Answer& answer) {
            const auto space = answer.body.find(' ');
            if (has_job || answer.status != 200 || space == std::string::npos) return;
            const auto lease =
                LeaseId::parse(answer.body.substr(space + 1, answer.body.rfind(' ') - space - 1));
            if (!lease || world_.random.chance(200)) return;
            later(world_.random.span(100, 6000), [this, lease = *lease] {
                const std::string attach = make_key();
                perform("POST /v1/leases/job", market::AttachJob{lease, job(attach)}, {}, attach);
            });
        },
        key);
}

void Renter::change_bid() {
    Random& random = world_.random;
    const auto orders = those<market::Order>([&](const market::Order& order) {
        return order.organization == caller().organization && order.pricing == market::OrderPricing::spot &&
               (order.state == market::OrderState::standing || order.state == market::OrderState::filled);
    });
    if (orders.empty()) return;
    perform("POST /v1/orders/bid",
            market::ChangeBid{random.pick(orders).id, ledger::Price(random.between(5, 35) * 100'000)});
}

/// Asks for a quote, thinks it over, sometimes for too long, and orders with it.
void Renter::place_quoted() {
    market::MakeQuote wanted;
    wanted.count = world_.random.chance(250) ? 2 : 1;
    if (wanted.count == 1 && world_.random.chance(300))
        wanted.thousandths = static_cast<std::int32_t>(world_.random.between(1, 3) * 250);
    if (wanted.thousandths == limits::thousandths_per_card && world_.random.chance(300)) wanted.hosts = 2;
    wanted.stored_gib = world_.random.between(20, 80);
    wanted.moved_gib = world_.random.between(0, 3);
    wanted.term = is_poor_ ? seconds(300) : world_.random.span(60'000, 120'000);
    perform("POST /v1/quotes", wanted, [this](const Answer& answer) {
        const auto* quote = answer.outcome ? std::get_if<ledger::QuoteFacts>(&*answer.outcome) : nullptr;
        if (quote == nullptr) return;
        later(world_.random.span(100, 9000), [this, quote = *quote] {
            const std::string key = make_key();
            market::PlaceOrder order;
            order.count = quote.count;
            order.thousandths = quote.thousandths;
            order.hosts = static_cast<std::int32_t>(quote.hosts.size());
            order.term = quote.term;
            order.expires_in = world_.random.span(10'000, 90'000);
            order.quote = quote;
            if (world_.random.chance(300)) order.egress_gib = world_.random.between(0, quote.moved_gib);
            if (world_.random.chance(300))
                order.overage_max = ledger::Micros(world_.random.between(0, 6000));
            order.job = job(key);
            perform(
                "POST /v1/orders", order,
                [this](const Answer& placed) {
                    world_.hit("quoted order " + (placed.status == 200 ? "filled" : placed.body));
                },
                key);
        });
    });
}

/// Books a block, and brings a job to it once it has begun; sometimes nobody comes.
void Renter::reserve() {
    market::Reserve command;
    command.count = world_.random.chance(250) ? 2 : 1;
    command.price_max = ledger::Price(world_.random.between(12, 30) * 100'000);
    command.term = world_.random.span(60'000, 90'000);
    command.starts_at = world_.now() + world_.random.span(3000, 200'000);
    perform("POST /v1/reservations", command, [this, starts_at = command.starts_at](const Answer& answer) {
        const auto id = ReservationId::parse(answer.body);
        if (answer.status != 200 || !id || world_.random.chance(200)) return;
        later(starts_at - world_.now() + world_.random.span(500, 15'000), [this, id = *id] { use(id); });
    });
}

void Renter::use(ReservationId id) {
    const auto& reservations = rows<market::Reservation>();
    const auto row = reservations.find(id);
    if (row == reservations.end() || row->second.state != market::ReservationState::started) return;
    const std::string attach = make_key();
    perform("POST /v1/leases/job", market::AttachJob{*row->second.lease, job(attach)}, {}, attach);
}

/// Gives up, offers or buys reserved time.
void Renter::trade() {
    const OrganizationId me = caller().organization;
    const auto booked = those<market::Reservation>([&](const market::Reservation& row) {
        return row.state == market::ReservationState::booked && (row.renter == me || row.offer_price);
    });
    if (booked.empty()) return;
    const market::Reservation row = world_.random.pick(booked);
    if (row.renter != me)
        return perform("POST /v1/reservations/buy", market::BuyReservation{row.id, ledger::Micros(5000)});
    if (world_.random.chance(400))
        return perform("POST /v1/reservations/cancel", market::CancelReservation{row.id});
    market::OfferReservation offer{row.id, ledger::Micros(world_.random.between(0, 5000)), {}};
    perform("POST /v1/reservations/offer", offer);
}

void Renter::cancel() {
    Random& random = world_.random;
    const OrganizationId me = caller().organization;
    const auto leases = those<market::Lease>(
        [&](const market::Lease& lease) { return lease.renter == me && lease.state != LeaseState::ended; });
    const auto orders = those<market::Order>([&](const market::Order& order) {
        return order.organization == me && order.state == market::OrderState::standing;
    });
    if (!orders.empty() && random.chance(400))
        return perform("POST /v1/orders/cancel", market::CancelOrder{random.pick(orders).id});
    if (leases.empty()) return;
    const market::Lease lease = random.pick(leases);
    if (lease.job && random.chance(500))
        return perform("POST /v1/jobs/cancel", market::CancelJob{*lease.job});
    perform("POST /v1/leases/end", market::EndLease{lease.id});
}

// --- sellers

void Seller::open_listing(HostId host) {
    market::CreateListing listing;
    listing.host = host;
    for (const auto& [id, card] : rows<market::Card>())
        if (card.host == host) listing.cards.push_back(id);
    listing.ask = ledger::Price(world_.random.between(8, 22) * 100'000);
    // High enough for a lease of seconds to be charged for it.
    if (world_.random.chance(700))
        listing.storage_price = ledger::Micros(world_.random.between(1, 10) * 100'000'000);
    if (world_.random.chance(700))
        listing.egress_price = ledger::Micros(world_.random.between(1, 10) * 1000);
    if (world_.random.chance(750))
        listing.spot_floor = ledger::Price(world_.random.between(4, 14) * 100'000);
    listing.term_min = Millis(1);
    listing.term_max = hours(1);
    listing.reclaim_notice = world_.random.span(0, 12'000);
    if (world_.random.chance(600)) listing.committed_until = world_.now() + minutes(30);
    listing.share_min = world_.random.chance(600) ? 200 : limits::thousandths_per_card;
    perform("POST /v1/listings", listing);
}

void Seller::act() {
    const auto choice = world_.random.between(1, 100);
    if (choice <= 50) return reclaim();
    if (choice <= 55) return break_promise();
    if (choice <= 85) return change_listing();
    change_host();
}

void Seller::reclaim() {
    const auto leases = those<market::Lease>([&](const market::Lease& lease) {
        return lease.seller == caller().organization && lease.state != LeaseState::ended;
    });
    if (leases.empty()) return;
    const market::Lease lease = world_.random.pick(leases);
    world_.hit("fault owner_reclaims × " + std::string(name_of(lease.state)));
    perform("POST /v1/leases/reclaim", market::ReclaimLease{lease.id, world_.random.chance(700)});
}

void Seller::break_promise() {
    const auto booked = those<market::Reservation>([&](const market::Reservation& row) {
        return row.seller == caller().organization && row.state == market::ReservationState::booked;
    });
    if (booked.empty()) return;
    perform("POST /v1/reservations/cancel",
            market::CancelReservation{world_.random.pick(booked).id, world_.random.chance(800)});
}

void Seller::change_listing() {
    const auto listings = those<market::Listing>([&](const market::Listing& listing) {
        return listing.organization == caller().organization &&
               listing.state != market::ListingState::withdrawn;
    });
    if (listings.empty()) return;
    const market::Listing listing = world_.random.pick(listings);
    if (world_.random.chance(150))
        return perform("DELETE /v1/listings", market::WithdrawListing{listing.id},
                       [this, host = listing.host](const Answer&) { open_listing(host); });
    market::UpdateListing update;
    update.listing = listing.id;
    update.version = listing.version;
    if (world_.random.chance(150))
        update.terms.spot_floor = ledger::Price(world_.random.between(4, 14) * 100'000);
    else if (world_.random.chance(60))
        update.terms.no_spot = true;
    else if (world_.random.chance(500))
        update.terms.ask = ledger::Price(world_.random.between(8, 22) * 100'000);
    else
        update.terms.state = listing.state == market::ListingState::open ? market::ListingState::paused
                                                                         : market::ListingState::open;
    perform("PATCH /v1/listings", update);
}

void Seller::change_host() {
    const auto hosts = those<market::Host>(
        [&](const market::Host& host) { return host.organization == caller().organization; });
    const HostId host = world_.random.pick(hosts).id;
    if (world_.random.chance(500)) return maintain(host);
    perform("POST /v1/hosts/drain", market::ChangeHost{host, market::HostAction::drain});
    later(world_.random.span(4000, 20'000), [this, host] {
        perform("POST /v1/hosts/resume", market::ChangeHost{host, market::HostAction::resume});
    });
}

/// Announced in time, sometimes taken back.
void Seller::maintain(HostId host) {
    const Time from = world_.now() + world_.random.span(13'000, 60'000);
    const Time until = from + world_.random.span(10'000, 60'000);
    perform("POST /v1/hosts/maintenance", market::AddMaintenance{host, from, until, "a new fan"});
    if (world_.random.chance(300))
        later(world_.random.span(4000, 40'000),
              [this, host] { perform("DELETE /v1/hosts/maintenance", market::RemoveMaintenance{host}); });
}

// --- the operator

void Operator::deposit(OrganizationId organization, std::int64_t micros) {
    const std::string key = make_key();
    perform("POST /v1/admin/deposits", market::Deposit{organization, ledger::Micros(micros), key}, {}, key);
}

void Operator::act() {
    const auto organizations = those<market::Organization>(
        [](const market::Organization& row) { return row.id != market::platform_organization; });
    const OrganizationId organization = world_.random.pick(organizations).id;
    const auto choice = world_.random.between(1, 100);
    if (choice <= 35) return deposit(organization, world_.random.between(20'000, 200'000));
    if (choice <= 45)
        return perform("PUT /v1/admin/settings",
                       market::SetFee{static_cast<std::int32_t>(world_.random.between(0, 200'000))});
    if (choice <= 60) {
        const std::string key = make_key();
        return perform("POST /v1/admin/withdrawals",
                       market::Withdraw{organization, ledger::AccountKind::earned,
                                        ledger::Micros(world_.random.between(1, 5000)), key},
                       {}, key);
    }
    if (choice <= 80) return freeze();
    if (choice <= 90) return set_policy();
    approve();
}

/// Rules about training come and go.
void Operator::set_policy() {
    const auto& versions = rows<market::Policy>();
    const std::int64_t newest = versions.empty() ? 0 : versions.rbegin()->first;
    const std::vector<std::string> texts{
        "", "deny no-training when end_use = ai_training because \"simulated\"",
        "needs-approval ask-training when end_use = ai_training because \"simulated\""};
    perform("PUT /v1/admin/policy", market::SetPolicy{newest, world_.random.pick(texts)});
}

void Operator::approve() {
    const auto waiting = those<market::Order>([](const market::Order& order) {
        return order.state == market::OrderState::standing &&
               order.policy_effect == market::PolicyEffect::needs_approval && !order.approved;
    });
    if (waiting.empty()) return;
    perform("POST /v1/admin/orders/approve", market::ApproveOrder{world_.random.pick(waiting).id});
}

void Operator::freeze() {
    market::CreateFreeze freeze;
    freeze.note = "simulated";
    const auto choice = world_.random.between(1, 4);
    const auto organizations = those<market::Organization>(
        [](const market::Organization& row) { return row.id != market::platform_organization; });
    if (choice == 1) {
        freeze.kind = market::FreezeKind::organization;
        freeze.target = world_.random.pick(organizations).id.text();
    } else if (choice == 2) {
        freeze.kind = market::FreezeKind::host;
        freeze.target = world_.random.pick(scene_.hosts).text();
    } else if (choice == 3) {
        freeze.kind = market::FreezeKind::image;
        freeze.target = "image-b";
    } else {
        freeze.kind = market::FreezeKind::market;
        freeze.target = "main";
    }
    for (const auto& [phase, count] : scene_.auditor.phases(std::nullopt))
        world_.hit("fault operator_freezes × " + phase);
    perform("POST /v1/admin/freezes", freeze, [this](const Answer& answer) {
        const auto id = FreezeId::parse(answer.body);
        if (answer.status != 200 || !id) return;
        later(world_.random.span(2000, 15'000),
              [this, id = *id] { perform("DELETE /v1/admin/freezes", market::RemoveFreeze{id}); });
    });
}

}  // namespace fallow::sim
