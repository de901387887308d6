#include <fmt/format.h>

#include <memory>

#include "columns.hpp"
#include "commands.hpp"
#include "verbs.hpp"

namespace fallow::cli {
namespace {

Columns<SavedSearch> saved_list() {
    return {
        {"name", [](const SavedSearch& search) { return search.name; }},
        {"query", [](const SavedSearch& search) { return search.query; }},
        {"saved", [](const SavedSearch& search) { return search.created_at; }},
        {"id", [](const SavedSearch& search) { return search.id; }},
    };
}

struct SaveArguments {
    std::string name;
    std::vector<std::string> words;
};

void remove(Context& context, const std::string& name) {
    const auto pages = [&](const PageRequest& page) { return context.client().saved_searches(page); };
    for (const SavedSearch& search : sdk::every<SavedSearch>(pages)) {
        if (search.name != name) continue;
        context.client().remove_saved_search(search.id);
        return Context::message(name + " is deleted");
    }
    throw CommandFailed("there is no saved search of this name");
}

}  // namespace

void add_saved_search_commands(CLI::App& app, Context& context) {
    CLI::App& saved =
        add_noun(app, "saved-search", "Queries under a name, for all keys of your organization");

    auto& create = *saved.add_subcommand("create", "Save a query; fallow search --saved NAME runs it");
    const auto wanted = std::make_shared<SaveArguments>();
    create.add_option("name", wanted->name, "What to call it")->required()->type_name("NAME");
    create.add_option("query", wanted->words, "What it finds, in the query language")
        ->required()
        ->type_name("QUERY");
    on_run(context, create, wanted, [](Context& with, const SaveArguments& given) {
        const NewSavedSearch search{given.name, fmt::format("{}", fmt::join(given.words, " "))};
        print_one(with, with.client().save_search(search, with.call_options()), saved_list());
    });

    add_list<SavedSearch>(saved, context, "list", "List the saved searches, the newest first",
                          &Client::saved_searches, &saved_list);

    auto& delete_one = *saved.add_subcommand("delete", "Delete a saved search");
    const auto name = std::make_shared<std::string>();
    delete_one.add_option("name", *name, "What it is called")->required()->type_name("NAME");
    on_run(context, delete_one, name, &remove);
}

}  // namespace fallow::cli
