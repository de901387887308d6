// fallow: the command line of the marketplace, for sellers, renters and administrators.
//
// It is a thin coat over the SDK: a command decodes its flags, makes one or a few calls and prints what
// came back. Data go to stdout, messages to stderr. It keeps no state between two runs and never takes a
// secret in an argument.
#pragma once

#include <fallow/client.hpp>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>

namespace fallow::cli {

using namespace fallow::sdk;

/// The command line itself is wrong, or a setting is missing.
class UsageError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// The command was carried out, and what it found or did is a failure.
class CommandFailed : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

namespace exit_code {
inline constexpr int done = 0;
inline constexpr int failed = 1;  ///< the operation failed or the server refused it
inline constexpr int usage = 2;
inline constexpr int unreachable = 4;
}  // namespace exit_code

enum class Format { table, json };

/// What the flags before and after the command, and the environment, say.
struct Settings {
    std::string url;
    std::string ca_file;
    std::string key_file;
    std::string format = "table";
    std::string idempotency_key;
};

class Context {
  public:
    Settings settings;

    /// What to do once the whole command line was understood. A command's callback sets it.
    std::function<void()> action;

    [[nodiscard]] Format format() const { return settings.format == "json" ? Format::json : Format::table; }

    /// The client with the API key of the settings; UsageError without a server or a key.
    [[nodiscard]] Client& client();
    /// For the routes that need no key.
    [[nodiscard]] Client& anonymous_client();
    /// A further one with that key, for another thread.
    [[nodiscard]] Client another_client(const RetryPolicy& retry);
    /// For the one POST a command makes.
    [[nodiscard]] CallOptions call_options() const;

    /// A line for the person at the terminal, on stderr.
    static void message(const std::string& text);

  private:
    [[nodiscard]] ClientOptions client_options() const;
    [[nodiscard]] const ClientOptions& keyed_options();

    std::optional<ClientOptions> keyed_options_;
    std::optional<Client> client_;
};

}  // namespace fallow::cli
