// Every refusal of every command, each from a market that would otherwise allow it.
#include <functional>

#include "support/market_world.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

/// A market in which a seller's host offers four cards and a renter has money, a standing order and a
/// lease.
struct Market {
    Market() {
        seller = world.organization("seller");
        renter = world.rich("renter");
        stranger = world.rich("stranger");
        poor = world.organization("poor");
        host = world.host(seller, a_host().cards(8));
        listing = world.listing(host, a_listing().cards(4).bundle(1));
        free_cards = world.unlisted(host, 2);
        lease = world.rent(renter, an_order().cards(1).job());
        bare = world.rent(renter, an_order().cards(1));
        standing = world.place(renter, an_order().price_max(usd(0, 10)).job()).order.id;
    }
    [[nodiscard]] CreateListing new_listing() const { return a_listing().on(host, free_cards); }
    [[nodiscard]] UpdateListing update() const {
        UpdateListing command;
        command.listing = listing;
        command.version = world.listing_row(listing).version;
        return command;
    }
    [[nodiscard]] JobId job() const { return *world.lease(lease).job; }
    [[nodiscard]] AddMaintenance maintenance(Millis from, Millis until) const {
        return {host, world.now() + from, world.now() + until, "a new fan"};
    }
    void freeze(FreezeKind kind, const std::string& target) {
        REQUIRE(world.attempt(CreateFreeze{kind, target, "note"}, World::admin()) == "ok");
    }
    void retire() {
        for (const LeaseId id : {lease, bare}) {
            REQUIRE(world.attempt(EndLease{id}, World::by(renter)) == "ok");
            world.reported(id, AgentPhase::gone);
        }
        REQUIRE(world.attempt(ChangeHost{host, HostAction::retire}, World::by(seller)) == "ok");
    }

    World world;
    OrganizationId seller, renter, stranger, poor;
    HostId host;
    ListingId listing;
    std::vector<CardId> free_cards;
    LeaseId lease, bare;
    OrderId standing;
};

struct Case {
    const char* what;
    const char* expected;  ///< the code, and the pointer where there is one
    std::function<std::pair<Command, Caller>(Market&)> make;
};

void check(const std::vector<Case>& cases) {
    for (const Case& row : cases) {
        INFO(row.what);
        Market market;
        auto [command, caller] = row.make(market);
        const Decision decision = market.world.decide(command, caller);
        if (decision.outcome) {
            CHECK(std::string(row.expected) == "ok");
            continue;
        }
        const Error& error = decision.outcome.error();
        CHECK(std::string(name_of(error.code)) + (error.pointer.empty() ? "" : ' ' + error.pointer) ==
              row.expected);
        CHECK(error.detail.ends_with('.'));
    }
}

using To = std::pair<Command, Caller>;
const JobRequest a_job{"busybox", hours(1), 1, "{}"};
const OrganizationId nobody(RawId{5, 5});

}  // namespace

