#include "telemetry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fallow/human.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "chart.hpp"
#include "commands.hpp"
#include "verbs.hpp"

namespace fallow::cli {
namespace {

constexpr std::size_t spark_columns = 40;
constexpr std::int64_t points_wanted = 120;

std::string percent(std::int64_t thousandths) {
    return fmt::format("{}.{} %", thousandths / 10, thousandths % 10);
}

std::string watts(std::int64_t milliwatts) {
    return fmt::format("{}.{} W", milliwatts / 1000, milliwatts % 1000 / 100);
}

std::string degrees(std::int64_t celsius) {
    return fmt::format("{} °C", celsius);
}

/// One of the things that are measured, and how it is shown.
struct Measure {
    const char* name;
    std::optional<UseSummary> CardTelemetry::*summary;
    std::optional<UseLevel> UsePoint::*level;
    std::string (*text)(std::int64_t);
    /// What a full bar stands for; nothing: the highest that there was.
    std::function<std::optional<std::int64_t>(const CardTelemetry&)> full;
};

const std::vector<Measure>& measures() {
    static const std::vector<Measure> all = {
        {"utilisation", &CardTelemetry::utilization_thousandths, &UsePoint::utilization_thousandths,
         percent, [](const CardTelemetry&) { return std::optional<std::int64_t>(1000); }},
        {"memory", &CardTelemetry::memory_used_bytes, &UsePoint::memory_used_bytes, format_size,
         [](const CardTelemetry& card) { return card.memory_bytes; }},
        {"power", &CardTelemetry::power_milliwatts, &UsePoint::power_milliwatts, watts,
         [](const CardTelemetry&) { return std::optional<std::int64_t>(); }},
        {"temperature", &CardTelemetry::temperature_celsius, &UsePoint::temperature_celsius, degrees,
         [](const CardTelemetry&) { return std::optional<std::int64_t>(100); }},
    };
    return all;
}

/// Placed on the time axis, so that what was not measured shows as a gap.
std::string spark(const LeaseTelemetry& telemetry, const CardTelemetry& card, const Measure& measure) {
    std::vector<std::optional<std::int64_t>> values;
    const std::int64_t step_s = std::max<std::int64_t>(1, telemetry.step_ms / 1000);
    const std::int64_t first_s = card.points.empty() ? 0 : seconds_of(card.points.front().at);
    std::int64_t highest = 1;
    for (const UsePoint& point : card.points) {
        const std::int64_t place = (seconds_of(point.at) - first_s) / step_s;
        if (place < 0 || place > points_wanted * 2) continue;
        if (std::ssize(values) <= place) values.resize(static_cast<std::size_t>(place) + 1);
        const std::optional<UseLevel>& level = point.*measure.level;
        if (!level) continue;
        values[static_cast<std::size_t>(place)] = level->mean;
        highest = std::max(highest, level->mean);
    }
    return bars(squeezed(values, spark_columns), 0, measure.full(card).value_or(highest));
}

void print_card(const LeaseTelemetry& telemetry, const CardTelemetry& card) {
    print_text(
        fmt::format("\n{}  {} minutes from {}{}{}\n", printable(card.card_id), card.minutes,
                    card.source == "nvml" ? "the card's driver" : "the container's own processes",
                    card.memory_bytes ? ", memory " + format_size(*card.memory_bytes) : "",
                    card.shared ? "; other leases had a part of it: figures are the whole card's" : ""));
    std::vector<std::vector<std::string>> rows = {{"", "mean", "p50", "p95", "max", "over time"}};
    for (const Measure& measure : measures()) {
        const std::optional<UseSummary>& summary = card.*measure.summary;
        if (!summary) continue;
        rows.push_back({measure.name, measure.text(summary->mean), measure.text(summary->p50),
                        measure.text(summary->p95), measure.text(summary->max),
                        spark(telemetry, card, measure)});
    }
    print_table(rows);
}

struct StatsArguments {
    std::string lease_id;
    std::optional<std::int64_t> history_ms;
    bool as_operator = false;
};

void print_stats(Context& context, const StatsArguments& arguments) {
    const TelemetryQuery query{arguments.history_ms, points_wanted};
    const LeaseTelemetry telemetry = arguments.as_operator
                                         ? context.client().any_lease_telemetry(arguments.lease_id, query)
                                         : context.client().lease_telemetry(arguments.lease_id, query);
    if (context.format() == Format::json) return print_json(to_json(telemetry));
    print_fields({{"lease", telemetry.lease_id},
                  {"job", or_dash(telemetry.job_id)},
                  {"of a card", format_thousandths(telemetry.thousandths)},
                  {"running", format_duration(telemetry.running_ms)},
                  {"shown", telemetry.from + " to " + telemetry.until + " by " +
                                format_duration(telemetry.step_ms)}});
    for (const CardTelemetry& card : telemetry.cards)
        print_card(telemetry, card);
    if (telemetry.cards.empty())
        Context::message("nothing of this lease was measured, or is kept any more");
    // What was said above is not said again as the reason why there is no hint.
    const bool is_all_said = telemetry.cards.empty() && telemetry.efficiency &&
                             telemetry.efficiency->verdict == "nothing_measured";
    if (!telemetry.efficiency || is_all_said) return;
    print_text("\n");
    print_fields(efficiency_lines(*telemetry.efficiency));
}

/// Why there is no hint, as the server's verdicts are called.
std::string no_hint(const std::string& verdict) {
    if (verdict == "nothing_measured") return "none: nothing was measured";
    if (verdict == "shared_card") return "none: other leases had a part of the card at the time";
    if (verdict == "too_little_measured")
        return "none yet: it takes 10 measured minutes, and half of the running time";
    if (verdict == "not_all_measured") return "none: memory or utilisation was not measured";
    if (verdict == "well_used") return "none: the card fits";
    return "none: " + verdict;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> efficiency_lines(const Efficiency& efficiency) {
    return {{"used of what was paid",
             efficiency.used_thousandths ? percent(*efficiency.used_thousandths) : std::string("-")},
            {"hint", efficiency.hint ? efficiency.hint->text : no_hint(efficiency.verdict)}};
}

void add_lease_stats(CLI::App& lease, Context& context) {
    auto& command = *lease.add_subcommand(
        "stats",
        "Show what a lease used of its cards, minute by minute, and whether less would have done. A seller "
        "sees utilisation, power and temperature; kept for 30 days");
    const auto arguments = std::make_shared<StatsArguments>();
    add_id(command, arguments->lease_id, "lease");
    add_duration(command, "--history", arguments->history_ms, "Only the last part of its time");
    command.add_flag("--as-operator", arguments->as_operator, "Of anybody's lease (admin)");
    on_run(context, command, arguments, &print_stats);
}

}  // namespace fallow::cli
