#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "files.hpp"
#include "terminal.hpp"
#include "tunnel.hpp"

namespace fallow::cli {
namespace {

using sdk::Frame;
using sdk::FrameKind;

sdk::TunnelRequest exec_request(const ExecArguments& arguments) {
    sdk::TunnelRequest request;
    request.kind = "exec";
    request.command = arguments.command;
    request.folder = arguments.folder;
    request.has_input = arguments.has_input;
    for (const std::string& pair : arguments.env) {
        const std::size_t equals = pair.find('=');
        if (equals == std::string::npos || equals == 0)
            throw UsageError("--env has something that is not NAME=VALUE: " + pair);
        request.environment[pair.substr(0, equals)] = pair.substr(equals + 1);
    }
    if (!arguments.has_terminal) return request;
    if (arguments.has_input && !is_terminal(STDIN_FILENO))
        throw UsageError("-t needs a terminal at standard input: leave it out");
    request.terminal = terminal_size();
    if (const char* kind = std::getenv("TERM"); kind != nullptr) request.environment.emplace("TERM", kind);
    return request;
}

void follow_signals(sdk::TunnelLoop& loop, sdk::FrameLink& link, Signals& signals, bool has_terminal) {
    loop.watched = signals.descriptor();
    loop.on_watched = [&loop, &link, &signals, has_terminal] {
        const int number = signals.take();
        if (number == SIGWINCH) {
            if (has_terminal) link.send(FrameKind::resize, sdk::encode_size(terminal_size()));
        } else if (number != 0) {
            loop.finish();
        }
    };
}

}  // namespace

int run_until_exit(sdk::TunnelLoop& loop) {
    std::optional<std::int32_t> code;
    loop.pings = true;
    loop.on_frame = [&code](const Frame& frame) {
        if (frame.kind != FrameKind::exit) return true;
        code = sdk::decode_exit(frame.payload);
        return false;
    };
    const sdk::TunnelLoop::Ended ended = loop.run();
    if (code) return *code;
    if (ended == sdk::TunnelLoop::Ended::by_handler) throw CommandFailed("ended by a signal");
    if (ended == sdk::TunnelLoop::Ended::by_sink) throw CommandFailed("the output cannot be written");
    throw CommandFailed(
        "the tunnel has ended before the process: the lease is over, or a server on the way has stopped");
}

HttpClientOptions http_options(Context& context) {
    // Refuses what is missing with its own words.
    static_cast<void>(context.client());
    HttpClientOptions options;
    options.base_url = context.settings.url;
    options.ca_file = context.settings.ca_file;
    const char* const key = std::getenv("FALLOW_API_KEY");
    options.bearer_key = !context.settings.key_file.empty() ? read_secret(context.settings.key_file)
                         : key != nullptr                   ? key
                                                            : "";
    options.user_agent = "fallow-cli/0.1";
    return options;
}

void run_exec(Context& context, const ExecArguments& arguments) {
    const sdk::TunnelRequest request = exec_request(arguments);
    // Blocked before any thread or wait, so that no change of the window is lost.
    Signals signals({SIGWINCH, SIGTERM, SIGHUP, SIGINT});
    sdk::FrameLink link = sdk::open_tunnel(http_options(context), arguments.job_id, request);
    const auto raw =
        arguments.has_terminal && is_terminal(STDIN_FILENO) ? std::make_unique<RawTerminal>() : nullptr;
    sdk::TunnelLoop loop(link);
    loop.sinks[FrameKind::output] = {.descriptor = STDOUT_FILENO};
    loop.sinks[FrameKind::errors] = {.descriptor = STDERR_FILENO};
    follow_signals(loop, link, signals, arguments.has_terminal);
    if (arguments.has_input) loop.source = STDIN_FILENO;
    loop.on_source = [&link](std::string_view bytes) {
        link.send(bytes.empty() ? FrameKind::end : FrameKind::input, bytes);
    };
    const int code = run_until_exit(loop);
    throw ExitStatus(code);
}

void run_attach(Context& context, const std::string& job_id) {
    sdk::TunnelRequest request;
    request.kind = "attach";
    sdk::FrameLink link = sdk::open_tunnel(http_options(context), job_id, request);
    sdk::TunnelLoop loop(link);
    loop.sinks[FrameKind::output] = {.descriptor = STDOUT_FILENO};
    loop.sinks[FrameKind::errors] = {.descriptor = STDERR_FILENO};
    throw ExitStatus(run_until_exit(loop));
}

}  // namespace fallow::cli
