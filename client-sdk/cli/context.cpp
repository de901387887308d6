#include "context.hpp"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "files.hpp"
#include "output.hpp"

namespace fallow::cli {

ClientOptions Context::client_options() const {
    if (settings.url.empty()) throw UsageError("no server is given: use --url or FALLOW_URL");
    ClientOptions options;
    options.url = settings.url;
    options.ca_file = settings.ca_file;
    options.user_agent = "fallow-cli/0.1";
    return options;
}

Client& Context::client() {
    return client_ ? *client_ : client_.emplace(keyed_options());
}

Client Context::another_client(const RetryPolicy& retry) {
    ClientOptions options = keyed_options();
    options.retry = retry;
    return Client(std::move(options));
}

/// Read once: a key file may be standard input.
const ClientOptions& Context::keyed_options() {
    if (keyed_options_) return *keyed_options_;
    ClientOptions options = client_options();
    if (!settings.key_file.empty()) {
        options.api_key = read_secret(settings.key_file);
    } else if (const char* key = std::getenv("FALLOW_API_KEY"); key != nullptr) {
        options.api_key = key;
    }
    if (options.api_key.empty())
        throw UsageError("no API key is given: use --key-file, FALLOW_KEY_FILE or FALLOW_API_KEY");
    return keyed_options_.emplace(std::move(options));
}

Client& Context::anonymous_client() {
    if (!client_) client_.emplace(client_options());
    return *client_;
}

CallOptions Context::call_options() const {
    return {.idempotency_key = settings.idempotency_key, .stop = {}};
}

void Context::message(const std::string& text) {
    const std::string line = printable(text) + "\n";
    std::fputs(line.c_str(), stderr);
}

}  // namespace fallow::cli