TEST_CASE("Refusals: administration") {
    const Caller admin = World::admin();
    check({
        {"a new name", "ok",
         [&](Market&) {
             return To{CreateOrganization{"new", "DE"}, admin};
         }},
        {"a name that is taken", "name_taken /name",
         [&](Market&) {
             return To{CreateOrganization{"seller", "DE"}, admin};
         }},
        {"a deposit to nobody", "not_found /organization_id",
         [&](Market&) {
             return To{Deposit{nobody, usd(1), ""}, admin};
         }},
        {"a deposit to the platform", "not_found /organization_id",
         [&](Market&) {
             return To{Deposit{platform_organization, usd(1), ""}, admin};
         }},
        {"a deposit of nothing", "invalid_field /amount_micros",
         [&](Market& m) {
             return To{Deposit{m.renter, usd(0), ""}, admin};
         }},
        {"a withdrawal from nobody", "not_found /organization_id",
         [&](Market&) {
             return To{Withdraw{nobody, ledger::AccountKind::available, usd(1), ""}, admin};
         }},
        {"a withdrawal of what there is", "ok",
         [&](Market& m) {
             return To{Withdraw{m.stranger, ledger::AccountKind::available, usd(1000), ""}, admin};
         }},
        {"a withdrawal of more", "insufficient_funds",
         [&](Market& m) {
             return To{Withdraw{m.stranger, ledger::AccountKind::available, usd(1001), ""}, admin};
         }},
        {"a withdrawal of what was not earned", "insufficient_funds",
         [&](Market& m) {
             return To{Withdraw{m.seller, ledger::AccountKind::earned, usd(1), ""}, admin};
         }},
        {"a withdrawal of held money", "invalid_field /account",
         [&](Market& m) {
             return To{Withdraw{m.renter, ledger::AccountKind::held, usd(0, 1), ""}, admin};
         }},
        {"a withdrawal from the fees in a tenant's name", "invalid_field /account",
         [&](Market& m) {
             return To{Withdraw{m.renter, ledger::AccountKind::fees, usd(0, 1), ""}, admin};
         }},
        {"a freeze of no organization", "invalid_field /target",
         [&](Market&) {
             return To{CreateFreeze{FreezeKind::organization, nobody.text(), ""}, admin};
         }},
        {"a freeze of the platform", "invalid_field /target",
         [&](Market&) {
             return To{CreateFreeze{FreezeKind::organization, platform_organization.text(), ""}, admin};
         }},
        {"a freeze of no id", "invalid_field /target",
         [&](Market&) {
             return To{CreateFreeze{FreezeKind::organization, "seller", ""}, admin};
         }},
        {"a freeze of no host", "invalid_field /target",
         [&](Market& m) {
             return To{CreateFreeze{FreezeKind::host, m.renter.text(), ""}, admin};
         }},
        {"a freeze of another market", "invalid_field /target",
         [&](Market&) {
             return To{CreateFreeze{FreezeKind::market, "other", ""}, admin};
         }},
        {"a freeze of no image", "invalid_field /target",
         [&](Market&) {
             return To{CreateFreeze{FreezeKind::image, "", ""}, admin};
         }},
        {"a second freeze of one target", "wrong_state /target",
         [&](Market& m) {
             m.freeze(FreezeKind::image, "bad");
             return To{CreateFreeze{FreezeKind::image, "bad", ""}, admin};
         }},
        {"the end of no freeze", "not_found",
         [&](Market&) {
             return To{RemoveFreeze{FreezeId(RawId{5, 6})}, admin};
         }},
    });
}

TEST_CASE("Refusals: hosts") {
    check({
        {"a host in the platform's name", "wrong_state",
         [](Market&) {
             return To{a_host().name("h").enrollment(HostId(RawId{5, 7})),
                       World::by(platform_organization)};
         }},
        {"a second host of one name", "name_taken",
         [](Market& m) {
             return To{a_host().enrollment(HostId(RawId{5, 7})), World::by(m.seller)};
         }},
        {"the same name elsewhere", "ok",
         [](Market& m) {
             return To{a_host().enrollment(HostId(RawId{5, 7})), World::by(m.renter)};
         }},
        {"a frozen seller's host", "frozen",
         [](Market& m) {
             m.freeze(FreezeKind::organization, m.seller.text());
             return To{a_host().name("h").enrollment(HostId(RawId{5, 7})), World::by(m.seller)};
         }},
        {"a stranger's drain", "not_found",
         [](Market& m) {
             return To{ChangeHost{m.host, HostAction::drain}, World::by(m.stranger)};
         }},
        {"a drain of no host", "not_found",
         [](Market& m) {
             return To{ChangeHost{HostId(RawId{5, 7}), HostAction::drain}, World::by(m.seller)};
         }},
        {"a second retirement", "wrong_state",
         [](Market& m) {
             REQUIRE(m.world.attempt(ChangeHost{m.host, HostAction::retire}, World::by(m.seller)) == "ok");
             return To{ChangeHost{m.host, HostAction::retire}, World::by(m.seller)};
         }},
        {"a stranger's maintenance", "not_found",
         [](Market& m) {
             return To{m.maintenance(hours(1), hours(2)), World::by(m.stranger)};
         }},
        {"maintenance that has begun", "invalid_field /from",
         [](Market& m) {
             return To{m.maintenance(Millis(-1), hours(2)), World::by(m.seller)};
         }},
        {"maintenance too far away", "invalid_field /from",
         [](Market& m) {
             return To{m.maintenance(days(367), days(368)), World::by(m.seller)};
         }},
        {"maintenance that ends before it begins", "invalid_field /until",
         [](Market& m) {
             return To{m.maintenance(hours(1), hours(1)), World::by(m.seller)};
         }},
        {"maintenance without end", "invalid_field /until",
         [](Market& m) {
             return To{m.maintenance(hours(1), days(40)), World::by(m.seller)};
         }},
        {"maintenance within a renter's notice", "invalid_field /from",
         [](Market& m) {
             return To{m.maintenance(seconds(59), hours(2)), World::by(m.seller)};
         }},
        {"a second maintenance", "wrong_state",
         [](Market& m) {
             REQUIRE(m.world.attempt(m.maintenance(hours(1), hours(2)), World::by(m.seller)) == "ok");
             return To{m.maintenance(hours(3), hours(4)), World::by(m.seller)};
         }},
        {"no maintenance taken back", "wrong_state",
         [](Market& m) {
             return To{RemoveMaintenance{m.host}, World::by(m.seller)};
         }},
        {"an inventory with one card twice", "invalid_field /cards/1/uuid",
         [](Market& m) {
             ReportInventory report = a_host().cards(2).inventory(m.world.now());
             report.cards[1].uuid = report.cards[0].uuid;
             return To{report, m.world.agent_of(m.host)};
         }},
        {"more cards than a host may have ever had", "limit_reached /cards",
         [](Market& m) {
             ReportInventory report = a_host().cards(limits::cards_per_host_max).inventory(m.world.now());
             for (ReportedCard& card : report.cards)
                 card.uuid = "new " + card.uuid;
             return To{report, m.world.agent_of(m.host)};
         }},
        {"an inventory of a retired host", "not_found",
         [](Market& m) {
             m.retire();
             return To{a_host().inventory(m.world.now()), m.world.agent_of(m.host)};
         }},
    });
}

