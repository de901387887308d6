#include "simulation/simulation.hpp"

#include <algorithm>

namespace fallow::sim {
namespace {

constexpr Millis troubled = minutes(6);
constexpr Millis rest_at_least = seconds(75);
/// A job may be tried four times, for as long as its term each time.
constexpr Millis rest_at_most = minutes(40);

/// The product's times, those between minutes shortened: what counts is that each is reached.
market::Rules short_rules() {
    market::Rules rules;
    rules.accept_deadline = seconds(20);
    rules.attach_deadline = seconds(15);
    rules.pull_deadline = seconds(25);
    rules.start_deadline = seconds(8);
    rules.stop_grace = seconds(4);
    rules.reclaim_deadline = seconds(60);
    rules.hold_window = seconds(40);
    rules.disconnect_window = seconds(30);
    rules.pinned_lost = seconds(50);
    rules.spot_reprice = seconds(8);
    rules.bid_lower_cooldown = seconds(10);
    rules.quote_validity = seconds(6);
    rules.cancel_free = seconds(60);
    return rules;
}

}  // namespace

Simulation::Simulation(std::uint64_t seed, bool prints)
    : world_(seed, prints),
      network_(world_),
      database_(world_),
      rules_(short_rules()),
      auditor_(world_, database_, machines_, rules_),
      scene_{world_, network_, database_, machines_, auditor_, {}, {}} {
    database_.on_committed = [this](const engine::Batch& batch) { auditor_.committed(batch); };
    for (const char* name : {"server-a", "server-b"}) {
        servers_.push_back(
            std::make_unique<Server>(world_, database_, name, world_.random.span(-400, 400), rules_));
        servers_.back()->on_heartbeat = [this](HostId host) { auditor_.heard(host); };
        scene_.servers.push_back(servers_.back().get());
    }
}

void Simulation::run_for(Millis span) {
    const Time end = world_.now() + span;
    while (world_.step(end)) {
    }
}

void Simulation::run_until(const std::function<bool()>& condition, Millis at_most) {
    const Time end = world_.now() + at_most;
    while (!condition() && world_.step(end)) {
    }
}

OrganizationId Simulation::make_organization(const std::string& name) {
    std::optional<OrganizationId> made;
    operator_->perform("POST /v1/organizations", market::CreateOrganization{name, "DE"},
                       [&](const Answer& answer) { made = OrganizationId::parse(answer.body); });
    run_until([&] { return made.has_value(); }, minutes(1));
    if (!made) throw Violation("set_up", "no organization " + name);
    return *made;
}

void Simulation::add_hosts(OrganizationId owner, const std::string& seller_name) {
    for (int number = 1; number <= 2; ++number) {
        const HostId id(world_.random.id());
        const std::string name = seller_name + "-host-" + std::to_string(number);
        hosts_.push_back(std::make_unique<Host>(world_, machines_, id, name, number));
        Host& host = *hosts_.back();
        host.is_lying = world_.random.chance(80);
        host.is_old = world_.random.chance(80);
        auditor_.add_host(host);
        scene_.hosts.push_back(id);
        market::EnrollHost enrollment;
        enrollment.host = id;
        enrollment.name = name;
        enrollment.country = "DE";
        enrollment.runtime = "runc";
        enrollment.engine = "virtual";
        enrollment.cpu_cores = 8;
        enrollment.memory_bytes = 1;
        enrollment.signing_key = "key";
        enrollment.signing_key_certificate = "certificate";
        bool is_enrolled = false;
        scene_.servers[0]->request(enrollment, {owner, false, id, id.text()}, std::nullopt,
                                   [&](const Answer& answer) { is_enrolled = answer.status == 200; });
        run_until([&] { return is_enrolled; }, minutes(1));
        agents_.push_back(std::make_unique<Agent>(world_, network_, machines_, host, owner, scene_.servers,
                                                  rules_.pinned_lost));
        agents_.back()->boot();
    }
}

/// In calm, and with the first server leading.
void Simulation::set_up() {
    world_.is_calm = true;
    servers_[0]->boot();
    run_for(seconds(1));
    servers_[1]->boot();
    operator_ = std::make_unique<Operator>(scene_);
    operator_->boot();
    for (const char* name : {"seller-1", "seller-2"}) {
        const OrganizationId id = make_organization(name);
        operator_->deposit(id, 5'000'000);
        sellers_.push_back(std::make_unique<Seller>(scene_, name, id));
        add_hosts(id, name);
    }
    run_for(seconds(8));
    for (std::size_t index = 0; index < hosts_.size(); ++index) {
        sellers_[index / 2]->boot();
        sellers_[index / 2]->open_listing(hosts_[index]->id());
    }
    for (int number = 1; number <= 3; ++number) {
        const std::string name = "renter-" + std::to_string(number);
        const OrganizationId id = make_organization(name);
        const bool is_poor = number == 3;
        operator_->deposit(id, is_poor ? 90'000 : 20'000'000);
        renters_.push_back(std::make_unique<Renter>(scene_, name, id, is_poor));
        renters_.back()->boot();
    }
    run_for(seconds(2));
    world_.is_calm = false;
}

// --- faults

void Simulation::hit(const std::string& fault, std::optional<HostId> host) {
    world_.note("fault: {}", fault);
    for (const auto& [phase, count] : auditor_.phases(host))
        world_.hit("fault " + fault + " × " + phase);
}

void Simulation::plan_fault() {
    world_.after(world_.random.span(500, 16'000), [this] {
        if (world_.is_calm) return;
        cause_fault();
        plan_fault();
    });
}

void Simulation::cause_fault() {
    const auto choice = world_.random.between(1, 100);
    if (choice <= 55) return disturb_host(static_cast<std::size_t>(world_.random.between(0, 3)));
    if (choice <= 80) return disturb_server();
    if (choice <= 96) return disturb_database();
    poison_for_a_while();
}

void Simulation::disturb_host(std::size_t index) {
    Host& host = *hosts_[index];
    Agent& agent = *agents_[index];
    Random& random = world_.random;
    const auto soon_or_late = [&] {
        return random.chance(500) ? random.span(500, 9000) : random.span(9000, 70'000);
    };
    const auto choice = random.between(1, 100);
    if (choice <= 33) {
        hit("host_is_cut_off", host.id());
        host.line.is_cut = true;
        world_.after(soon_or_late(), [&host] { host.line.is_cut = false; });
    } else if (choice <= 52) {
        hit("agent_is_killed", host.id());
        agent.kill();
        world_.after(soon_or_late(), [&agent] { agent.boot(); });
    } else if (choice <= 70) {
        hit("agent_hangs", host.id());
        agent.hang();
        world_.after(soon_or_late(), [&agent] { agent.go_on(); });
    } else if (choice <= 82) {
        hit("host_reboots", host.id());
        agent.reboot_host();
        world_.after(soon_or_late(), [&agent] { agent.boot(); });
    } else if (choice <= 90) {
        hit("owner_takes_card", host.id());
        agent.take_card(static_cast<int>(random.between(0, host.cards() - 1)), random.chance(300));
        world_.after(soon_or_late(), [&agent] { agent.release_cards(); });
    } else {
        hit("engine_is_stuck", host.id());
        host.engine_is_stuck = true;
        world_.after(random.span(500, 8000), [&host] { host.engine_is_stuck = false; });
    }
}

void Simulation::disturb_server() {
    Random& random = world_.random;
    const auto index = static_cast<std::size_t>(servers_[0]->is_leading()   ? 0
                                                : servers_[1]->is_leading() ? 1
                                                                            : random.between(0, 1));
    Server& server = *servers_[random.chance(800) ? index : 1 - index];
    const std::string who = server.is_leading() ? "leader" : "follower";
    if (random.chance(500)) {
        hit(who + "_is_killed", std::nullopt);
        server.kill();
        world_.after(random.span(100, 12'000), [&server] { server.boot(); });
    } else {
        hit(who + "_hangs", std::nullopt);
        server.hang();
        world_.after(random.span(100, 9000), [&server] { server.go_on(); });
    }
}

void Simulation::disturb_database() {
    Random& random = world_.random;
    if (random.chance(500)) {
        hit("database_stalls", std::nullopt);
        database_.stall(random.span(200, 5000));
        return;
    }
    if (!database_.is_up()) return;
    hit("database_restarts", std::nullopt);
    database_.stop();
    world_.after(random.span(200, 6000), [this] { database_.start(); });
}

/// A constraint refuses rows that the market finds good: of some orders, or every change of one lease.
void Simulation::poison_for_a_while() {
    hit("constraint_refuses", std::nullopt);
    auditor_.expect_quarantine();
    std::optional<LeaseId> lease;
    for (const auto& [id, row] : database_.rows().rows<market::Lease>())
        if (row.state != market::LeaseState::ended && (!lease || world_.random.chance(400))) lease = id;
    database_.poison = [lease](const market::Changes& changes) {
        for (const market::Order& order : changes.orders.inserts)
            if (order.price_max.micros_per_hour % 300'000 == 0) return true;
        for (const market::Lease& row : changes.leases.updates)
            if (lease == row.id) return true;
        return false;
    };
    world_.after(world_.random.span(1000, 10'000), [this] { database_.poison = {}; });
}

bool Simulation::is_answered() const {
    return std::ranges::all_of(servers_, [](const auto& server) { return server->unanswered() == 0; });
}

/// Everything works again, and once all have their answers an operator looks at what was set aside: each
/// server starts anew.
void Simulation::heal() {
    world_.note("calm");
    world_.is_calm = true;
    database_.poison = {};
    if (!database_.is_up()) database_.start();
    for (const auto& server : servers_)
        server->go_on();
    run_for(seconds(10));
    run_until([this] { return is_answered(); }, seconds(20));
    Auditor::check_answered(servers_);
    for (const auto& server : servers_) {
        server->kill();
        server->boot();
    }
    for (std::size_t index = 0; index < hosts_.size(); ++index) {
        hosts_[index]->line.is_cut = false;
        hosts_[index]->engine_is_stuck = false;
        agents_[index]->go_on();
        agents_[index]->boot();
        agents_[index]->release_cards();
    }
    world_.after(seconds(20), [this] {
        for (const auto& [id, host] : database_.rows().rows<market::Host>())
            if (host.state == market::HostState::draining)
                operator_->perform("POST /v1/hosts/resume",
                                   market::ChangeHost{id, market::HostAction::resume});
    });
}

void Simulation::run() {
    set_up();
    plan_fault();
    run_for(troubled);
    heal();
    run_for(rest_at_least);
    // An order that stands may be filled at any time: quiet is what lasts.
    for (Millis spent; spent < rest_at_most; spent = spent + seconds(30)) {
        run_for(seconds(30));
        if (auditor_.is_quiet()) break;
    }
    run_until([this] { return auditor_.is_quiet() && is_answered(); }, seconds(20));
    auditor_.finish(servers_);
}

SeedResult simulate(std::uint64_t seed, bool prints) {
    SeedResult result;
    result.seed = seed;
    Simulation simulation(seed, prints);
    try {
        simulation.run();
    } catch (const Violation& violation) {
        result.violation = violation.what();
    }
    result.step = result.events = simulation.world().steps();
    result.hash = simulation.world().hash();
    result.coverage = simulation.world().coverage;
    return result;
}

}  // namespace fallow::sim
