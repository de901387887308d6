#include "api/identity_watch.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <variant>

#include "accounts/journal.hpp"
#include "market/host.hpp"
#include "market/organization.hpp"

namespace fallow::api {
namespace {

/// More at once are not read, but taken for a change.
constexpr std::int64_t records_max = 64;

/// What makes or adds something that nobody has looked up yet, or is no identity at all. Anything else in
/// the stream, and whatever cannot be read, counts as a change.
constexpr std::array<std::string_view, 7> harmless = {
    "certificate.issued",   "token.created", "key.created",   "saved_search.created",
    "saved_search.deleted", "secret.set",    "secret.deleted"};

bool is_harmless(const std::string& record) {
    const nlohmann::json parsed = nlohmann::json::parse(record, nullptr, false);
    if (!parsed.is_object() || !parsed.contains("entries") || !parsed["entries"].is_array()) return false;
    const auto& entries = parsed["entries"];
    return std::all_of(entries.begin(), entries.end(), [](const nlohmann::json& entry) {
        const std::string event = entry.is_object() ? entry.value("event", "") : "";
        return std::find(harmless.begin(), harmless.end(), event) != harmless.end();
    });
}

bool decides_who(const engine::CommittedRow& committed) {
    if (std::holds_alternative<market::Organization>(committed.row)) return true;
    const auto* host = std::get_if<market::Host>(&committed.row);
    return host != nullptr && (committed.is_removed || host->state == market::HostState::retired);
}

}  // namespace

void IdentityWatch::reset(const market::State& state, std::int64_t sequence) {
    changed();
    next_.reset(state, sequence);
}

void IdentityWatch::apply(std::int64_t sequence, std::vector<engine::CommittedRow> rows) {
    if (std::any_of(rows.begin(), rows.end(), decides_who)) changed();
    next_.apply(sequence, std::move(rows));
}

void IdentityWatch::read_accounts(engine::JournalSource& source, const std::string& market) try {
    const std::int64_t head = source.leader(market).accounts_sequence;
    const std::optional<std::int64_t> seen = std::exchange(accounts_seen_, head);
    if (seen && *seen == head) return;
    if (!seen || head < *seen || head - *seen > records_max) return changed();
    const auto records = source.read(std::string(accounts::journal_stream), *seen, records_max);
    const bool is_whole = !records.empty() && static_cast<std::int64_t>(records.size()) >= head - *seen;
    if (is_whole) accounts_seen_ = records.back().sequence;
    const bool all_harmless = std::all_of(records.begin(), records.end(),
                                          [](const auto& each) { return is_harmless(each.record); });
    if (!is_whole || !all_harmless) changed();
} catch (...) {
    changed();
    throw;
}

/// What this look has seen is at least as new as the end of the one before.
void IdentityWatch::looked() {
    const Clock::time_point now = Clock::now();
    if (last_look_ != Clock::time_point()) confirmed_at_ = last_look_.time_since_epoch();
    last_look_ = now;
}

}  // namespace fallow::api