TEST_CASE("Refusals: listings") {
    check({
        {"a good one", "ok",
         [](Market& m) {
             return To{m.new_listing(), World::by(m.seller)};
         }},
        {"a stranger's host", "not_found /host_id",
         [](Market& m) {
             return To{m.new_listing(), World::by(m.stranger)};
         }},
        {"a frozen seller", "frozen",
         [](Market& m) {
             m.freeze(FreezeKind::organization, m.seller.text());
             return To{m.new_listing(), World::by(m.seller)};
         }},
        {"a retired host", "wrong_state /host_id",
         [](Market& m) {
             m.retire();
             return To{m.new_listing(), World::by(m.seller)};
         }},
        {"one card twice", "invalid_field /card_ids/1",
         [](Market& m) {
             CreateListing command = m.new_listing();
             command.cards[1] = command.cards[0];
             return To{command, World::by(m.seller)};
         }},
        {"another host's card", "not_found /card_ids/0",
         [](Market& m) {
             const HostId other = m.world.host(m.seller, a_host().name("host-2"));
             CreateListing command = m.new_listing();
             command.host = other;
             return To{command, World::by(m.seller)};
         }},
        {"a card that was not measured", "card_not_verified /card_ids/0",
         [](Market& m) {
             const HostId other = m.world.host(m.seller, a_host().name("host-2").unmeasured());
             return To{a_listing().on(other, m.world.unlisted(other, 1)), World::by(m.seller)};
         }},
        {"a card that is listed", "card_already_listed /card_ids/0",
         [](Market& m) {
             CreateListing command = m.new_listing();
             command.cards[0] = m.world.listing_row(m.listing).cards[0];
             return To{command, World::by(m.seller)};
         }},
        {"terms in the wrong order", "invalid_field /term_min_ms",
         [](Market& m) {
             return To{a_listing().terms(hours(2), hours(1)).on(m.host, m.free_cards), World::by(m.seller)};
         }},
        {"a share of cards that go in bundles only", "invalid_field /share_min_thousandths",
         [](Market& m) {
             return To{a_listing().bundle(2).shares_from(500).on(m.host, m.free_cards),
                       World::by(m.seller)};
         }},
        {"a part of two cards", "invalid_field /thousandths",
         [](Market& m) {
             return To{PlaceOrder(an_order().cards(2).share(500)), World::by(m.renter)};
         }},
        {"parts of cards on two hosts", "invalid_field /thousandths",
         [](Market& m) {
             return To{PlaceOrder(an_order().hosts(2).share(500)), World::by(m.renter)};
         }},
        {"two hosts that are one listing's", "invalid_field /hosts",
         [](Market& m) {
             return To{PlaceOrder(an_order().hosts(2).on(m.listing)), World::by(m.renter)};
         }},
        {"a bundle of more cards than there are", "invalid_field /bundle_min",
         [](Market& m) {
             return To{a_listing().bundle(3).on(m.host, m.free_cards), World::by(m.seller)};
         }},
        {"a window that ends before it begins", "invalid_field /available_until",
         [](Market& m) {
             return To{a_listing().available(Time(2), Time(2)).on(m.host, m.free_cards),
                       World::by(m.seller)};
         }},
        {"a change by a stranger", "not_found",
         [](Market& m) {
             return To{m.update(), World::by(m.stranger)};
         }},
        {"a change of what has changed", "precondition_failed header:If-Match",
         [](Market& m) {
             UpdateListing command = m.update();
             command.version += 1;
             return To{command, World::by(m.seller)};
         }},
        {"a change to terms in the wrong order", "invalid_field /term_min_ms",
         [](Market& m) {
             UpdateListing command = m.update();
             command.terms.term_min = days(31);
             return To{command, World::by(m.seller)};
         }},
        {"a change of a withdrawn one", "wrong_state",
         [](Market& m) {
             REQUIRE(m.world.attempt(WithdrawListing{m.listing}, World::by(m.seller)) == "ok");
             return To{m.update(), World::by(m.seller)};
         }},
        {"a second withdrawal", "wrong_state",
         [](Market& m) {
             REQUIRE(m.world.attempt(WithdrawListing{m.listing}, World::by(m.seller)) == "ok");
             return To{WithdrawListing{m.listing}, World::by(m.seller)};
         }},
        {"a stranger's withdrawal", "not_found",
         [](Market& m) {
             return To{WithdrawListing{m.listing}, World::by(m.stranger)};
         }},
    });
}

