#include "accounts/telemetry.hpp"

#include <algorithm>
#include <set>
#include <string>

namespace fallow::accounts {
namespace {

Error bad(std::size_t card, std::string_view field, std::string detail) {
    return refuse(ErrorCode::invalid_field, std::move(detail),
                  "/cards/" + std::to_string(card) + "/" + std::string(field));
}

Status check_minutes(const CardTelemetry& given, std::size_t index, const MeasuredSpan& span, Time now) {
    std::set<Time> seen;
    for (std::size_t i = 0; i < given.minutes.size(); ++i) {
        const Time at = given.minutes[i].at;
        const std::string field = "minutes/" + std::to_string(i) + "/at";
        if (minute_of(at) != at) return bad(index, field, "A minute begins on a whole one.");
        if (!seen.insert(at).second) return bad(index, field, "Name each minute once.");
        if (at < minute_of(span.from - telemetry_clock_slack) || at > span.until + telemetry_clock_slack)
            return bad(index, field, "The lease did not run at that minute.");
        if (at < now - telemetry_late_max)
            return bad(index, field, "What is older than a day is not taken any more.");
    }
    return Done{};
}

}  // namespace

Status check_telemetry(const std::vector<CardTelemetry>& cards, const std::vector<CardId>& of_lease,
                       const MeasuredSpan& span, Time now) {
    std::set<CardId> seen;
    std::size_t minutes = 0;
    for (std::size_t i = 0; i < cards.size(); ++i) {
        const CardId card = cards[i].card.card;
        if (std::ranges::find(of_lease, card) == of_lease.end())
            return bad(i, "card_id", "The lease has no such card.");
        if (!seen.insert(card).second) return bad(i, "card_id", "Name each card once.");
        minutes += cards[i].minutes.size();
        if (minutes > telemetry_minutes_per_request_max)
            return bad(i, "minutes",
                       "Send at most " + std::to_string(telemetry_minutes_per_request_max) +
                           " minutes at once, of all cards together.");
        if (const Status good = check_minutes(cards[i], i, span, now); !good) return good;
    }
    return Done{};
}

Millis telemetry_history_max(std::int64_t cards) {
    const std::int64_t minutes = telemetry_minutes_per_reply_max / std::max<std::int64_t>(cards, 1);
    return std::min(telemetry_kept, Millis(minutes * telemetry_step.count));
}

Millis telemetry_step_for(const MeasuredSpan& span, std::int64_t points, std::int64_t cards) {
    const std::int64_t each =
        std::clamp<std::int64_t>(telemetry_points_per_reply_max / std::max<std::int64_t>(cards, 1), 1,
                                 std::max<std::int64_t>(points, 1));
    const std::int64_t minutes =
        std::max<std::int64_t>(0, (span.until - minute_of(span.from)).count) / telemetry_step.count + 1;
    return Millis((minutes + each - 1) / each * telemetry_step.count);
}

}  // namespace fallow::accounts
