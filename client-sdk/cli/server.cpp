#include "commands.hpp"
#include "options.hpp"

namespace fallow::cli {

void add_server_commands(CLI::App& app, Context& context) {
    CLI::App& server = add_noun(app, "server", "The server itself; needs no key");
    auto& show = *server.add_subcommand("show", "Show the server's version, signing key and market");
    on_run(context, show, [](Context& with) {
        const std::string ready = yes_no(with.anonymous_client().is_ready());
        const Columns<ServerInfo> fields = {
            {"version", [](const ServerInfo& info) { return info.version; }},
            {"market", [](const ServerInfo& info) { return info.market; }},
            {"server key", [](const ServerInfo& info) { return info.server_key; }},
            {"time", [](const ServerInfo& info) { return info.time; }},
            {"ready", [ready](const ServerInfo&) { return ready; }},
        };
        print_one(with, with.anonymous_client().server(), fields);
    });
}

}  // namespace fallow::cli
