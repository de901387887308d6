#include <memory>

#include "columns.hpp"
#include "commands.hpp"
#include "demand.hpp"
#include "explanation.hpp"
#include "verbs.hpp"

namespace fallow::cli {
namespace {

void place(Context& context, const DemandArguments& arguments) {
    const Placement placement = context.client().place_order(order_of(arguments), context.call_options());
    if (context.format() == Format::json)
        print_json(to_json(placement));
    else
        print_one(context, placement.order, order_fields());
    if (placement.order.state == "rejected")
        throw CommandFailed("the order is rejected: " + rejection_of(placement.order));
}

struct BidArguments {
    std::string order_id;
    std::optional<std::int64_t> price_micros;
};

void bid(Context& context, const BidArguments& arguments) {
    const NewBid wanted{arguments.price_micros.value()};
    print_one(context, context.client().change_bid(arguments.order_id, wanted, context.call_options()),
              order_fields());
}

void explain(Context& context, const std::string& order_id) {
    const Explanation explanation = context.client().explain_order(order_id);
    if (context.format() == Format::json) return print_json(to_json(explanation));
    print_text(text_of(explanation));
}

}  // namespace

void add_order_commands(CLI::App& app, Context& context) {
    CLI::App& order = add_noun(app, "order", "What you want to rent (renter)");

    auto& placing = *order.add_subcommand("place",
                                          "Order cards without a job; see `fallow job run` for the two "
                                          "together. It stands until it is filled");
    const auto demand = std::make_shared<DemandArguments>();
    add_demand_options(placing, *demand).term->required();
    on_run(context, placing, demand, &place);

    add_list<Order>(order, context, "list", "List your orders", &Client::orders, &order_list);
    add_show<Order>(order, context, "order", &Client::order, &order_fields);
    auto& explaining = *order.add_subcommand(
        "explain", "What keeps cards from an order, what would help, or why it has the card it has");
    const auto explained = std::make_shared<std::string>();
    add_id(explaining, *explained, "order");
    on_run(context, explaining, explained, &explain);
    add_act<Order>(order, context, "cancel", "Cancel a standing order", "order", &Client::cancel_order,
                   &order_fields);

    auto& bidding = *order.add_subcommand(
        "bid",
        "Change the bid of a spot order that stands or whose lease runs. Raising counts at once; "
        "lowering has to wait until ten minutes after the last change");
    const auto wanted = std::make_shared<BidArguments>();
    add_id(bidding, wanted->order_id, "order");
    add_money(bidding, "--price", wanted->price_micros, "The most you pay for a card and hour")->required();
    on_run(context, bidding, wanted, &bid);
}

}  // namespace fallow::cli
