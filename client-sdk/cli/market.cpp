#include <fmt/format.h>

#include <algorithm>
#include <fallow/human.hpp>
#include <map>
#include <memory>

#include "chart.hpp"
#include "commands.hpp"
#include "verbs.hpp"

namespace fallow::cli {
namespace {

constexpr std::size_t chart_columns = 84;  // two hours each in a week
constexpr std::int64_t gib = 1LL << 30;

std::string price(const std::optional<std::int64_t>& micros) {
    return micros ? format_usd(*micros) : "-";
}

std::string percent(const std::optional<std::int64_t>& ppm) {
    return ppm ? fmt::format("{}.{} %", *ppm / 10'000, *ppm % 10'000 / 1000) : "-";
}

std::string cards(std::int64_t thousandths) {
    return thousandths % 1000 == 0 ? std::to_string(thousandths / 1000)
                                   : fmt::format("{}.{:03}", thousandths / 1000, thousandths % 1000);
}

Columns<PriceSummary> price_list() {
    return {
        {"model", [](const PriceSummary& row) { return row.model; }},
        {"vram", [](const PriceSummary& row) { return fmt::format("{} GiB", row.vram_gib); }},
        {"ask/h", [](const PriceSummary& row) { return price(row.best_ask_micros_per_hour); }},
        {"last", [](const PriceSummary& row) { return price(row.close_micros_per_hour); }},
        {"low", [](const PriceSummary& row) { return price(row.low_micros_per_hour); }},
        {"high", [](const PriceSummary& row) { return price(row.high_micros_per_hour); }},
        {"weighted", [](const PriceSummary& row) { return price(row.weighted_micros_per_hour); }},
        {"trades", [](const PriceSummary& row) { return std::to_string(row.trades); }},
        {"cards", [](const PriceSummary& row) { return cards(row.thousandths); }},
        {"used", [](const PriceSummary& row) { return percent(row.utilisation_ppm); }},
    };
}

Columns<Trade> trade_list() {
    return {
        {"at", [](const Trade& trade) { return trade.at; }},
        {"price/h", [](const Trade& trade) { return format_usd(trade.price_micros_per_hour); }},
        {"cards", [](const Trade& trade) { return std::to_string(trade.cards); }},
        {"of a card", [](const Trade& trade) { return cards(trade.thousandths); }},
    };
}

/// Milliseconds between two candles of a span.
std::int64_t length_of(const std::string& span) {
    if (span == "minute") return 60'000;
    return span == "day" ? 86'400'000 : 3'600'000;
}

/// Places the candles on the time axis, oldest first, so that a span without one shows as a gap.
template <class Pick>
std::vector<std::optional<std::int64_t>> series(const PriceHistory& history, Pick pick) {
    std::map<std::string, const PriceCandle*> by_start;
    for (const PriceCandle& candle : history.candles)
        by_start[candle.start_at] = &candle;
    std::vector<std::optional<std::int64_t>> values;
    if (by_start.empty()) return values;
    std::int64_t previous = 0;
    for (const auto& [start, candle] : by_start) {
        const std::int64_t now = seconds_of(start) * 1000;
        for (std::int64_t gap = previous + length_of(history.span); !values.empty() && gap < now;
             gap += length_of(history.span))
            values.emplace_back();
        values.push_back(pick(*candle));
        previous = now;
    }
    return squeezed(values, chart_columns);
}

template <class Pick>
void draw(const PriceHistory& history, const std::string& title, Pick pick,
          const std::function<std::string(std::int64_t)>& text, bool from_zero) {
    const auto values = series(history, pick);
    std::optional<std::int64_t> low;
    std::optional<std::int64_t> high;
    for (const auto& value : values) {
        if (!value) continue;
        low = std::min(low.value_or(*value), *value);
        high = std::max(high.value_or(*value), *value);
    }
    if (!low) return;
    if (from_zero) low = 0;
    print_text(
        fmt::format("{:<12} {} {} to {}\n", title, bars(values, *low, *high), text(*low), text(*high)));
}

void print_chart(const PriceHistory& history) {
    print_text(fmt::format(
        "{} {} GiB, {} by the {}\nask {}  last {}  weighted {}  {} to {}  {} trades of {} cards  used {}\n",
        history.model, history.vram_gib, format_duration(history.history_ms), history.span,
        price(history.best_ask_micros_per_hour), price(history.close_micros_per_hour),
        price(history.weighted_micros_per_hour), price(history.low_micros_per_hour),
        price(history.high_micros_per_hour), history.trades, cards(history.thousandths),
        percent(history.utilisation_ppm)));
    draw(
        history, "price/h", [](const PriceCandle& candle) { return candle.weighted_micros_per_hour; },
        [](std::int64_t value) { return format_usd(value); }, false);
    draw(
        history, "cards", [](const PriceCandle& candle) { return std::optional(candle.thousandths); },
        [](std::int64_t value) { return cards(value); }, true);
    draw(
        history, "used", [](const PriceCandle& candle) { return candle.utilisation_ppm; },
        [](std::int64_t value) { return percent(value); }, true);
    for (const PriceLevel& level : history.depth)
        print_text(fmt::format("{:<12} {} in {} listing{}\n", format_usd(level.ask_micros_per_hour),
                               cards(level.thousandths), level.listings, level.listings == 1 ? "" : "s"));
}

/// "h100" stands for every model of the catalog whose name goes on from there with a hyphen.
std::vector<std::string> models_named(Client& client, const std::string& name) {
    std::vector<std::string> models;
    for (const CardModel& model :
         every<CardModel>([&](const PageRequest& page) { return client.catalog({}, page); })) {
        if (model.model == name) return {name};
        if (model.model.starts_with(name + "-")) models.push_back(model.model);
    }
    if (models.empty()) throw CommandFailed("the catalog has no model " + name);
    return models;
}

struct PriceArguments {
    std::string model;
    std::optional<std::int64_t> vram_bytes;
    std::optional<std::int64_t> history_ms;
    std::string span = "hour";
};

std::optional<std::int64_t> whole_gib(const std::optional<std::int64_t>& bytes) {
    return bytes ? std::optional((*bytes + gib - 1) / gib) : std::nullopt;
}

void show_price(Context& context, const PriceArguments& arguments) {
    const PriceQuery query{whole_gib(arguments.vram_bytes), arguments.span, arguments.history_ms};
    std::string array = "[";
    const auto models = models_named(context.client(), arguments.model);
    for (const std::string& model : models) {
        const PriceHistory history = context.client().price_history(model, query);
        if (context.format() == Format::json) {
            array += (array.size() == 1 ? "" : ",") + to_json(history);
            continue;
        }
        const bool is_empty = history.candles.empty() && history.depth.empty();
        if (models.size() == 1 || !is_empty) print_chart(history);
    }
    if (context.format() == Format::json) print_json(array + "]");
}

void print_earning(const std::string& name, const Earning& earning) {
    print_text(
        fmt::format("{:<10} {:>12} {:>9} {:>12} {:>14}  {}\n", name,
                    format_usd(earning.price_micros_per_hour), percent(earning.utilisation_ppm),
                    format_usd(earning.net_micros_per_hour), format_usd(earning.net_micros_per_month),
                    earning.break_even_hours ? fmt::format("{} days", (*earning.break_even_hours + 23) / 24)
                                             : "never"));
}

void show_outlook(Context& context, const OutlookQuery& query) {
    const Outlook outlook = context.client().outlook(query);
    if (context.format() == Format::json) return print_json(to_json(outlook));
    print_text(fmt::format("{} {} GiB over {}: {} trades in {} days\n", outlook.model, outlook.vram_gib,
                           format_duration(outlook.history_ms), outlook.trades, outlook.days));
    if (!outlook.expected || !outlook.low || !outlook.high)
        throw CommandFailed("there is neither a trade nor an offer to go by");
    if (outlook.price_from == "asks")
        Context::message("nothing was traded: the price is the last best ask");
    print_text(fmt::format("{:<10} {:>12} {:>9} {:>12} {:>14}  earns {} in\n", "", "price/h", "used",
                           "net/h", "net/month", format_usd(outlook.resale_micros)));
    print_earning("low", *outlook.low);
    print_earning("expected", *outlook.expected);
    print_earning("high", *outlook.high);
    Context::message(fmt::format(
        "net of a fee of {} and {} W ({}) at {} a kWh while leased; low and high are the worst and the "
        "best "
        "day",
        format_ppm(outlook.fee_ppm), outlook.watts,
        outlook.watts_from == "given" ? "as given" : "the catalog's limit; measure it and give --watts",
        format_usd(outlook.power_price_micros_per_kwh)));
}

void add_price(CLI::App& market, Context& context) {
    auto& command = *market.add_subcommand("price", "Draw what a model costs and how much of it is used");
    const auto arguments = std::make_shared<PriceArguments>();
    command.add_option("model", arguments->model, "Of the catalog, like rtx-4090d; h100 is every h100-…")
        ->required();
    add_size(command, "--vram", arguments->vram_bytes,
             "The memory of a modified card; the default is stock");
    add_duration(command, "--history", arguments->history_ms, "How far back; the default is 7d");
    command.add_option("--span", arguments->span, "minute, hour or day")
        ->check(CLI::IsMember({"minute", "hour", "day"}));
    on_run(context, command, arguments, &show_price);
}

struct TradesArguments : ListArguments {
    std::string model;
    std::optional<std::int64_t> vram_bytes;
};

void add_trades(CLI::App& market, Context& context) {
    auto& command = *market.add_subcommand("trades", "List what was paid in the last day, newest first");
    const auto arguments = std::make_shared<TradesArguments>();
    command.add_option("model", arguments->model, "Of the catalog")->required();
    add_size(command, "--vram", arguments->vram_bytes,
             "The memory of a modified card; the default is stock");
    add_list_options(command, *arguments);
    on_run(context, command, arguments, [](Context& with, const TradesArguments& given) {
        print_list<Trade>(
            with, given,
            [&](const PageRequest& page) {
                return with.client().trades(given.model, whole_gib(given.vram_bytes), page);
            },
            trade_list());
    });
}

struct OutlookArguments {
    OutlookQuery query;
    std::optional<std::int64_t> vram_bytes;
};

void add_outlook(CLI::App& market, Context& context) {
    auto& command = *market.add_subcommand(
        "outlook", "Say what a card can be expected to earn, against its resale price");
    const auto arguments = std::make_shared<OutlookArguments>();
    command.add_option("--model", arguments->query.model, "Of the catalog")->required();
    add_size(command, "--vram", arguments->vram_bytes,
             "The memory of a modified card; the default is stock");
    add_money(command, "--resale", arguments->query.resale_micros, "What it could be sold for")->required();
    add_money(command, "--power-price", arguments->query.power_price_micros_per_kwh,
              "Of a kWh; without it power is free");
    command.add_option("--watts", arguments->query.watts,
                       "What it draws at work, as measured; the default is the catalog's limit");
    add_duration(command, "--history", arguments->query.history_ms, "How far back; the default is 7d");
    on_run(context, command, arguments, [](Context& with, const OutlookArguments& given) {
        OutlookQuery query = given.query;
        query.vram_gib = whole_gib(given.vram_bytes);
        show_outlook(with, query);
    });
}

}  // namespace

void add_market_commands(CLI::App& app, Context& context) {
    CLI::App& market = add_noun(app, "market", "What cards cost, and what they earn");
    add_list<PriceSummary>(market, context, "prices", "List the last day's prices of all models",
                           &Client::prices, &price_list);
    add_price(market, context);
    add_trades(market, context);
    add_outlook(market, context);
}

}  // namespace fallow::cli
