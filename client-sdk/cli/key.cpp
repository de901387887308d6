#include <memory>

#include "columns.hpp"
#include "commands.hpp"
#include "verbs.hpp"

namespace fallow::cli {
namespace {

Columns<Key> key_list() {
    return {
        {"id", [](const Key& key) { return key.id; }},
        {"name", [](const Key& key) { return key.name; }},
        {"prefix", [](const Key& key) { return key.prefix; }},
        {"scopes", [](const Key& key) { return joined(key.scopes); }},
        {"expires", [](const Key& key) { return key.expires_at; }},
        {"revoked", [](const Key& key) { return or_dash(key.revoked_at); }},
    };
}

struct RotateArguments {
    std::string key_id;
    std::string out;
};

}  // namespace

void add_key_commands(CLI::App& app, Context& context) {
    CLI::App& key = add_noun(app, "key", "API keys of your organization");

    auto& create =
        *key.add_subcommand("create", "Make a key with some of your own scopes; prints its secret once");
    const auto create_arguments = std::make_shared<KeyArguments>();
    add_key_options(create, *create_arguments);
    on_run(context, create, create_arguments, [](Context& with, const KeyArguments& arguments) {
        const NewKey wanted{arguments.name, arguments.scopes, arguments.expires_in_ms};
        print_key_secret(with, with.client().create_key(wanted, with.call_options()), arguments.out);
    });

    add_list<Key>(key, context, "list", "List the keys, without their secrets", &Client::keys, &key_list);

    auto& revoke = *key.add_subcommand("revoke", "End a key at once");
    const auto revoked = std::make_shared<std::string>();
    add_id(revoke, *revoked, "key");
    on_run(context, revoke, revoked, [](Context& with, const std::string& key_id) {
        with.client().revoke_key(key_id);
        Context::message(key_id + " is revoked");
    });

    auto& rotate = *key.add_subcommand("rotate", "Replace a key; the old one lives on for up to 7 days");
    const auto rotate_arguments = std::make_shared<RotateArguments>();
    add_id(rotate, rotate_arguments->key_id, "key");
    rotate
        .add_option("--out", rotate_arguments->out,
                    "Write the secret to this file (mode 0600) instead of stdout")
        ->type_name("FILE");
    on_run(context, rotate, rotate_arguments, [](Context& with, const RotateArguments& arguments) {
        print_key_secret(with, with.client().rotate_key(arguments.key_id, with.call_options()),
                         arguments.out);
    });
}

}  // namespace fallow::cli
