// One tunnel on the host's side: what the renter asks for, done within its container.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <spdlog/spdlog.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "agent/clock.hpp"
#include "agent/container_port.hpp"
#include "agent/engine_exec.hpp"
#include "agent/guest_profile.hpp"
#include "agent/log_frames.hpp"
#include "agent/tunnel_desk.hpp"
#include "fallow/tunnel.hpp"

namespace fallow::agent {
namespace {

using sdk::Frame;
using sdk::FrameKind;
using sdk::FrameLink;
using sdk::TunnelLoop;
using sdk::TunnelRequest;

constexpr std::int64_t open_timeout_ms = 10'000;
constexpr std::int64_t silence_ms_max = 120'000;  ///< the renter's program pings six times as often
constexpr std::int64_t drain_ms_max = 30'000;
constexpr std::int64_t exit_wait_ms = 10'000;
constexpr std::int64_t retry_ms = 20;

/// Said to the renter as it stands.
class Refusal : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

LeaseRecord running_lease(const TunnelContext& context, const std::string& lease_id) {
    auto record = context.find(lease_id);
    if (!record || record->container_id.empty() || !record->started || record->exit || record->kill_sent)
        throw Refusal("the job's container is not running");
    Engine engine(context.engine_socket);
    if (record->paused_boot_ms != 0 || is_frozen(engine, record->container_id))
        throw Refusal(std::string(sdk::tunnel_job_frozen) +
                      ": the job is frozen at the moment, because its host has lost touch with the server "
                      "or has paused it: try again");
    return std::move(*record);
}

void pause_between_tries() {
    std::this_thread::sleep_for(std::chrono::milliseconds(retry_ms));
}

/// The code of a process whose streams have ended, which the engine may not know at once.
template <class Look>
std::optional<std::int64_t> exit_code_of(const Look& look) {
    const std::int64_t until = boot_clock_ms() + exit_wait_ms;
    while (boot_clock_ms() < until) {
        if (const auto code = look()) return code;
        pause_between_tries();
    }
    return std::nullopt;
}

void set_ends(TunnelLoop& loop, const std::stop_token& stop) {
    loop.stop = stop;
    loop.silence_ms_max = silence_ms_max;
}

/// Gives the renter what an engine's stream holds.
void give_stream(TunnelLoop& loop, FrameLink& link, const sdk::Upgraded& stream, bool is_plain,
                 std::function<void()> on_end) {
    const auto demuxer = std::make_shared<LogDemuxer>([&link](LogStream of, std::string_view octets) {
        const bool is_error = of == LogStream::standard_error;
        link.send(is_error ? FrameKind::errors : FrameKind::output, octets);
        return true;
    });
    loop.source = stream.channel->descriptor();
    loop.on_source = [&link, demuxer, is_plain, end = std::move(on_end)](std::string_view octets) {
        if (octets.empty()) return end();
        if (is_plain) return link.send(FrameKind::output, octets);
        static_cast<void>(demuxer->feed(octets));
    };
    if (!stream.received.empty()) loop.on_source(stream.received);
}

/// As a terminal that is closed does. Nobody is left to end it otherwise, and it would go on until the
/// lease's end.
void hang_up(const TunnelContext& context, EngineExec& exec, const std::string& exec_id,
             const std::string& container_id) {
    const auto container = Engine(context.engine_socket).inspect(container_id);
    if (container) signal_exec(exec.inspect(exec_id), container->pid, SIGHUP);
}

void serve_exec(const TunnelContext& context, FrameLink& link, const LeaseRecord& record,
                const TunnelRequest& asked, const std::stop_token& stop) {
    EngineExec exec(context.engine_socket);
    for (const auto& [name, value] : asked.environment)
        if (is_forbidden_variable(name))
            throw Refusal("the variable " + name + " cannot be set: LD_… and NVIDIA_… are the host's");
    const bool has_terminal = asked.terminal.has_value();
    const std::string id = exec.create(record.container_id, {.command = asked.command,
                                                             .env = asked.environment,
                                                             .folder = asked.folder,
                                                             .has_input = asked.has_input,
                                                             .has_terminal = has_terminal});
    sdk::Upgraded stream = exec.start(id, has_terminal, stop);
    const int descriptor = stream.channel->descriptor();
    const auto resize = [&](const sdk::TerminalSize& size) {
        // Right after the start the engine may not have the terminal yet.
        const std::int64_t until = boot_clock_ms() + 1000;
        while (!exec.resize(id, size.columns, size.rows) && boot_clock_ms() < until)
            pause_between_tries();
    };
    if (has_terminal) resize(*asked.terminal);
    link.send(FrameKind::opened, {});

    TunnelLoop loop(link);
    set_ends(loop, stop);
    loop.sinks[FrameKind::input] = {.descriptor = asked.has_input ? descriptor : -1, .may_fail = true};
    loop.on_frame = [&](const Frame& frame) {
        if (frame.kind == FrameKind::end) ::shutdown(descriptor, SHUT_WR);
        if (frame.kind != FrameKind::resize || !has_terminal) return true;
        if (const auto size = sdk::decode_size(frame.payload)) resize(*size);
        return true;
    };
    give_stream(loop, link, stream, has_terminal, [&] {
        const auto code = exit_code_of([&]() -> std::optional<std::int64_t> {
            const ExecState state = exec.inspect(id);
            return state.is_running ? std::nullopt : std::optional(state.exit_code);
        });
        link.send(FrameKind::exit, sdk::encode_exit(static_cast<std::int32_t>(code.value_or(137))));
        loop.finish();
    });
    const TunnelLoop::Ended ended = loop.run();
    if (ended == TunnelLoop::Ended::by_handler) return link.drain(drain_ms_max);
    hang_up(context, exec, id, record.container_id);
}

void serve_attach(const TunnelContext& context, FrameLink& link, const LeaseRecord& record,
                  const std::stop_token& stop) {
    const sdk::Upgraded stream = EngineExec(context.engine_socket).attach(record.container_id, stop);
    link.send(FrameKind::opened, {});
    TunnelLoop loop(link);
    set_ends(loop, stop);
    loop.on_frame = [](const Frame&) { return true; };
    give_stream(loop, link, stream, false, [&] {
        const auto code = exit_code_of([&]() -> std::optional<std::int64_t> {
            const auto now = context.find(record.desired.lease_id);
            if (now && now->exit) return now->exit->exit_code;
            return std::nullopt;
        });
        link.send(FrameKind::exit, sdk::encode_exit(static_cast<std::int32_t>(code.value_or(137))));
        loop.finish();
    });
    if (loop.run() == TunnelLoop::Ended::by_handler) link.drain(drain_ms_max);
}

void serve_port(const TunnelContext& context, FrameLink& link, const LeaseRecord& record,
                const TunnelRequest& asked, const std::stop_token& stop) {
    if (has_own_network_stack(context.runtime))
        throw Refusal("no port of the job can be reached: its host runs jobs under " + context.runtime +
                      ", which has a network stack of its own. Use exec");
    const auto container = Engine(context.engine_socket).inspect(record.container_id);
    if (!container || container->pid <= 0) throw Refusal("the job's container is not running");
    const ContainerPort port(container->pid, static_cast<int>(asked.port));
    if (port.descriptor() < 0)
        throw Refusal("nothing in the job answers at port " + std::to_string(asked.port) + ": " +
                      port.problem());
    link.send(FrameKind::opened, {});
    TunnelLoop loop(link);
    set_ends(loop, stop);
    sdk::join_socket(loop, link, port.descriptor(), FrameKind::output, FrameKind::input);
    if (loop.run() == TunnelLoop::Ended::by_handler) link.drain(drain_ms_max);
}

void serve(const TunnelContext& context, FrameLink& link, const WantedTunnel& wanted,
           const std::stop_token& stop) {
    const auto first = link.await(open_timeout_ms);
    if (!first) return;
    if (first->kind != FrameKind::open) throw Refusal("the tunnel does not begin with an open frame");
    const TunnelRequest asked = sdk::tunnel_request_from_json(first->payload);
    if (context.engine_socket.empty()) throw Refusal("no tunnel leads into a job of a Slurm partition");
    const LeaseRecord record = running_lease(context, wanted.lease_id);
    spdlog::info("a renter opens a tunnel into lease {}: {}", wanted.lease_id, asked.kind);
    if (asked.kind == "exec") return serve_exec(context, link, record, asked, stop);
    if (asked.kind == "attach") return serve_attach(context, link, record, stop);
    serve_port(context, link, record, asked, stop);
}

void refuse_renter(FrameLink& link, const std::string& why) {
    link.send(FrameKind::refused, std::string_view(why).substr(0, 4096));
    link.drain(open_timeout_ms);
}

}  // namespace

void serve_tunnel(const TunnelContext& context, const WantedTunnel& wanted, const std::stop_token& stop) {
    try {
        TunnelLink server(context.state, context.server_unix_ms);
        FrameLink link(server.meet(wanted.tunnel_id, stop));
        try {
            serve(context, link, wanted, stop);
        } catch (const sdk::TransportError&) {
            throw;
        } catch (const std::exception& error) {
            refuse_renter(link, error.what());
        }
    } catch (const std::exception& error) {
        spdlog::warn("the tunnel {} is over: {}", wanted.tunnel_id, error.what());
    }
}

}  // namespace fallow::agent
