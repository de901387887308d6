// Ops: what the operator of a server sees and sets: its configuration, its log lines and its metrics.
// Ops is not policy: it carries numbers and names, and what they mean is for the market, the engine and
// http to say. It starts no thread and opens no port.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace fallow::ops {

/// All settings with their defaults; ops/settings.def is the table. Spans end in _ms.
struct Config {
#define FALLOW_INTEGER(name, value, least, most, help) std::int64_t name = value;
#define FALLOW_TEXT(name, value, help) std::string name = value;
#define FALLOW_LIST(name, help) std::vector<std::string> name;
#include "ops/settings.def"
#undef FALLOW_INTEGER
#undef FALLOW_TEXT
#undef FALLOW_LIST

    friend bool operator==(const Config&, const Config&) = default;
};

/// Sets one value from text, as a flag or the environment gives it; a list is separated by commas.
/// unknown_field names the nearest known setting, invalid_field says what the value must be.
[[nodiscard]] Status apply(Config& config, std::string_view name, std::string_view value);

/// A flat TOML 1.0 document. `source` is named in errors, with the line. On an error nothing is applied.
[[nodiscard]] Status apply_toml(Config& config, std::string_view text, std::string_view source);
/// As apply_toml; a file that cannot be read is an error too.
[[nodiscard]] Status apply_toml_file(Config& config, const std::filesystem::path& path);

/// Every NAME=value with the prefix FALLOW_. What belongs to the command-line tool (FALLOW_URL, FALLOW_CA,
/// FALLOW_KEY_FILE, FALLOW_API_KEY), to the agent (FALLOW_AGENT_…, FALLOW_OPENCL) or to the tests
/// (FALLOW_TEST_…, FALLOW_BIN_DIR, FALLOW_SOURCE_DIR), and FALLOW_CONFIG, is passed over; any other unknown
/// name is refused, so that a misspelt setting is not silently without effect.
[[nodiscard]] Status apply_environment(Config& config,
                                       const std::vector<std::pair<std::string, std::string>>& environment);
/// The process's environment in the form that apply_environment takes.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> process_environment();

/// Refuses a configuration whose values contradict each other, with a sentence that names the settings.
[[nodiscard]] Status check(const Config& config);

/// One line of help per setting, for --help and the docs.
struct SettingHelp {
    std::string name;
    std::string environment;
    std::string default_value;
    std::string help;
};
[[nodiscard]] std::vector<SettingHelp> settings();
/// The table as text: name, default, help, in the order of settings.def.
[[nodiscard]] std::string config_help();

}  // namespace fallow::ops
