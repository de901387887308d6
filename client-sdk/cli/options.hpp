// Flags in human units. A value that cannot be read is a usage error before anything is done.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "output.hpp"

namespace fallow::cli {

CLI::Option* add_money(CLI::App& command, const std::string& flag, std::optional<std::int64_t>& micros,
                       const std::string& help);
CLI::Option* add_duration(CLI::App& command, const std::string& flag,
                          std::optional<std::int64_t>& duration_ms, const std::string& help);
CLI::Option* add_size(CLI::App& command, const std::string& flag, std::optional<std::int64_t>& bytes,
                      const std::string& help);
/// A part of a card, like 0.25, in thousandths.
CLI::Option* add_part(CLI::App& command, const std::string& flag, std::optional<std::int64_t>& thousandths,
                      const std::string& help);
/// --limit and --all
void add_list_options(CLI::App& command, ListArguments& arguments);
/// A required positional.
CLI::Option* add_id(CLI::App& command, std::string& id, const std::string& name);
/// --name, --scope, --expires-in and --out of a new key.
struct KeyArguments {
    std::string name;
    std::vector<std::string> scopes;
    std::optional<std::int64_t> expires_in_ms;
    std::string out;
};
void add_key_options(CLI::App& command, KeyArguments& arguments);

/// A noun: a command that only has commands below it.
[[nodiscard]] CLI::App& add_noun(CLI::App& app, const std::string& name, const std::string& help);

/// Runs `act` with the arguments once the command line is understood.
template <class Arguments, class Act>
void on_run(Context& context, CLI::App& command, std::shared_ptr<Arguments> arguments, Act act) {
    command.callback([&context, arguments, act] {
        context.action = [&context, arguments, act] { act(context, *arguments); };
    });
}
template <class Act>
void on_run(Context& context, CLI::App& command, Act act) {
    command.callback([&context, act] { context.action = [&context, act] { act(context); }; });
}

}  // namespace fallow::cli
