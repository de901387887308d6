#include "options.hpp"

#include <fallow/human.hpp>

namespace fallow::cli {
namespace {

using Parser = std::optional<std::int64_t> (*)(std::string_view);

CLI::Option* add_parsed(CLI::App& command, const std::string& flag, std::optional<std::int64_t>& value,
                        const std::string& help, Parser parse, const std::string& type) {
    const auto set = [flag, parse, type, &value](const std::string& text) {
        value = parse(text);
        if (!value) throw CLI::ValidationError(flag, "\"" + text + "\" is not " + type);
    };
    return command.add_option_function<std::string>(flag, set, help);
}

}  // namespace

CLI::Option* add_money(CLI::App& command, const std::string& flag, std::optional<std::int64_t>& micros,
                       const std::string& help) {
    return add_parsed(command, flag, micros, help, &parse_usd,
                      "an amount in USD with up to six decimals, like 2.50")
        ->type_name("USD");
}

CLI::Option* add_duration(CLI::App& command, const std::string& flag,
                          std::optional<std::int64_t>& duration_ms, const std::string& help) {
    return add_parsed(command, flag, duration_ms, help, &parse_duration,
                      "a duration, like 90s, 2h or 1h30m")
        ->type_name("DURATION");
}

CLI::Option* add_size(CLI::App& command, const std::string& flag, std::optional<std::int64_t>& bytes,
                      const std::string& help) {
    return add_parsed(command, flag, bytes, help, &parse_size, "a size, like 512MiB or 80GiB")
        ->type_name("SIZE");
}

CLI::Option* add_part(CLI::App& command, const std::string& flag, std::optional<std::int64_t>& thousandths,
                      const std::string& help) {
    return add_parsed(command, flag, thousandths, help, &parse_thousandths,
                      "a part of a card with up to three decimals, like 0.25")
        ->type_name("PART");
}

void add_list_options(CLI::App& command, ListArguments& arguments) {
    auto* const limit = command.add_option("--limit", arguments.limit, "Show at most this many")
                            ->check(CLI::Range(1, 1'000'000))
                            ->capture_default_str();
    command.add_flag("--all", arguments.all, "Show all of them")->excludes(limit);
}

CLI::Option* add_id(CLI::App& command, std::string& id, const std::string& name) {
    return command.add_option(name, id)->required()->type_name("ID");
}

void add_key_options(CLI::App& command, KeyArguments& arguments) {
    command.add_option("--name", arguments.name, "What the key is for")->required();
    command
        .add_option(
            "--scope", arguments.scopes,
            "What it may do; may be repeated: seller:read seller:write renter:read renter:write admin")
        ->required()
        ->allow_extra_args(false);
    add_duration(command, "--expires-in", arguments.expires_in_ms,
                 "How long it is valid; the default is 90d");
    command
        .add_option("--out", arguments.out, "Write the secret to this file (mode 0600) instead of stdout")
        ->type_name("FILE");
}

CLI::App& add_noun(CLI::App& app, const std::string& name, const std::string& help) {
    CLI::App* const noun = app.add_subcommand(name, help);
    noun->require_subcommand(1);
    return *noun;
}

}  // namespace fallow::cli
