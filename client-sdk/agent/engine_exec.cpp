#include "agent/engine_exec.hpp"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "guard/cgroups.hpp"

namespace fallow::agent {
namespace {

using nlohmann::json;

constexpr const char* api = engine_api;

json object_of(const sdk::HttpResponse& response) {
    json body = json::parse(response.body, nullptr, false);
    if (!body.is_object()) throw EngineError(response.status, "the engine's reply is not a JSON object");
    return body;
}

bool is_in_container(std::int64_t pid, std::int64_t container_pid) {
    const auto network_of = [](std::int64_t process) -> ino_t {
        struct stat facts {};
        const std::string path = "/proc/" + std::to_string(process) + "/ns/net";
        return ::stat(path.c_str(), &facts) == 0 ? facts.st_ino : 0;
    };
    const ino_t own = network_of(pid);
    return own != 0 && own == network_of(container_pid);
}

}  // namespace

void signal_exec(const ExecState& state, std::int64_t container_pid, int signal_number) {
    if (!state.is_running || state.pid <= 0) return;
    // Held before it is looked at, so that the number cannot have become another process's.
    const int process = static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(state.pid), 0));
    if (process < 0) return;
    if (is_in_container(state.pid, container_pid))
        ::syscall(SYS_pidfd_send_signal, process, signal_number, nullptr, 0);
    ::close(process);
}

bool is_frozen(Engine& engine, const std::string& container_id) {
    const auto group = guard::Cgroups::here().find(container_id);
    if (group && guard::Cgroups::is_frozen(*group)) return true;
    const auto container = engine.inspect(container_id);
    return container && container->state == ContainerState::paused;
}

EngineExec::EngineExec(const std::string& socket_path) : line_(socket_path) {}

std::string EngineExec::create(const std::string& container_id, const ExecSpec& spec) {
    json env = json::array();
    for (const auto& [name, value] : spec.env)
        env.push_back(name + "=" + value);
    json body = {{"AttachStdin", spec.has_input},
                 {"AttachStdout", true},
                 {"AttachStderr", true},
                 {"Tty", spec.has_terminal},
                 {"Privileged", false},
                 {"Env", env},
                 {"Cmd", spec.command}};
    if (!spec.folder.empty()) body["WorkingDir"] = spec.folder;
    const std::string text = body.dump(-1, ' ', false, json::error_handler_t::replace);
    const sdk::HttpResponse response =
        line_.call("POST", std::string(api) + "/containers/" + container_id + "/exec", text);
    if (!response.ok()) throw_engine_error(response);
    return object_of(response).at("Id").get<std::string>();
}

sdk::Upgraded EngineExec::hijack(const std::string& path, const std::string& body, std::stop_token stop) {
    sdk::HttpRequest request;
    request.method = "POST";
    request.path = path;
    request.body = body;
    request.content_type = "application/json";
    request.timeout_ms = engine_call_timeout_ms;
    request.stop = std::move(stop);
    sdk::Upgraded upgraded = sdk::upgrade(line_.http().options(), request, "tcp", true);
    if (upgraded.channel) return upgraded;
    if (!upgraded.response.ok()) throw_engine_error(upgraded.response);
    throw EngineError(upgraded.response.status, "the engine gives no stream");
}

sdk::Upgraded EngineExec::start(const std::string& exec_id, bool has_terminal, std::stop_token stop) {
    const json body = {{"Detach", false}, {"Tty", has_terminal}};
    return hijack(std::string(api) + "/exec/" + exec_id + "/start", body.dump(), std::move(stop));
}

bool EngineExec::resize(const std::string& exec_id, int columns, int rows) {
    return line_
        .call("POST", std::string(api) + "/exec/" + exec_id + "/resize?h=" + std::to_string(rows) +
                          "&w=" + std::to_string(columns))
        .ok();
}

ExecState EngineExec::inspect(const std::string& exec_id) {
    const sdk::HttpResponse response = line_.call("GET", std::string(api) + "/exec/" + exec_id + "/json");
    if (!response.ok()) throw_engine_error(response);
    const json body = object_of(response);
    ExecState state;
    state.is_running = body.value("Running", false);
    if (const auto code = body.find("ExitCode"); code != body.end() && code->is_number())
        state.exit_code = code->get<std::int64_t>();
    if (const auto pid = body.find("Pid"); pid != body.end() && pid->is_number())
        state.pid = pid->get<std::int64_t>();
    return state;
}

sdk::Upgraded EngineExec::attach(const std::string& container_id, std::stop_token stop) {
    return hijack(std::string(api) + "/containers/" + container_id +
                      "/attach?stream=true&stdout=true&stderr=true&stdin=false&logs=false",
                  "", std::move(stop));
}

}  // namespace fallow::agent