TEST_CASE("Refusals: orders and jobs") {
    check({
        {"an order in the platform's name", "wrong_state",
         [](Market&) {
             return To{PlaceOrder(an_order()), World::by(platform_organization)};
         }},
        {"an order of nobody", "frozen",
         [](Market&) {
             return To{PlaceOrder(an_order()), World::by(nobody)};
         }},
        {"a frozen renter", "frozen",
         [](Market& m) {
             m.freeze(FreezeKind::organization, m.stranger.text());
             return To{PlaceOrder(an_order()), World::by(m.stranger)};
         }},
        {"a frozen market", "frozen",
         [](Market& m) {
             m.freeze(FreezeKind::market, "main");
             return To{PlaceOrder(an_order()), World::by(m.stranger)};
         }},
        {"a frozen image", "frozen /job/image",
         [](Market& m) {
             m.freeze(FreezeKind::image, "bad");
             return To{PlaceOrder(an_order().job("bad")), World::by(m.stranger)};
         }},
        {"a frozen digest", "frozen /job/image",
         [](Market& m) {
             m.freeze(FreezeKind::image, "sha256:1");
             return To{PlaceOrder(an_order().job("name@sha256:1")), World::by(m.stranger)};
         }},
        {"a listing that is none", "not_found /requirements/listing_id",
         [](Market& m) {
             return To{PlaceOrder(an_order().on(ListingId(RawId{5, 5}))), World::by(m.renter)};
         }},
        {"fill or kill, too dear", "no_match",
         [](Market& m) {
             return To{PlaceOrder(an_order().price_max(usd(0, 99)).fill_or_kill()), World::by(m.renter)};
         }},
        {"no money for the hold", "insufficient_funds",
         [](Market& m) {
             return To{PlaceOrder(an_order()), World::by(m.poor)};
         }},
        {"no money to stand with", "insufficient_funds",
         [](Market& m) {
             return To{PlaceOrder(an_order().price_max(usd(0, 99))), World::by(m.poor)};
         }},
        {"a stranger's cancellation", "not_found",
         [](Market& m) {
             return To{CancelOrder{m.standing}, World::by(m.stranger)};
         }},
        {"a second cancellation", "wrong_state",
         [](Market& m) {
             REQUIRE(m.world.attempt(CancelOrder{m.standing}, World::by(m.renter)) == "ok");
             return To{CancelOrder{m.standing}, World::by(m.renter)};
         }},
        {"cancelling what is filled", "wrong_state",
         [](Market& m) {
             return To{CancelOrder{m.world.lease(m.lease).order}, World::by(m.renter)};
         }},
        {"a job brought by a stranger", "not_found",
         [](Market& m) {
             return To{AttachJob{m.bare, a_job}, World::by(m.stranger)};
         }},
        {"a job to a lease that has one", "wrong_state",
         [](Market& m) {
             return To{AttachJob{m.lease, a_job}, World::by(m.renter)};
         }},
        {"a job of a frozen image", "frozen /job/image",
         [](Market& m) {
             m.freeze(FreezeKind::image, "busybox");
             return To{AttachJob{m.bare, a_job}, World::by(m.renter)};
         }},
        {"a job in a frozen market", "frozen",
         [](Market& m) {
             m.freeze(FreezeKind::market, "main");
             return To{AttachJob{m.bare, a_job}, World::by(m.renter)};
         }},
        {"a stranger's cancellation of a job", "not_found",
         [](Market& m) {
             return To{CancelJob{m.job()}, World::by(m.stranger)};
         }},
        {"cancelling no job", "not_found",
         [](Market& m) {
             return To{CancelJob{JobId(RawId{5, 5})}, World::by(m.renter)};
         }},
        {"cancelling a job that was cancelled", "wrong_state",
         [](Market& m) {
             REQUIRE(m.world.attempt(CancelJob{m.job()}, World::by(m.renter)) == "ok");
             return To{CancelJob{m.job()}, World::by(m.renter)};
         }},
    });
}

