// The worked example of server/market/SPOT.md, read from there: the code does what the page says.
#include <fmt/format.h>

#include <fstream>
#include <map>
#include <sstream>

#include "support/market_world.hpp"
#include "support/paths.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

struct Line {
    std::string action, a, b, pool;
};

std::string trimmed(const std::string& text) {
    const auto first = text.find_first_not_of(' ');
    return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::vector<Line> read_example() {
    std::ifstream page(fallow::testing::source_dir() + "/server/market/SPOT.md");
    REQUIRE(page);
    std::vector<Line> lines;
    bool in_table = false;
    for (std::string text; std::getline(page, text);) {
        std::vector<std::string> cells;
        std::istringstream row(text);
        for (std::string cell; std::getline(row, cell, '|');)
            cells.push_back(trimmed(cell));
        if (cells.size() == 5 && in_table && cells[1] != "---")
            lines.push_back({cells[1], cells[2], cells[3], cells[4]});
        if (cells.size() == 5 && cells[1] == "what happens") in_table = true;
    }
    return lines;
}

/// "0.555" as micros.
ledger::Micros money(const std::string& text) {
    const auto point = text.find('.');
    REQUIRE(point != std::string::npos);
    std::string digits = text.substr(0, point) + text.substr(point + 1);
    digits.resize(point + 6, '0');
    return ledger::Micros(std::stoll(digits));
}

std::string text_of(ledger::Price price) {
    return fmt::format("{}.{:03}", price.micros_per_hour / 1'000'000, price.micros_per_hour / 1000 % 1000);
}

class Example {
  public:
    Example() {
        people_["sue"] = world_.rich("sue");
        add("A", usd(0, 40));
        add("B", usd(0, 60));
    }

    void act(const std::string& action) {
        if (action == "a minute passes") return pass_a_minute();
        std::istringstream words(action);
        std::string name, verb, last;
        words >> name >> verb;
        while (words >> last) {
        }
        if (verb == "is") return leave(name);
        const OrganizationId who = person(name);
        if (verb == "bids") orders_[name] = place(who, an_order().bid(money(last)).job("busybox", 5));
        if (verb == "orders")
            orders_[name] = place(who, an_order().price_max(money(last)).job("busybox", 5));
        if (verb == "cancels") world_.must<Order>(CancelOrder{orders_.at(name)}, World::by(who));
        if (verb == "raises") {
            const ledger::Price bid(money(last).count);
            world_.must<Order>(ChangeBid{orders_.at(name), bid}, World::by(who));
        }
        start_all();
    }

    std::string holder(const std::string& card_name) {
        const CardId card = cards_.at(card_name);
        const auto promised = world_.state().promised_to(card);
        for (const auto& [id, lease] : world_.state().table<Lease>()) {
            if (lease.released || lease.cards.front() != card) continue;
            const std::string name = name_of_person(lease.renter);
            if (!promised) return name + ' ' + text_of(lease.price);
            return name + " ends, then " + name_of_person(world_.order(*promised).organization);
        }
        return "free";
    }

    std::string pool() {
        REQUIRE(world_.state().spot_pools().size() == 1);
        const auto id = world_.state().spot_pools().begin()->second;
        return text_of(*world_.state().at<SpotPool>(id).price);
    }

  private:
    void add(const std::string& name, ledger::Micros floor) {
        const HostId host = world_.host(people_.at("sue"), a_host().name(name).cards(1));
        cards_[name] = world_.unlisted(host, 1).front();
        world_.listing(host, a_listing().ask(usd(1)).floor(floor));
    }
    OrganizationId person(const std::string& name) {
        if (!people_.contains(name)) people_[name] = world_.rich(name);
        return people_.at(name);
    }
    std::string name_of_person(OrganizationId id) { return world_.state().at<Organization>(id).name; }
    OrderId place(OrganizationId who, const PlaceOrder& order) { return world_.place(who, order).order.id; }
    std::vector<LeaseId> those(LeaseState state) {
        std::set<LeaseId> found;
        for (const auto& [id, lease] : world_.state().table<Lease>())
            if (lease.state == state) found.insert(id);
        return {found.begin(), found.end()};
    }
    void start_all() {
        for (const LeaseId id : those(LeaseState::allocated))
            world_.run(id);
    }
    void pass_a_minute() {
        world_.tick_after(minutes(1));
        for (const LeaseId id : those(LeaseState::running))
            world_.state_usage(id, world_.now() - *world_.lease(id).running_at);
        start_all();
    }
    /// The container that was told to stop has stopped, and everything of it is gone.
    void leave(const std::string& card_name) {
        for (const LeaseId id : those(LeaseState::running)) {
            if (world_.lease(id).cards.front() != cards_.at(card_name)) continue;
            AgentReport report = world_.report(id, AgentPhase::exited);
            report.exit_code = 143;
            report.stop = StopCause::wanted;
            REQUIRE(world_.tell(report) == "ok");
            CHECK(world_.phase(id) == "reclaiming outbid");
            world_.reported(id, AgentPhase::gone);
            break;
        }
        start_all();
    }

    World world_;
    std::map<std::string, OrganizationId> people_;
    std::map<std::string, CardId> cards_;
    std::map<std::string, OrderId> orders_;
};

}  // namespace

TEST_CASE("The example of SPOT.md is what happens") {
    const std::vector<Line> lines = read_example();
    CHECK(lines.size() == 19);
    Example example;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const Line& line = lines[i];
        INFO("line " << i + 1 << ": " << line.action);
        example.act(line.action);
        CHECK(example.holder("A") == line.a);
        CHECK(example.holder("B") == line.b);
        CHECK(example.pool() == line.pool);
    }
}
