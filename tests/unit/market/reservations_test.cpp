// Reservations: what can be booked, who is kept out, what money moves at each turn.
#include "market/reservations.hpp"

#include <random>

#include "market/quotes.hpp"
#include "support/market_world.hpp"
#include "support/text_table.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;
using ledger::AccountKind;
using ledger::Micros;

namespace {

/// Two cards at a dollar an hour, committed for ten days; a notice of a minute, so that a deposit covers 41
/// minutes: 683,334 micros a card. The bond is a tenth of the price.
struct Scene {
    explicit Scene(const ListingBuilder& offer = a_listing()) {
        world.set_fee(100'000);
        seller = world.rich("seller");
        renter = world.rich("renter");
        other = world.rich("other");
        host = world.host(seller, a_host().cards(2));
        listing = world.listing(host, ListingBuilder(offer).committed(world.now() + days(10)));
    }
    [[nodiscard]] Time in(Millis span) const { return world.now() + span; }
    [[nodiscard]] Reserve block(Time from, Millis term = hours(10), std::int32_t cards = 1) const {
        Reserve command;
        command.count = cards;
        command.price_max = ledger::Price(usd(2).count);
        command.term = term;
        command.starts_at = from;
        return command;
    }
    Reservation book(const Reserve& command) { return book(command, renter); }
    Reservation book(const Reserve& command, OrganizationId by) {
        return world.must<Reservation>(command, World::by(by));
    }
    std::string attempt(const Command& command, OrganizationId by) {
        return world.attempt(command, World::by(by));
    }
    [[nodiscard]] const Reservation& row(ReservationId id) const {
        return world.state().at<Reservation>(id);
    }
    [[nodiscard]] std::string money(OrganizationId of) const {
        return std::to_string(world.balance(of, AccountKind::available).count) + " " +
               std::to_string(world.balance(of, AccountKind::held).count) + " " +
               std::to_string(world.balance(of, AccountKind::earned).count);
    }
    /// To the start, and the tick that comes with it.
    void go_to(Time time) { world.tick_after(time - world.now()); }

    /// With an agent that scrubs what has ended, in steps that are shorter than a turnaround.
    void let_pass(Millis span) {
        for (const Time end = world.now() + span; world.now() < end;) {
            world.tick_after(std::min(minutes(4), end - world.now()));
            for (const LeaseId id : std::set<LeaseId>(world.state().live_leases()))
                if (world.lease(id).state == LeaseState::ended) world.reported(id, AgentPhase::gone);
        }
    }

    World world;
    OrganizationId seller, renter, other;
    HostId host;
    ListingId listing;
};

constexpr std::int64_t rich = 1'000'000'000;

}  // namespace

TEST_CASE("A reservation holds a deposit and a bond, and books each card") {
    Scene scene;
    const Reservation row = scene.book(scene.block(scene.in(days(2)), hours(10), 2));
    CHECK(row.state == ReservationState::booked);
    CHECK(row.price == ledger::Price(usd(1).count));
    CHECK(price_of_block(row) == usd(20));
    CHECK(row.deposit.count == 1'366'667);
    CHECK(row.bond == usd(2));
    CHECK(row.cancel_free_until == row.starts_at - hours(24));
    CHECK(row.cards.size() == 2);
    CHECK(scene.money(scene.renter) == std::to_string(rich - 1'366'667) + " 1366667 0");
    CHECK(scene.money(scene.seller) == std::to_string(rich - usd(2).count) + " 2000000 0");
    for (const CardId card : row.cards)
        CHECK(scene.world.state().bookings_of(card).size() == 1);
    CHECK(scene.world.events() == "reservation.booked");
}

TEST_CASE("A short block's deposit is its whole price") {
    Scene scene;
    CHECK(scene.book(scene.block(scene.in(days(2)), minutes(6))).deposit.count == 100'000);
}

TEST_CASE("What cannot be reserved") {
    Scene scene;
    const Time start = scene.in(days(2));
    CHECK(scene.attempt(scene.block(scene.world.now()), scene.renter) == "invalid_field");
    CHECK(scene.attempt(scene.block(scene.in(days(367))), scene.renter) == "invalid_field");
    CHECK(scene.attempt(scene.block(scene.in(days(10)) - hours(9)), scene.renter) == "no_match");
    CHECK(scene.attempt(scene.block(start, hours(1), 3), scene.renter) == "no_match");
    Reserve cheap = scene.block(start);
    cheap.price_max = ledger::Price(usd(0, 99).count);
    CHECK(scene.attempt(cheap, scene.renter) == "no_match");
    Reserve odd = scene.block(start);
    odd.requirements.products = {"another"};
    CHECK(scene.attempt(odd, scene.renter) == "no_match");
    const auto poor = scene.world.organization("poor");
    scene.world.deposit(poor, Micros(683'333));
    CHECK(scene.attempt(scene.block(start), poor) == "insufficient_funds");
    scene.world.deposit(poor, Micros(1));
    CHECK(scene.attempt(scene.block(start), poor) == "ok");
    CHECK(scene.attempt(CancelReservation{ReservationId(RawId{1, 1})}, poor) == "not_found");
}

TEST_CASE("A listing that is not committed, or whose seller cannot cover the bond, is passed over") {
    Scene scene;
    World& world = scene.world;
    const auto poor = world.organization("poor seller");
    const HostId cheap = world.host(poor, a_host().name("cheap"));
    world.listing(cheap, a_listing().ask(usd(0, 10)).committed(scene.in(days(10))));
    const HostId loose = world.host(poor, a_host().name("loose"));
    world.listing(loose, a_listing().ask(usd(0, 5)));
    CHECK(scene.book(scene.block(scene.in(days(1)))).seller == scene.seller);
    world.deposit(poor, Micros(100'000));
    CHECK(scene.book(scene.block(scene.in(days(1)))).seller == poor);
}

TEST_CASE("Blocks of one card keep a turnaround between them") {
    const Millis gap = turnaround(Rules{});
    for (const auto& [offset, expected] : std::vector<std::pair<Millis, std::string>>{
             {hours(2), "no_match"},
             {hours(10) + gap - Millis(1), "no_match"},
             {hours(10) + gap, "ok"},
             {Millis(0) - hours(1) - gap + Millis(1), "no_match"},
             {Millis(0) - hours(1) - gap, "ok"},
         }) {
        Scene scene;
        const Time start = scene.in(days(2));
        scene.book(scene.block(start, hours(10), 2));
        CHECK(scene.attempt(scene.block(start + offset, hours(1)), scene.other) == expected);
    }
}

TEST_CASE("A lease is out of the way before a booked block begins") {
    Scene scene;
    const Millis needed = preparation(Rules{}) + hours(1) + turnaround(Rules{});
    const Reservation row = scene.book(scene.block(scene.in(needed)-Millis(1), hours(10), 2));
    const PlaceOrder order = an_order().term(hours(1)).fill_or_kill();
    CHECK(scene.attempt(order, scene.other) == "no_match");
    CHECK(scene.attempt(CancelReservation{row.id}, scene.renter) == "ok");
    scene.book(scene.block(scene.in(needed), hours(10), 2));
    CHECK(scene.attempt(order, scene.other) == "ok");
}

TEST_CASE("A block begins after what is leased on its cards") {
    Scene scene;
    World& world = scene.world;
    world.rent(scene.other, an_order().cards(2).term(hours(1)).job());
    const Millis taken = preparation(Rules{}) + hours(1) + turnaround(Rules{});
    CHECK(scene.attempt(scene.block(scene.in(taken)-Millis(1)), scene.renter) == "no_match");
    CHECK(scene.attempt(scene.block(scene.in(taken)), scene.renter) == "ok");
}

TEST_CASE("At the start the block becomes a rental at the locked price, and the deposit its hold") {
    Scene scene;
    World& world = scene.world;
    const Reservation booked = scene.book(scene.block(scene.in(days(2))));
    UpdateListing dearer;
    dearer.listing = scene.listing;
    dearer.version = 1;
    dearer.terms.ask = ledger::Price(usd(7).count);
    static_cast<void>(world.must<ListingView>(dearer, World::by(scene.seller)));
    world.set_fee(500'000);
    scene.go_to(booked.starts_at);
    const Reservation& row = scene.row(booked.id);
    REQUIRE(row.state == ReservationState::started);
    const Lease& lease = world.lease(*row.lease);
    CHECK(lease.state == LeaseState::allocated);
    CHECK(lease.pinned);
    CHECK(lease.price == booked.price);
    CHECK(lease.fee_ppm == 100'000);
    CHECK(lease.held == booked.deposit);
    CHECK(lease.term == hours(10));
    CHECK(lease.phase_deadline == booked.ends_at);
    CHECK(row.deposit.count == 0);
    CHECK(world.balance(scene.renter, AccountKind::held) == booked.deposit);
    const LeaseId id = lease.id;
    world.pass(hours(1));
    CHECK(scene.attempt(AttachJob{id, JobRequest{"busybox", hours(1), 1, "{}"}}, scene.renter) == "ok");
    world.run(id);
    world.pass(minutes(30));
    world.state_usage(id, minutes(30));
    world.exited(id, 0);
    world.reported(id, AgentPhase::gone);
    CHECK(row.state == ReservationState::ended);
    CHECK(row.reason == ReservationReason::used);
    CHECK(world.lease(id).meter.charged == usd(0, 50));
    CHECK(scene.money(scene.renter) == std::to_string(rich - 500'000) + " 0 0");
    CHECK(scene.money(scene.seller) == std::to_string(rich) + " 0 450000");
    CHECK_FALSE(world.state().has_bookings());
}

TEST_CASE("The block's end stops what runs") {
    Scene scene;
    World& world = scene.world;
    const Reservation booked = scene.book(scene.block(scene.in(days(2)), hours(2)));
    scene.go_to(booked.starts_at);
    const LeaseId lease = *scene.row(booked.id).lease;
    world.pass(hours(1));
    CHECK(scene.attempt(AttachJob{lease, JobRequest{"busybox", hours(9), 1, "{}"}}, scene.renter) == "ok");
    world.run(lease);
    for (int minute = 1; minute < 60; ++minute) {
        world.pass(minutes(1));
        world.state_usage(lease, minutes(minute));
    }
    scene.go_to(booked.ends_at);
    CHECK(scene.row(booked.id).state == ReservationState::ended);
    CHECK(world.lease(lease).stop_reason == EndReason::term_reached);
    CHECK(world.lease(lease).reclaim_deadline == world.now() + seconds(10));
}

TEST_CASE("Cancelled in time a reservation costs nothing, and later a part of the deposit") {
    for (const auto& row : text_table(R"(
        hours before | renter pays | seller gets | fee
        25           | 0           | 0           | 0
        24           | 341667      | 307501      | 34166
        1            | 341667      | 307501      | 34166
    )")) {
        Scene scene;
        const Reservation booked = scene.book(scene.block(scene.in(days(2))));
        scene.world.pass(booked.starts_at - hours(row.number("hours before")) - scene.world.now());
        CHECK(scene.attempt(CancelReservation{booked.id}, scene.renter) == "ok");
        CHECK(scene.row(booked.id).state == ReservationState::cancelled);
        CHECK(scene.row(booked.id).kept.count == row.number("renter pays"));
        CHECK(scene.money(scene.renter) == std::to_string(rich - row.number("renter pays")) + " 0 0");
        CHECK(scene.money(scene.seller) == std::to_string(rich) + " 0 " + row["seller gets"]);
        CHECK(scene.world.balance(platform_organization, AccountKind::fees).count == row.number("fee"));
        CHECK_FALSE(scene.world.state().has_bookings());
        CHECK(scene.attempt(CancelReservation{booked.id}, scene.renter) == "wrong_state");
    }
}

TEST_CASE("A block that its renter lets pass costs the same as a late cancellation") {
    Scene scene;
    const Reservation booked = scene.book(scene.block(scene.in(days(2))));
    scene.go_to(booked.starts_at);
    SECTION("nobody came") {
        scene.go_to(booked.ends_at);
    }
    SECTION("it was given up before anything ran") {
        CHECK(scene.attempt(EndLease{*scene.row(booked.id).lease}, scene.renter) == "ok");
    }
    CHECK(scene.row(booked.id).state == ReservationState::ended);
    CHECK(scene.row(booked.id).reason == ReservationReason::never_used);
    CHECK(scene.row(booked.id).kept.count == 341'667);
    CHECK(scene.money(scene.renter) == std::to_string(rich - 341'667) + " 0 0");
    CHECK(scene.money(scene.seller) == std::to_string(rich) + " 0 307501");
}

TEST_CASE("A host or a card that is not there at the start costs its seller the penalty") {
    Scene scene;
    World& world = scene.world;
    const Reservation booked = scene.book(scene.block(scene.in(days(2))));
    std::string expected;
    SECTION("lost") {
        world.lost(scene.host);
        expected = "host_absent";
    }
    SECTION("drained") {
        CHECK(scene.attempt(ChangeHost{scene.host, HostAction::drain}, scene.seller) == "ok");
        expected = "host_absent";
    }
    SECTION("without its cards") {
        ReportInventory empty = a_host().inventory(world.now());
        empty.cards.clear();
        CHECK(world.attempt(empty, world.agent_of(scene.host)) == "ok");
        expected = "cards_absent";
    }
    scene.go_to(booked.starts_at + minutes(1));  // late: the penalty is the whole one nevertheless
    const Reservation& row = scene.row(booked.id);
    CHECK(row.state == ReservationState::failed);
    CHECK(name_of(*row.reason) == expected);
    CHECK(row.penalty == usd(1));
    CHECK(scene.money(scene.renter) == std::to_string(rich + 1'000'000) + " 0 0");
    CHECK(scene.money(scene.seller) == std::to_string(rich - 1'000'000) + " 0 0");
    CHECK_FALSE(world.state().has_bookings());
}

TEST_CASE("What the operator freezes costs nobody anything") {
    Scene scene;
    const Reservation booked = scene.book(scene.block(scene.in(days(2))));
    static_cast<void>(scene.world.must<Freeze>(
        CreateFreeze{FreezeKind::organization, scene.renter.text(), ""}, World::admin()));
    scene.go_to(booked.starts_at);
    CHECK(scene.row(booked.id).reason == ReservationReason::policy_revoked);
    CHECK(scene.money(scene.renter) == std::to_string(rich) + " 0 0");
    CHECK(scene.money(scene.seller) == std::to_string(rich) + " 0 0");
}

TEST_CASE("A host lost within the block pays for the rest of it, and the renter for what ran") {
    Scene scene;
    World& world = scene.world;
    const Reservation booked = scene.book(scene.block(scene.in(days(2))));
    scene.go_to(booked.starts_at);
    const LeaseId lease = *scene.row(booked.id).lease;
    CHECK(scene.attempt(AttachJob{lease, JobRequest{"busybox", hours(9), 1, "{}"}}, scene.renter) == "ok");
    world.run(lease);
    world.pass(minutes(30));
    world.state_usage(lease, minutes(30));
    world.lost(scene.host);
    world.tick_after(minutes(10));
    CHECK(scene.row(booked.id).state == ReservationState::ended);
    CHECK(scene.row(booked.id).penalty.count == 933'333);  // a tenth of 9 h 20 min
    CHECK(scene.money(scene.renter) == std::to_string(rich - 500'000 + 933'333) + " 0 0");
    CHECK(scene.money(scene.seller) == std::to_string(rich - 933'333) + " 0 450000");
}

TEST_CASE("Breaking a promise is said, and then paid for") {
    Scene scene;
    World& world = scene.world;
    const Reservation booked = scene.book(scene.block(scene.in(days(2))));
    CHECK(scene.attempt(CancelReservation{booked.id}, scene.other) == "not_found");
    CHECK(scene.attempt(CancelReservation{booked.id}, scene.seller) == "committed");
    SECTION("before the start") {
        CHECK(scene.attempt(CancelReservation{booked.id, true}, scene.seller) == "ok");
        CHECK(scene.row(booked.id).state == ReservationState::broken);
        CHECK(scene.money(scene.renter) == std::to_string(rich + 1'000'000) + " 0 0");
        CHECK(scene.money(scene.seller) == std::to_string(rich - 1'000'000) + " 0 0");
    }
    SECTION("within the block") {
        scene.go_to(booked.starts_at);
        const LeaseId lease = *scene.row(booked.id).lease;
        world.pass(hours(5));
        CHECK(scene.attempt(ReclaimLease{lease}, scene.seller) == "committed");
        CHECK(scene.attempt(ReclaimLease{lease, true}, scene.seller) == "ok");
        CHECK(scene.row(booked.id).penalty == usd(0, 50));
        CHECK(world.phase(lease) == "ended reclaimed_by_owner");
        CHECK(scene.money(scene.renter) == std::to_string(rich + 500'000) + " 0 0");
        CHECK(scene.money(scene.seller) == std::to_string(rich - 500'000) + " 0 0");
    }
}

TEST_CASE("Any lease of a committed listing is taken back for a penalty alone") {
    Scene scene;
    World& world = scene.world;
    const LeaseId lease = world.rent(scene.renter, an_order().term(hours(10)).job());
    CHECK(scene.attempt(ReclaimLease{lease}, scene.seller) == "committed");
    static_cast<void>(world.must<ledger::Transfer>(
        Withdraw{scene.seller, AccountKind::available, usd(1000), "all"}, World::admin()));
    CHECK(scene.attempt(ReclaimLease{lease, true}, scene.seller) == "insufficient_funds");
    world.deposit(scene.seller, usd(1));
    CHECK(scene.attempt(ReclaimLease{lease, true}, scene.seller) == "ok");
    CHECK(world.balance(scene.seller, AccountKind::available).count == 0);
    CHECK(world.balance(scene.renter, AccountKind::available) == usd(1001));
}

TEST_CASE("An owner at the machine is not refused: the penalty is taken as far as the money goes") {
    for (const auto& row : text_table(R"(
        has micros | pays    | phase
        1000000    | 1000000 | reclaimed
        300000     | 300000  | reclaimed
        0          | 0       | reclaimed
        300000     | 300000  | exited
    )")) {
        INFO(row["has micros"] << " " << row["phase"]);
        Scene scene;
        World& world = scene.world;
        const LeaseId lease = world.rent(scene.renter, an_order().term(hours(10)).job());
        world.run(lease);
        const auto before = world.balance(scene.renter, AccountKind::available);
        static_cast<void>(world.must<ledger::Transfer>(
            Withdraw{scene.seller, AccountKind::available,
                     usd(1000) - ledger::Micros(row.number("has micros")), "most"},
            World::admin()));
        AgentReport report = world.report(lease, *parse_enum<AgentPhase>(row["phase"]));
        if (report.phase == AgentPhase::exited) report.stop = StopCause::reclaimed;
        CHECK(world.tell(report) == "ok");
        CHECK(world.balance(scene.seller, AccountKind::available).count ==
              row.number("has micros") - row.number("pays"));
        CHECK((world.balance(scene.renter, AccountKind::available) - before).count == row.number("pays"));
        // Once: a repetition, or the exit that follows, costs nothing more.
        world.deposit(scene.seller, usd(5));
        CHECK(world.tell(report) == "ok");
        CHECK((world.balance(scene.renter, AccountKind::available) - before).count == row.number("pays"));
    }
}

TEST_CASE("A commitment is never shortened, and binds the listing while somebody relies on it") {
    Scene scene;
    UpdateListing change;
    change.listing = scene.listing;
    change.version = 1;
    change.terms.committed_until = scene.in(days(9));
    CHECK(scene.attempt(change, scene.seller) == "committed");
    change.terms.committed_until = scene.in(Millis(0));
    CHECK(scene.attempt(change, scene.seller) == "invalid_field");
    change.terms.committed_until = scene.in(days(11));
    CHECK(scene.attempt(change, scene.seller) == "ok");
    const Reservation booked = scene.book(scene.block(scene.in(days(2))));
    CHECK(scene.attempt(WithdrawListing{scene.listing}, scene.seller) == "committed");
    CHECK(scene.attempt(ChangeHost{scene.host, HostAction::retire}, scene.seller) == "committed");
    CHECK(scene.attempt(CancelReservation{booked.id, true}, scene.seller) == "ok");
    CHECK(scene.attempt(WithdrawListing{scene.listing}, scene.seller) == "ok");
}

TEST_CASE("A quote of a block locks price and terms for its reservation") {
    Scene scene;
    World& world = scene.world;
    MakeQuote wanted;
    wanted.count = 2;
    wanted.term = hours(10);
    wanted.starts_at = scene.in(days(2));
    const auto quote = world.must<ledger::QuoteFacts>(wanted, World::by(scene.renter));
    REQUIRE(quote.block.has_value());
    CHECK(quote.block->deposit.count == 1'366'667);
    CHECK(quote.block->cancel_kept.count == 683'333);
    CHECK(quote.block->penalty == usd(2));
    UpdateListing dearer;
    dearer.listing = scene.listing;
    dearer.version = 1;
    dearer.terms.ask = ledger::Price(usd(7).count);
    dearer.terms.reclaim_notice = hours(1);
    static_cast<void>(world.must<ListingView>(dearer, World::by(scene.seller)));
    Reserve command = scene.block(*wanted.starts_at, hours(10), 2);
    command.quote = quote;
    PlaceOrder order = an_order().term(hours(10));
    order.quote = quote;
    CHECK(scene.attempt(order, scene.renter) == "invalid_field");
    Reserve later = command;
    later.starts_at = command.starts_at + Millis(1);
    CHECK(scene.attempt(later, scene.renter) == "invalid_field");
    CHECK(scene.attempt(command, scene.other) == "invalid_field");
    const Reservation row = scene.book(command);
    CHECK(row.price == ledger::Price(usd(1).count));
    CHECK(row.deposit == quote.block->deposit);
    CHECK(row.quote == quote.quote);
    world.pass(minutes(5));
    CHECK(scene.attempt(command, scene.renter) == "quote_expired");
}

TEST_CASE("A reservation changes hands, whole or its last part") {
    Scene scene;
    const Reservation booked = scene.book(scene.block(scene.in(days(2))));
    const auto offer = [&](std::optional<Time> from) {
        return scene.attempt(OfferReservation{booked.id, usd(3), from}, scene.renter);
    };
    CHECK(scene.attempt(BuyReservation{booked.id, usd(3)}, scene.other) == "not_found");
    CHECK(scene.attempt(OfferReservation{booked.id, usd(3), {}}, scene.other) == "not_found");
    CHECK(offer(booked.ends_at) == "invalid_field");
    CHECK(offer(booked.starts_at + minutes(11)) == "invalid_field");
    SECTION("whole") {
        CHECK(offer({}) == "ok");
        CHECK(scene.attempt(BuyReservation{booked.id, usd(2)}, scene.other) == "no_match");
        CHECK(scene.attempt(BuyReservation{booked.id, usd(3)}, scene.seller) == "wrong_state");
        const auto part =
            scene.world.must<Reservation>(BuyReservation{booked.id, usd(3)}, World::by(scene.other));
        CHECK(scene.row(booked.id).state == ReservationState::sold);
        CHECK(part.deposit == booked.deposit);
        CHECK(part.bond == booked.bond);
        CHECK(part.bought_from == booked.id);
        CHECK(scene.money(scene.renter) == std::to_string(rich + 3'000'000) + " 0 0");
        CHECK(scene.money(scene.other) == std::to_string(rich - 3'000'000 - 683'334) + " 683334 0");
        scene.go_to(booked.starts_at);
        CHECK(scene.world.lease(*scene.row(part.id).lease).renter == scene.other);
    }
    SECTION("the last part") {
        const Time from = booked.starts_at + hours(4);
        CHECK(offer(from) == "ok");
        const auto part =
            scene.world.must<Reservation>(BuyReservation{booked.id, usd(3)}, World::by(scene.other));
        const Reservation& rest = scene.row(booked.id);
        CHECK(rest.state == ReservationState::booked);
        CHECK(rest.ends_at == from - turnaround(Rules{}));
        CHECK(part.starts_at == from);
        CHECK(part.ends_at == booked.ends_at);
        CHECK(part.cancel_free_until == from - hours(24));
        CHECK(part.bond == usd(0, 60));
        CHECK(rest.bond.count == 382'916);
        CHECK(scene.world.state().bookings_of(booked.cards.front()).size() == 2);
        scene.go_to(from);
        CHECK(scene.row(part.id).state == ReservationState::started);
        CHECK(rest.reason == ReservationReason::missed);  // no tick came between its start and its end
        CHECK(rest.penalty.count == 0);
    }
    SECTION("not any more") {
        CHECK(offer({}) == "ok");
        CHECK(scene.attempt(OfferReservation{booked.id, {}, {}}, scene.renter) == "ok");
        CHECK(scene.attempt(BuyReservation{booked.id, usd(3)}, scene.other) == "not_found");
        CHECK(offer({}) == "ok");
        scene.go_to(booked.starts_at);
        CHECK(scene.attempt(BuyReservation{booked.id, usd(3)}, scene.other) == "not_found");
    }
}

TEST_CASE("No two bookings of a card meet, and no lease meets a booking, 6,000 generated steps") {
    std::mt19937_64 random(20'260'103);
    const auto below = [&](std::int64_t n) {
        return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
    };
    Scene scene;
    World& world = scene.world;
    world.check_every(100);
    const std::array people{scene.renter, scene.other};
    std::map<std::string, int> outcomes;
    for (int i = 0; i < 6000; ++i) {
        const OrganizationId by = people[static_cast<std::size_t>(below(2))];
        std::vector<Reservation> rows;
        for (const auto& [id, row] : world.state().table<Reservation>())
            if (row.is_open()) rows.push_back(row);
        std::ranges::sort(rows, {}, [](const Reservation& row) { return row.id; });
        const auto some = [&] { return rows[static_cast<std::size_t>(below(std::ssize(rows)))]; };
        const auto kind = below(10);
        if (kind < 4) {
            const Reserve command =
                scene.block(scene.in(Millis(below(days(5).count))), Millis(60'000 + below(hours(6).count)),
                            static_cast<std::int32_t>(1 + below(2)));
            ++outcomes["reserve " + scene.attempt(command, by)];
        } else if (kind < 6 && !rows.empty()) {
            const Reservation row = some();
            ++outcomes["cancel " + scene.attempt(CancelReservation{row.id}, row.renter)];
        } else if (kind == 6 && !rows.empty()) {
            const Reservation row = some();
            const Time from = row.starts_at + Millis(below(2) * below((row.ends_at - row.starts_at).count));
            ++outcomes["offer " +
                       scene.attempt(OfferReservation{row.id, Micros(below(100)), from}, row.renter)];
        } else if (kind == 7 && !rows.empty()) {
            ++outcomes["buy " + scene.attempt(BuyReservation{some().id, Micros(100)}, by)];
        } else if (kind == 8) {
            const PlaceOrder order = an_order().term(Millis(60'000 + below(hours(3).count))).fill_or_kill();
            ++outcomes["order " + scene.attempt(order, by)];
        } else {
            scene.let_pass(Millis(below(hours(4).count)));
            if (world.listing_row(scene.listing).committed_until < scene.in(days(6))) {
                UpdateListing change;
                change.listing = scene.listing;
                change.version = world.listing_row(scene.listing).version;
                change.terms.committed_until = scene.in(days(10));
                static_cast<void>(world.must<ListingView>(change, World::by(scene.seller)));
            }
        }
        REQUIRE_NOTHROW(world.database().check());
        // Here nobody fails to deliver: a block that could not start would have met something in its way.
        for (const auto& [id, row] : world.state().table<Reservation>())
            REQUIRE((row.state != ReservationState::failed || row.reason == ReservationReason::missed));
        world.forget_final_rows();
    }
    for (const char* kind : {"reserve ok", "reserve no_match", "cancel ok", "offer ok", "buy ok",
                             "order ok", "order no_match"}) {
        INFO(kind);
        CHECK(outcomes[kind] >= 20);
    }
}