TEST_CASE("Refusals: usage statements") {
    const auto changed = [](auto change) {
        return [change](Market& m) {
            m.world.run(m.lease);
            m.world.pass(minutes(1));
            ReportUsage usage = m.world.usage(m.lease, minutes(1));
            change(usage);
            return To{usage, m.world.agent_of(m.host)};
        };
    };
    check({
        {"a good one", "ok", changed([](ReportUsage&) {})},
        {"another epoch", "stale_epoch /lease_epoch", changed([](ReportUsage& u) { u.lease_epoch = 0; })},
        {"no lease", "not_found", changed([](ReportUsage& u) {
             u.lease = LeaseId(RawId{5, 5});
         })},
        {"another container", "invalid_field /statement",
         changed([](ReportUsage& u) { u.container = "other"; })},
        {"another boot", "invalid_field /statement", changed([](ReportUsage& u) { u.boot = "boot-2"; })},
        {"another nonce", "nonce_mismatch /statement", changed([](ReportUsage& u) { u.nonce = "00"; })},
        {"a sequence left out", "usage_not_monotone /statement",
         changed([](ReportUsage& u) { u.sequence += 1; })},
        {"a sequence repeated", "usage_not_monotone /statement",
         changed([](ReportUsage& u) { u.sequence -= 1; })},
        {"less than before", "usage_not_monotone /statement",
         [](Market& m) {
             m.world.run(m.lease);
             m.world.pass(minutes(2));
             m.world.state_usage(m.lease, minutes(2));
             return To{m.world.usage(m.lease, minutes(2) - Millis(1)), m.world.agent_of(m.host)};
         }},
        {"fewer bytes than before", "usage_not_monotone /statement",
         [](Market& m) {
             m.world.run(m.lease);
             m.world.pass(minutes(2));
             m.world.state_usage(m.lease, minutes(1), 2);
             return To{m.world.usage(m.lease, minutes(2), 1), m.world.agent_of(m.host)};
         }},
        {"before it runs", "wrong_state",
         [](Market& m) {
             return To{m.world.usage(m.lease, minutes(1)), m.world.agent_of(m.host)};
         }},
        {"after it never ran", "wrong_state",
         [](Market& m) {
             m.world.reported(m.lease, AgentPhase::accepted);
             m.world.reported(m.lease, AgentPhase::failed);
             return To{m.world.usage(m.lease, minutes(1)), m.world.agent_of(m.host)};
         }},
        {"after the end", "wrong_state",
         [](Market& m) {
             m.world.run(m.lease);
             m.world.exited(m.lease, 0);
             m.world.tick_after(minutes(10));
             return To{m.world.usage(m.lease, minutes(1)), m.world.agent_of(m.host)};
         }},
        {"another host's", "not_found",
         [](Market& m) {
             m.world.run(m.lease);
             const HostId other = m.world.host(m.seller, a_host().name("host-2"));
             return To{m.world.usage(m.lease, minutes(1)), m.world.agent_of(other)};
         }},
    });
}

TEST_CASE("An organization has a bounded number of standing orders") {
    Market market;
    World& world = market.world;
    world.check_every(1'000'000);
    const PlaceOrder cheap = an_order().price_max(usd(0)).term(minutes(1));
    const auto standing = world.state().standing_orders(market.renter);
    for (auto n = standing; n < limits::standing_orders_per_organization_max; ++n)
        world.place(market.renter, cheap);
    CHECK(world.attempt(cheap, World::by(market.renter)) == "limit_reached");
    CHECK(world.attempt(cheap, World::by(market.stranger)) == "ok");
    CHECK(world.attempt(CancelOrder{market.standing}, World::by(market.renter)) == "ok");
    CHECK(world.attempt(cheap, World::by(market.renter)) == "ok");
}
