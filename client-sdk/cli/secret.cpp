#include <memory>

#include "columns.hpp"
#include "commands.hpp"
#include "files.hpp"
#include "verbs.hpp"

namespace fallow::cli {
namespace {

Columns<Secret> secret_list() {
    return {
        {"name", [](const Secret& secret) { return secret.name; }},
        {"version", [](const Secret& secret) { return std::to_string(secret.version); }},
        {"set", [](const Secret& secret) { return secret.updated_at; }},
        {"id", [](const Secret& secret) { return secret.id; }},
    };
}

struct SetArguments {
    std::string name;
    std::string file = "-";
};

}  // namespace

void add_secret_commands(CLI::App& app, Context& context) {
    CLI::App& secret = add_noun(
        app, "secret",
        "Texts that a job is given as files, or its image is pulled with, and that nothing tells again");

    auto& set = *secret.add_subcommand(
        "set", "Set a secret, or change it: printf %s \"$TOKEN\" | fallow secret set api-token");
    const auto wanted = std::make_shared<SetArguments>();
    set.add_option(
           "name", wanted->name,
           "A job finds it as /run/secrets/NAME; with --registry-secret it is a login, USER:PASSWORD or "
           "{\"username\":…,\"password\":…} or {\"identitytoken\":…}")
        ->required()
        ->type_name("NAME");
    set.add_option("--from", wanted->file,
                   "The file with the value, every byte of it, at most 32 KiB; - is stdin. It is never an "
                   "argument: others see those")
        ->type_name("FILE")
        ->capture_default_str();
    on_run(context, set, wanted, [](Context& with, const SetArguments& given) {
        print_one(with, with.client().set_secret(given.name, read_text(given.file)), secret_list());
    });

    add_list<Secret>(secret, context, "list", "List the secrets, the newest first, without their values",
                     &Client::secrets, &secret_list);

    auto& remove = *secret.add_subcommand("delete", "Delete a secret; a job that names it does not start");
    const auto name = std::make_shared<std::string>();
    remove.add_option("name", *name, "What it is called")->required()->type_name("NAME");
    on_run(context, remove, name, [](Context& with, const std::string& which) {
        with.client().remove_secret(which);
        Context::message(which + " is deleted");
    });
}

}  // namespace fallow::cli
