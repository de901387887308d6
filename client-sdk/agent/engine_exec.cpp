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

constexpr const char* api = "/v1.41";
constexpr std::int64_t call_timeout_ms = 30'000;

json object_of(const sdk::HttpResponse& response) {
    json body = json::parse(response.body, nullptr, false);
    if (!body.is_object()) throw EngineError(response.status, "the engine's reply is not a JSON object");
    return body;
}

sdk::HttpClientOptions options_for(const std::string& socket_path) {
    sdk::HttpClientOptions options;
    options.base_url = "http://localhost";
    options.unix_socket_path = socket_path;
    options.user_agent = "fallow-agent";
    return options;
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

/// Docker and Podman both answer {"message": …}.
void require(const sdk::HttpResponse& response) {
    if (response.ok()) return;
    const json body = json::parse(response.body, nullptr, false);
    std::string message = "the engine answered with status " + std::to_string(response.status);
    if (body.is_object()) message = body.value("message", message);
    throw EngineError(response.status, message);
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

EngineExec::EngineExec(const std::string& socket_path) : http_(options_for(socket_path)) {}

sdk::HttpResponse EngineExec::call(const std::string& method, const std::string& path,
                                   const std::string& body) {
    sdk::HttpRequest request;
    request.method = method;
    request.path = path;
    request.body = body;
    if (!body.empty()) request.content_type = "application/json";
    request.timeout_ms = call_timeout_ms;
    return http_.send(request);
}

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
        call("POST", std::string(api) + "/containers/" + container_id + "/exec", text);
    require(response);
    return object_of(response).at("Id").get<std::string>();
}

sdk::Upgraded EngineExec::hijack(const std::string& path, const std::string& body, std::stop_token stop) {
    sdk::HttpRequest request;
    request.method = "POST";
    request.path = path;
    request.body = body;
    request.content_type = "application/json";
    request.timeout_ms = call_timeout_ms;
    request.stop = std::move(stop);
    sdk::Upgraded upgraded = sdk::upgrade(http_.options(), request, "tcp", true);
    if (upgraded.channel) return upgraded;
    require(upgraded.response);
    throw EngineError(upgraded.response.status, "the engine gives no stream");
}

sdk::Upgraded EngineExec::start(const std::string& exec_id, bool has_terminal, std::stop_token stop) {
    const json body = {{"Detach", false}, {"Tty", has_terminal}};
    return hijack(std::string(api) + "/exec/" + exec_id + "/start", body.dump(), std::move(stop));
}

bool EngineExec::resize(const std::string& exec_id, int columns, int rows) {
    return call("POST", std::string(api) + "/exec/" + exec_id + "/resize?h=" + std::to_string(rows) +
                            "&w=" + std::to_string(columns))
        .ok();
}

ExecState EngineExec::inspect(const std::string& exec_id) {
    const sdk::HttpResponse response = call("GET", std::string(api) + "/exec/" + exec_id + "/json");
    require(response);
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
