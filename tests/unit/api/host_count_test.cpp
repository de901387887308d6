// How many hosts are online, by the rows that pass on their way to the search index.
#include "api/host_count.hpp"

#include <catch2/catch.hpp>
#include <utility>
#include <vector>

#include "market/host.hpp"
#include "market/state.hpp"

using namespace fallow;
using namespace fallow::api;
using market::HostState;

namespace {

class Next : public engine::CommittedView {
  public:
    void reset(const market::State&, std::int64_t sequence) override { sequence_ = sequence; }
    void apply(std::int64_t sequence, std::vector<engine::CommittedRow> rows) override {
        sequence_ = sequence;
        rows_seen += rows.size();
    }
    [[nodiscard]] std::int64_t sequence() const override { return sequence_; }

    std::size_t rows_seen = 0;

  private:
    std::int64_t sequence_ = 0;
};

engine::CommittedRow row_of(std::uint64_t number, HostState state, bool is_removed = false) {
    market::Host host;
    host.id = HostId(RawId{1, number});
    host.state = state;
    if (state == HostState::unreachable) host.unreachable_since = Time(1);
    return {market::AnyRow(std::move(host)), is_removed};
}

}  // namespace

TEST_CASE("Hosts are counted while they are believed to be online") {
    Next next;
    HostCount count(next);
    CHECK(count.online() == 0);
    count.apply(1, {row_of(1, HostState::enrolled), row_of(2, HostState::online)});
    CHECK(count.online() == 1);
    count.apply(2, {row_of(1, HostState::online), row_of(2, HostState::online)});
    CHECK(count.online() == 2);
    count.apply(3, {row_of(1, HostState::unreachable), row_of(2, HostState::draining)});
    CHECK(count.online() == 1);
    engine::CommittedRow silent = row_of(2, HostState::draining);
    std::get<market::Host>(silent.row).unreachable_since = Time(1);
    count.apply(4, {std::move(silent)});
    CHECK(count.online() == 0);
    count.apply(5, {row_of(3, HostState::online), row_of(4, HostState::online)});
    count.apply(6, {row_of(3, HostState::retired), row_of(4, HostState::online, true)});
    CHECK(count.online() == 0);
    count.apply(7, {row_of(5, HostState::online)});
    CHECK(next.rows_seen == 12);
    CHECK(count.sequence() == 7);
    count.reset(market::State(market::Rules()), 9);
    CHECK(count.online() == 0);
    CHECK(count.sequence() == 9);
}
