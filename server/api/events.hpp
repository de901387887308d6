// The journal as events: what an organization may see of it, or all of it for the operator. Two streams are
// merged by time: the market's, and "accounts" for what is not market.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "store/transaction.hpp"

namespace fallow::api {

/// After entry `entry` of record `sequence`.
struct StreamPosition {
    std::int64_t sequence = 0;
    std::int64_t entry = -1;
    friend auto operator<=>(const StreamPosition&, const StreamPosition&) = default;
};
/// Of the market's stream, then of "accounts".
using JournalPosition = std::array<StreamPosition, 2>;

/// One entry of a journal record.
struct JournalItem {
    std::string table;
    std::string object_id;
    std::string event;
    std::optional<std::string> reason;
    std::string actor;
    std::vector<OrganizationId> organizations;
    std::string row;  ///< JSON
};
/// Reads the events of {"v":…,"entries":[…]}, version 1 or 2; throws std::runtime_error on anything
/// else, which an operator must see.
[[nodiscard]] std::vector<JournalItem> parse_journal_record(std::string_view record);

struct Event {
    std::string id;  ///< "<stream>-<sequence>-<entry>"
    Time at;
    JournalItem item;
};
/// The Event of schema/openapi.yaml.
[[nodiscard]] std::string event_json(const Event& event);

struct EventPage {
    std::vector<Event> events;
    JournalPosition next;
    bool has_more = false;  ///< there was more to look at, though perhaps nothing that may be seen
};

class EventReader {
  public:
    /// Nobody in particular: the operator, who sees all. The transaction's role reads the journal.
    EventReader(store::Transaction& tx, std::string market, std::optional<OrganizationId> audience)
        : tx_(tx), streams_{std::move(market), "accounts"}, audience_(audience) {}

    /// Oldest first. Looks at a bounded number of records, so a page may be short although more follows.
    [[nodiscard]] EventPage read(const JournalPosition& after, std::size_t limit);
    /// After everything that is there.
    [[nodiscard]] JournalPosition head();
    /// After the event with this id. What the other stream recorded within a few seconds of it may come
    /// once more.
    [[nodiscard]] Result<JournalPosition> resume(std::string_view event_id);

  private:
    struct Found {
        StreamPosition position;
        std::size_t stream = 0;
        Event event;
    };
    /// What may be seen after `position` up to the record `newest`, and how far was looked.
    StreamPosition collect(std::size_t stream, StreamPosition position, std::int64_t newest,
                           std::size_t limit, std::vector<Found>& found);
    bool is_visible(const JournalItem& item) const;

    store::Transaction& tx_;
    const std::array<std::string, 2> streams_;
    const std::optional<OrganizationId> audience_;
};

}  // namespace fallow::api
