#include <fallow/human.hpp>
#include <memory>

#include "commands.hpp"
#include "verbs.hpp"

namespace fallow::cli {
namespace {

std::string price_text(const std::optional<std::int64_t>& price) {
    return price ? format_usd(*price) : "-";
}

Columns<SpotPool> pool_columns() {
    return {
        {"pool", [](const SpotPool& pool) { return pool.name; }},
        {"price/h", [](const SpotPool& pool) { return price_text(pool.price_micros_per_hour); }},
        {"cards", [](const SpotPool& pool) { return std::to_string(pool.cards); }},
        {"leased", [](const SpotPool& pool) { return std::to_string(pool.cards_leased); }},
        {"losing bids", [](const SpotPool& pool) { return std::to_string(pool.bids); }},
        {"product", [](const SpotPool& pool) { return pool.product; }},
        {"priced at", [](const SpotPool& pool) { return or_dash(pool.repriced_at); }},
    };
}

Columns<SpotPrice> history_columns() {
    return {
        {"from", [](const SpotPrice& price) { return price.at; }},
        {"price/h", [](const SpotPrice& price) { return price_text(price.price_micros_per_hour); }},
    };
}

struct PriceArguments : ListArguments {
    std::string pool;
};

void show_price(Context& context, const PriceArguments& arguments) {
    if (!arguments.pool.empty())
        return print_one(context, context.client().spot_pool(arguments.pool), pool_columns());
    print_list<SpotPool>(
        context, arguments, [&](const PageRequest& page) { return context.client().spot_pools(page); },
        pool_columns());
}

}  // namespace

void add_spot_commands(CLI::App& app, Context& context) {
    CLI::App& spot = add_noun(app, "spot", "What spot cards cost now, and did before");
    auto& price = *spot.add_subcommand("price", "The current price of one pool, or of all");
    const auto arguments = std::make_shared<PriceArguments>();
    price.add_option("pool", arguments->pool, "A pool, like h100-sxm-80gib; the default is all")
        ->type_name("POOL");
    add_list_options(price, *arguments);
    on_run(context, price, arguments, &show_price);
    add_part_list<SpotPrice>(spot, context, "history", "The prices of a pool, newest first", "pool",
                             &Client::spot_history, &history_columns);
}

}  // namespace fallow::cli
