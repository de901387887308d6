#include <fmt/format.h>

#include <fallow/human.hpp>
#include <memory>

#include "commands.hpp"
#include "explanation.hpp"
#include "options.hpp"

namespace fallow::cli {
namespace {

struct SearchArguments : ListArguments {
    std::vector<std::string> words;
    std::string saved;
    bool everything = false;
    bool facets = false;
    bool explain = false;
    bool fields = false;

    [[nodiscard]] SearchQuery search() const {
        SearchQuery search{{}, saved, everything};
        for (const std::string& word : words)
            search.query += (search.query.empty() ? "" : " ") + word;
        return search;
    }
};

std::string size_or_dash(const std::optional<std::int64_t>& bytes) {
    return bytes ? format_size(*bytes) : "-";
}

std::string tflops(const std::optional<std::int64_t>& flops) {
    if (!flops) return "-";
    const std::int64_t tenths = *flops / 100'000'000'000;
    return fmt::format("{}.{}", tenths / 10, tenths % 10);
}

/// A column of what an item says, which is parsed once for each cell.
Column<JsonText> column(std::string title, std::function<std::string(const SearchCard&)> text) {
    return {std::move(title), [text = std::move(text)](const JsonText& item) {
                return text(sdk::from_json<SearchCard>(item.text));
            }};
}

Columns<JsonText> card_columns() {
    return {
        column("price/h", [](const SearchCard& card) { return format_usd(card.price); }),
        column("model", [](const SearchCard& card) { return or_dash(card.model); }),
        column("vram", [](const SearchCard& card) { return size_or_dash(card.vram); }),
        column("bandwidth",
               [](const SearchCard& card) {
                   return card.memory_bandwidth ? format_size(*card.memory_bandwidth) + "/s" : "-";
               }),
        column("tflops", [](const SearchCard& card) { return tflops(card.fp32); }),
        column("free",
               [](const SearchCard& card) { return fmt::format("{}/{}", card.free_cards, card.cards); }),
        column("country", [](const SearchCard& card) { return card.country; }),
        column("runtime", [](const SearchCard& card) { return card.runtime; }),
        column("notice", [](const SearchCard& card) { return format_duration(card.notice); }),
        column("longest", [](const SearchCard& card) { return format_duration(card.term_max); }),
        column("listing", [](const SearchCard& card) { return card.listing; }),
        column("card", [](const SearchCard& card) { return card.card; }),
    };
}

void add_facet(std::vector<std::vector<std::string>>& rows, const std::string& name,
               const std::vector<FacetValue>& values) {
    for (const FacetValue& value : values)
        rows.push_back({name, value.value, std::to_string(value.count),
                        format_usd(value.price_min_micros_per_hour),
                        format_usd(value.price_max_micros_per_hour)});
}

void print_facets(Context& context, const SearchQuery& search) {
    const SearchSummary summary = context.client().search_summary(search);
    if (context.format() == Format::json) return print_json(to_json(summary));
    std::vector<std::vector<std::string>> rows{{"of", "value", "cards", "from", "to"}};
    add_facet(rows, "model", summary.facets.model);
    add_facet(rows, "country", summary.facets.country);
    add_facet(rows, "class", summary.facets.device_class);
    print_table(rows);
    Context::message(fmt::format("{} cards", summary.total));
}

void print_explanation(Context& context, const SearchQuery& search) {
    const Explanation explanation = context.client().explain(search);
    if (context.format() == Format::json) return print_json(to_json(explanation));
    print_text(text_of(explanation));
}

void search(Context& context, const SearchArguments& arguments) {
    const SearchQuery query = arguments.search();
    if (arguments.fields) return print_text(context.client().search_reference().reference);
    if (arguments.facets) return print_facets(context, query);
    if (arguments.explain) return print_explanation(context, query);
    print_list<JsonText>(
        context, arguments, [&](const PageRequest& page) { return context.client().search(query, page); },
        card_columns());
}

}  // namespace

void add_search_command(CLI::App& app, Context& context) {
    auto& command = *app.add_subcommand(
        "search", "Find cards: fallow search 'model in (h100, h200) and vram >= 80GiB and price < 2.10'");
    const auto arguments = std::make_shared<SearchArguments>();
    auto* const words = command
                            .add_option("query", arguments->words,
                                        "What to find, in the query language; nothing: every card")
                            ->type_name("QUERY");
    command.add_option("--saved", arguments->saved, "Run the query that was saved under this name")
        ->type_name("NAME")
        ->excludes(words);
    command.add_flag("--everything", arguments->everything, "Also cards that cannot be leased now");
    auto* const facets =
        command.add_flag("--facets", arguments->facets,
                         "How many there are, and at what prices, by model, country and class");
    auto* const explain = command.add_flag("--explain", arguments->explain,
                                           "What each condition keeps away, and what would help");
    auto* const fields =
        command.add_flag("--fields", arguments->fields, "Print the language and its fields");
    facets->excludes(explain)->excludes(fields);
    explain->excludes(fields);
    add_list_options(command, *arguments);
    on_run(context, command, arguments, &search);
}

}  // namespace fallow::cli
