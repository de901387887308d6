// A market under test. Every command that goes through it is also decided a second time (the same entries
// must come out), undone (the state must be as before), written to a database in memory (the rows must be
// the state's) and audited. So each test of one rule is a test of these as well.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "market/decide.hpp"
#include "support/market_builders.hpp"
#include "support/memory_database.hpp"

namespace Catch {
template <>
struct StringMaker<fallow::Time> {
    static std::string convert(fallow::Time time) { return fallow::to_rfc3339(time); }
};
template <>
struct StringMaker<fallow::Millis> {
    static std::string convert(fallow::Millis span) { return std::to_string(span.count) + " ms"; }
};
template <>
struct StringMaker<fallow::ledger::Micros> {
    static std::string convert(fallow::ledger::Micros amount) {
        return std::to_string(amount.count) + " micros";
    }
};
template <fallow::NamedEnum E>
struct StringMaker<E> {
    static std::string convert(E value) { return std::string(fallow::name_of(value)); }
};
template <class T>
struct StringMaker<std::optional<T>> {
    static std::string convert(const std::optional<T>& value) {
        return value ? StringMaker<T>::convert(*value) : "none";
    }
};
template <class Tag>
struct StringMaker<fallow::Id<Tag>> {
    static std::string convert(const fallow::Id<Tag>& id) { return id.text(); }
};
}  // namespace Catch

namespace fallow::testing {

/// Sums and bounds that hold after every command. Empty when all do.
[[nodiscard]] std::string audit(const market::State& state);

class World {
  public:
    explicit World(market::Rules rules = {});

    [[nodiscard]] const market::State& state() const { return state_; }
    [[nodiscard]] const MemoryDatabase& database() const { return database_; }
    [[nodiscard]] Time now() const { return now_; }
    void pass(Millis span) { now_ = now_ + span; }
    void set_epoch(std::int64_t epoch) { epoch_ = epoch; }
    /// How many of the next commands skip the checks that cost the square of the state's size.
    void check_every(int steps) { check_every_ = steps; }

    static market::Caller admin() { return {OrganizationId{}, true, std::nullopt, "key_admin"}; }
    static market::Caller by(OrganizationId organization);
    [[nodiscard]] market::Caller agent_of(HostId host) const;

    market::Decision decide(const market::Command& command, const market::Caller& caller);

    /// "ok", or the name of the refusal's code.
    std::string attempt(const market::Command& command, const market::Caller& caller);

    /// The outcome of a command that is expected to succeed.
    template <class Row>
    Row must(const market::Command& command, const market::Caller& caller) {
        market::Decision decision = decide(command, caller);
        if (!decision.outcome) FAIL("refused: " << decision.outcome.error().detail);
        REQUIRE(std::holds_alternative<Row>(*decision.outcome));
        return std::get<Row>(*std::move(decision.outcome));
    }

    // --- who and what there is

    OrganizationId organization(const std::string& name, const std::string& country = "DE");
    OrganizationId rich(const std::string& name);
    void deposit(OrganizationId organization, ledger::Micros amount);
    void set_fee(std::int32_t ppm);

    /// Enrolled only.
    HostId enroll(OrganizationId owner, const HostBuilder& builder = {});
    /// Enrolled, its cards reported and measured, and online.
    HostId host(OrganizationId owner, const HostBuilder& builder = {});
    std::vector<market::Card> inventory(HostId host, const HostBuilder& builder);
    void lost(HostId host);
    void back(HostId host);
    void tick();
    void tick_after(Millis span);
    static market::Caller system() { return {OrganizationId{}, true, std::nullopt, "system"}; }

    /// The host's cards that are part of no listing, by index.
    [[nodiscard]] std::vector<CardId> unlisted(HostId host, std::optional<int> count) const;
    ListingId listing(HostId host, const ListingBuilder& builder = {});

    market::OrderPlaced place(OrganizationId renter, const market::PlaceOrder& order);
    /// An order that is filled at once.
    LeaseId rent(OrganizationId renter, const market::PlaceOrder& order);

    // --- what agents report

    [[nodiscard]] market::AgentReport report(LeaseId lease, market::AgentPhase phase) const;
    std::string tell(const market::AgentReport& report);
    void reported(LeaseId lease, market::AgentPhase phase);
    void exited(LeaseId lease, std::int32_t exit_code);
    /// Accepted and running.
    void run(LeaseId lease);
    [[nodiscard]] market::ReportUsage usage(LeaseId id, Millis running,
                                            std::optional<std::int64_t> egress_bytes = {}) const;
    /// States a cumulative running time; what of it was accepted.
    Millis state_usage(LeaseId lease, Millis running, std::optional<std::int64_t> egress_bytes = {});

    // --- what has become of it

    [[nodiscard]] const market::Lease& lease(LeaseId id) const { return state_.at<market::Lease>(id); }
    [[nodiscard]] const market::Order& order(OrderId id) const { return state_.at<market::Order>(id); }
    [[nodiscard]] const market::Job& job(JobId id) const { return state_.at<market::Job>(id); }
    [[nodiscard]] const market::Job& job_of(LeaseId id) const { return job(*lease(id).job); }
    [[nodiscard]] const market::Listing& listing_row(ListingId id) const;
    [[nodiscard]] const market::Host& host_row(HostId id) const { return state_.at<market::Host>(id); }
    [[nodiscard]] ledger::Micros balance(OrganizationId organization, ledger::AccountKind kind) const;
    /// "running", or "ended host_lost", "reclaiming completed".
    [[nodiscard]] std::string phase(LeaseId id) const;
    /// Names of the events of the last command, in their order.
    [[nodiscard]] std::string events() const;
    [[nodiscard]] const std::vector<market::Entry>& last_entries() const { return last_entries_; }

    /// Everything that has happened so far, as one batch would write it.
    [[nodiscard]] market::Changes all_changes() const { return market::coalesce(all_entries_); }
    using Listener = std::function<void(const market::Command&, const market::Caller&, std::uint64_t seed)>;
    /// Told of every command with the seed of its ids, after it was decided.
    void on_decided(Listener listener) { on_decided_ = std::move(listener); }

    /// What the engine does when the entries of a command are durable.
    void forget_final_rows();
    /// As after a take-over: the state is what a new leader loads.
    void reload();

  private:
    static std::string text_of(const std::vector<market::Entry>& entries);
    static void check_decision(const market::State& before, const market::Command& command,
                               const market::Context& context, const market::Decision& decision);
    void check_state() const;
    /// Every row of the state is in the database as it is here.
    [[nodiscard]] std::string missing_rows() const;

    MemoryDatabase database_;
    market::State state_;
    Time now_{1'800'000'000'000};
    std::uint64_t seed_ = 0;
    std::int64_t epoch_ = 1;
    int check_every_ = 1;
    std::vector<market::Entry> last_entries_;
    std::vector<market::Entry> all_entries_;
    Listener on_decided_;
};

}  // namespace fallow::testing
