#include "api/events.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "api/json_writer.hpp"
#include "store/row_reader.hpp"

namespace fallow::api {
namespace {

constexpr std::int64_t records_per_page = 5000;  // looked at, most of them by the database alone
constexpr std::int64_t records_per_read = 8;     // fetched at once: a record can be large
constexpr std::int64_t whole_record = INT64_MAX;
constexpr Millis resume_overlap = seconds(5);

/// The API's word for a row of a table.
std::string kind_of(const std::string& table) {
    static const std::map<std::string, std::string, std::less<>> kinds{
        {"organizations", "organization"},
        {"accounts", "account"},
        {"transfers", "transfer"},
        {"hosts", "host"},
        {"cards", "card"},
        {"listings", "listing"},
        {"orders", "order"},
        {"leases", "lease"},
        {"jobs", "job"},
        {"freezes", "freeze"},
        {"market_settings", "settings"},
        {"policies", "policy"},
        {"policy_approvals", "approval"},
        {"spot_pools", "spot_pool"},
        {"lease_segments", "lease_segment"},
        {"api_keys", "key"},
        {"enrollment_tokens", "enrollment_token"},
        {"saved_searches", "saved_search"},
        {"secrets", "secret"},
        {"agent_certificates", "agent_certificate"}};
    const auto at = kinds.find(table);
    return at != kinds.end() ? at->second : table;
}

std::optional<std::int64_t> parse_number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
    return value;
}

}  // namespace

std::string event_json(const Event& event) {
    JsonWriter json(512 + event.item.row.size());
    json.begin_object()
        .field("id", event.id)
        .field("type", event.item.event)
        .field("at", event.at)
        .field("actor", event.item.actor)
        .field("reason", event.item.reason);
    json.key("object")
        .begin_object()
        .field("kind", kind_of(event.item.table))
        .field("id", event.item.object_id)
        .end_object();
    json.key("data").raw(event.item.row).end_object();
    return json.take();
}

EventPage EventReader::read(const JournalPosition& after, std::size_t limit) {
    std::vector<Found> found;
    EventPage page{{}, after, false};
    const JournalPosition heads = head();
    JournalPosition looked;
    for (std::size_t stream = 0; stream < streams_.size(); ++stream)
        looked[stream] = collect(stream, after[stream], heads[stream].sequence, limit, found);
    // Each stream's records rise in time, so a prefix of the merged list is a prefix of each.
    std::ranges::stable_sort(found, {}, [](const Found& item) { return item.event.at; });
    page.has_more = found.size() > limit;
    if (!page.has_more) page.next = looked;
    for (std::size_t i = 0; i < found.size() && i < limit; ++i) {
        if (page.has_more) page.next[found[i].stream] = found[i].position;
        page.events.push_back(std::move(found[i].event));
    }
    for (std::size_t stream = 0; stream < streams_.size() && !page.has_more; ++stream)
        page.has_more = looked[stream].sequence < heads[stream].sequence;
    return page;
}

/// Prepared, like the heads: every stream looks after every batch.
StreamPosition EventReader::collect(std::size_t stream, StreamPosition position, std::int64_t newest,
                                    std::size_t limit, std::vector<Found>& found) {
    // One past the limit tells that there is more.
    const std::size_t wanted = found.size() + limit + 1;
    const std::int64_t last = std::min(newest, position.sequence + records_per_page);
    const std::string seen_by = audience_ ? audience_->text() : "";
    const auto next = [&] {
        return position.entry == whole_record ? position.sequence + 1 : position.sequence;
    };
    while (found.size() < wanted && next() <= last) {
        const auto rows = tx_.prepared(
            "journal_since",
            "SELECT seq, at, record FROM journal WHERE stream = $1 AND seq >= $2::bigint AND seq <= "
            "$3::bigint AND position($4 in record) > 0 ORDER BY seq LIMIT $5::bigint",
            store::Parameters{store::parameter_of(streams_[stream]), store::parameter_of(next()),
                              store::parameter_of(last), store::parameter_of(seen_by),
                              store::parameter_of(records_per_read)});
        for (const auto& row : rows) {
            const auto sequence = store::read_cell<std::int64_t>(row[0]);
            auto items = parse_journal_record(store::read_cell<std::string>(row[2]));
            for (std::size_t i = 0; i < items.size(); ++i) {
                const StreamPosition here{sequence, static_cast<std::int64_t>(i)};
                if (here <= position || !is_visible(items[i])) continue;
                found.push_back({here, stream,
                                 Event{fmt::format("{}-{}-{}", streams_[stream], sequence, i),
                                       store::read_cell<Time>(row[1]), std::move(items[i])}});
            }
            position = {sequence, whole_record};
        }
        if (std::ssize(rows) < records_per_read)
            return std::max(position, StreamPosition{last, whole_record});
    }
    return position;
}

bool EventReader::is_visible(const JournalItem& item) const {
    return !audience_ || std::ranges::find(item.organizations, *audience_) != item.organizations.end();
}

JournalPosition EventReader::head() {
    const auto rows =
        tx_.prepared("journal_heads",
                     "SELECT (SELECT coalesce(max(seq), 0) FROM journal WHERE stream = $1), "
                     "(SELECT coalesce(max(seq), 0) FROM journal WHERE stream = $2)",
                     store::Parameters{store::parameter_of(streams_[0]), store::parameter_of(streams_[1])});
    return {StreamPosition{store::read_cell<std::int64_t>(rows[0][0]), whole_record},
            StreamPosition{store::read_cell<std::int64_t>(rows[0][1]), whole_record}};
}

Result<JournalPosition> EventReader::resume(std::string_view event_id) {
    const std::size_t second = event_id.rfind('-');
    const std::size_t first =
        second == std::string_view::npos || second == 0 ? second : event_id.rfind('-', second - 1);
    const Error unknown = refuse(ErrorCode::invalid_cursor,
                                 "Give the id of an event, as the stream sent it.", "header:Last-Event-ID");
    if (first == std::string_view::npos || second == 0) return unknown;
    const auto stream = std::ranges::find(streams_, event_id.substr(0, first));
    const auto sequence = parse_number(event_id.substr(first + 1, second - first - 1));
    const auto entry = parse_number(event_id.substr(second + 1));
    if (stream == streams_.end() || !sequence || !entry) return unknown;

    const auto own = static_cast<std::size_t>(stream - streams_.begin());
    const auto record =
        tx_.query("SELECT at FROM journal WHERE stream = $1 AND seq = $2::bigint", *stream, *sequence);
    if (record.empty()) return unknown;
    const Time at = store::read_cell<Time>(record[0][0]);
    const auto before =
        tx_.query("SELECT seq FROM journal WHERE stream = $1 AND at < $2::bigint ORDER BY seq DESC LIMIT 1",
                  streams_[1 - own], at - resume_overlap);
    JournalPosition position;
    position[own] = {*sequence, *entry};
    position[1 - own] = {before.empty() ? 0 : store::read_cell<std::int64_t>(before[0][0]), whole_record};
    return position;
}

}  // namespace fallow::api
