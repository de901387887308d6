// Runs the command line as a program against a server that plays a script.
#pragma once

#include <string>
#include <vector>

#include "unit/sdk/scripted_server.hpp"
#include "unit/sdk/temporary_folder.hpp"

namespace fallow::sdk::testing {

using Words = std::vector<std::string>;

struct Outcome {
    int code = -1;
    std::string out;
    std::string err;
};

/// Runs the program with exactly this environment.
[[nodiscard]] Outcome run(const TemporaryFolder& folder, Words arguments, Words environment);

struct Bench {
    explicit Bench(std::vector<ScriptedReply> script = {}) : server(std::move(script)) {}

    Outcome operator()(const Words& arguments) {
        return run(folder, arguments, {"FALLOW_URL=" + server.url(), "FALLOW_API_KEY=secret-key"});
    }
    /// "METHOD target body" of what the program has sent.
    [[nodiscard]] std::string sent(std::size_t request);

    TemporaryFolder folder;
    ScriptedServer server;
};

/// A page of a list; `next` is a JSON value.
[[nodiscard]] std::string page(const Words& items, const std::string& next = "null");

}  // namespace fallow::sdk::testing
