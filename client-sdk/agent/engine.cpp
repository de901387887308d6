#include "agent/engine.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "agent/clock.hpp"
#include "agent/pull_stream.hpp"
#include "fallow/url.hpp"

namespace fallow::agent {
namespace {

using nlohmann::json;

constexpr const char* api = engine_api;
constexpr std::int64_t pull_timeout_ms = 3600 * 1000;
constexpr const char* registry_auth_header = "X-Registry-Auth";
constexpr int remove_tries_max = 20;
constexpr auto remove_retry_pause = std::chrono::milliseconds(100);
constexpr int look_tries_max = 100;
constexpr auto look_retry_pause = std::chrono::milliseconds(20);

ContainerState state_named(const std::string& name) {
    constexpr std::array<std::pair<std::string_view, ContainerState>, 8> names = {{
        {"created", ContainerState::created},
        {"configured", ContainerState::created},
        {"initialized", ContainerState::created},
        {"running", ContainerState::running},
        {"paused", ContainerState::paused},
        {"exited", ContainerState::exited},
        {"stopped", ContainerState::exited},
        {"dead", ContainerState::exited},
    }};
    for (const auto& [text, state] : names)
        if (text == name) return state;
    return ContainerState::unknown;
}

json parse_or_throw(const sdk::HttpResponse& response) {
    json body = json::parse(response.body, nullptr, false);
    if (body.is_discarded()) throw EngineError(response.status, "the engine's reply is not JSON");
    return body;
}

std::string label_of(const json& labels, std::string_view name) {
    const auto found = labels.find(name);
    return found == labels.end() || !found->is_string() ? std::string() : found->get<std::string>();
}

std::int64_t number_or_zero(const std::string& text) {
    try {
        return std::stoll(text);
    } catch (const std::exception&) {
        return 0;
    }
}

/// The engines write the year 1 for "never".
std::int64_t moment_or_zero(const json& state, const char* name) {
    const std::int64_t ms = parse_rfc3339(state.value(name, "")).value_or(0);
    return ms > 0 ? ms : 0;
}

std::size_t octal(std::string_view digits) {
    std::size_t number = 0;
    for (const char digit : digits)
        if (digit >= '0' && digit <= '7') number = number * 8 + static_cast<std::size_t>(digit - '0');
    return number;
}

/// Of a tar archive (POSIX ustar and pax): the contents of its first entry, if that is a regular file.
std::optional<std::string> first_file_of(std::string_view archive) {
    constexpr std::size_t block_bytes = 512;
    constexpr std::size_t size_at = 124;
    constexpr std::size_t size_digits = 11;
    constexpr std::size_t type_at = 156;
    while (archive.size() >= block_bytes) {
        const char type = archive[type_at];
        const std::size_t bytes = octal(archive.substr(size_at, size_digits));
        archive.remove_prefix(block_bytes);
        if (archive.size() < bytes) return std::nullopt;
        if (type == '0' || type == '\0') return std::string(archive.substr(0, bytes));
        if (type != 'x' && type != 'g') return std::nullopt;  // these only describe the entry behind them
        archive.remove_prefix(
            std::min(archive.size(), (bytes + block_bytes - 1) / block_bytes * block_bytes));
    }
    return std::nullopt;
}

}  // namespace

Engine::Engine(std::string socket_path) : line_(std::move(socket_path)) {}

EngineFacts Engine::facts() {
    const sdk::HttpResponse response = line_.call("GET", std::string(api) + "/version");
    if (!response.ok()) throw_engine_error(response);
    const json version = parse_or_throw(response);
    EngineFacts facts;
    for (const json& component : version.value("Components", json::array()))
        if (component.value("Name", "").find("Podman") != std::string::npos)
            facts.flavour = EngineFlavour::podman;
    facts.name = facts.flavour == EngineFlavour::podman ? "podman " : "docker ";
    facts.name += version.value("Version", "");
    if (facts.flavour == EngineFlavour::podman) ask_podman(facts);
    return facts;
}

void Engine::ask_podman(EngineFacts& facts) {
    const sdk::HttpResponse response = line_.call("GET", "/v4.0.0/libpod/info");
    if (!response.ok()) throw_engine_error(response);
    const json info = parse_or_throw(response);
    const json host = info.value("host", json::object());
    facts.runtime = host.value("ociRuntime", json::object()).value("name", "");
    const json store = info.value("store", json::object());
    const std::string driver = store.value("graphDriverName", "");
    if (const std::string folder = store.value("runRoot", ""); !folder.empty())
        facts.containers_folder = folder + "/" + driver + "-containers";
    if (const std::string folder = store.value("graphRoot", ""); !folder.empty())
        facts.images_file = folder + "/" + driver + "-images/images.json";
}

std::vector<ContainerSeen> Engine::list(const std::string& host_id) {
    const json filters = {{"label", {label_lease, std::string(label_host) + "=" + host_id}}};
    const sdk::HttpResponse response = line_.call(
        "GET", std::string(api) + "/containers/json?all=1&filters=" + sdk::percent_encode(filters.dump()));
    if (!response.ok()) throw_engine_error(response);
    std::vector<ContainerSeen> containers;
    for (const json& item : parse_or_throw(response)) {
        const json labels = item.value("Labels", json::object());
        containers.push_back({.id = item.at("Id").get<std::string>(),
                              .lease_id = label_of(labels, label_lease),
                              .lease_epoch = number_or_zero(label_of(labels, label_epoch)),
                              .state = state_named(item.value("State", ""))});
    }
    return containers;
}

std::optional<ImageFacts> Engine::find_image(const std::string& reference) {
    const sdk::HttpResponse response =
        line_.call("GET", std::string(api) + "/images/" + sdk::percent_encode(reference) + "/json");
    if (response.status == 404) return std::nullopt;
    if (!response.ok()) throw_engine_error(response);
    const json image = parse_or_throw(response);
    ImageFacts facts;
    facts.id = image.value("Id", "");
    const json config = image.value("Config", json::object());
    if (const auto user = config.find("User"); user != config.end() && user->is_string())
        facts.user = user->get<std::string>();
    if (const auto env = config.find("Env"); env != config.end() && env->is_array())
        facts.env = env->get<std::vector<std::string>>();
    if (const auto volumes = config.find("Volumes"); volumes != config.end() && volumes->is_object())
        for (const auto& [path, unused] : volumes->items())
            facts.volumes.push_back(path);
    for (const char* list : {"RepoTags", "RepoDigests"})
        if (const auto names = image.find(list); names != image.end() && names->is_array())
            for (const json& name : *names)
                if (name.is_string()) facts.names.push_back(name.get<std::string>());
    return facts;
}

void Engine::pull(const std::string& reference, std::stop_token stop, const std::string& registry_auth,
                  const OnProgress& on_progress) {
    sdk::HttpRequest request;
    request.method = "POST";
    request.path = std::string(api) + "/images/create?fromImage=" + sdk::percent_encode(reference);
    request.timeout_ms = pull_timeout_ms;
    request.stop = stop;
    if (!registry_auth.empty()) request.headers.emplace_back(registry_auth_header, registry_auth);
    PullStream pulled;
    const sdk::HttpResponse response = line_.http().stream(
        request, [](const sdk::HttpResponse&) {},
        [&](std::string_view octets) {
            if (pulled.feed(octets) && on_progress) on_progress(pulled.progress());
            return true;
        });
    if (!response.ok()) throw_engine_error(response);
    pulled.finish();
    if (!pulled.error().empty()) throw EngineError(response.status, pulled.error());
}

void Engine::ask_registry(const std::string& reference, std::stop_token stop,
                          const std::string& registry_auth) {
    sdk::HttpRequest request;
    request.path = std::string(api) + "/distribution/" + sdk::percent_encode(reference) + "/json";
    request.timeout_ms = engine_call_timeout_ms;
    request.stop = stop;
    if (!registry_auth.empty()) request.headers.emplace_back(registry_auth_header, registry_auth);
    const sdk::HttpResponse response = line_.http().send(request);
    if (!response.ok()) throw_engine_error(response);
}

void Engine::name_image(const std::string& id, const std::string& repository, const std::string& tag) {
    const sdk::HttpResponse response = line_.call(
        "POST", std::string(api) + "/images/" + sdk::percent_encode(id) +
                    "/tag?repo=" + sdk::percent_encode(repository) + "&tag=" + sdk::percent_encode(tag));
    if (!response.ok()) throw_engine_error(response);
}

std::string Engine::create(const GuestProfile& profile, EngineFlavour flavour) {
    const auto ask = [&] {
        return flavour == EngineFlavour::podman
                   ? line_.call("POST", "/v4.0.0/libpod/containers/create", podman_create_body(profile))
                   : line_.call(
                         "POST",
                         std::string(api) + "/containers/create?name=" + sdk::percent_encode(profile.name),
                         docker_create_body(profile));
    };
    sdk::HttpResponse response = ask();
    if (!response.ok()) {
        // The name is taken by one that an agent made and could not note before it was killed, most likely.
        remove(profile.name);
        response = ask();
    }
    if (!response.ok()) throw_engine_error(response);
    return parse_or_throw(response).at("Id").get<std::string>();
}

void Engine::prepare(const std::string& id) {
    const sdk::HttpResponse response = line_.call("POST", "/v4.0.0/libpod/containers/" + id + "/init");
    if (!response.ok() && response.status != 304) throw_engine_error(response);
}

/// Podman fails to read of a process that has ended and of which it has not been told yet; it is in a
/// moment.
sdk::HttpResponse Engine::look_at(const std::string& path) {
    for (int attempt = 1;; ++attempt) {
        sdk::HttpResponse response = line_.call("GET", path);
        const bool has_just_ended =
            response.status == 500 && engine_message(response).find("no such process") != std::string::npos;
        if (!has_just_ended || attempt == look_tries_max) return response;
        std::this_thread::sleep_for(look_retry_pause);
    }
}

std::int64_t Engine::process_of(const std::string& id) {
    // In Podman's own words, which it does not have to put into Docker's first.
    const sdk::HttpResponse found = look_at("/v4.0.0/libpod/containers/" + id + "/json");
    if (!found.ok()) throw_engine_error(found);
    const json state = parse_or_throw(found).value("State", json::object());
    const auto pid = state.value("Pid", std::int64_t{0});
    if (pid <= 0) throw EngineError(found.status, "a container without a process");
    return pid;
}

HostUser Engine::user_base(const std::string& id) {
    const sdk::HttpResponse response = look_at("/v4.0.0/libpod/containers/" + id + "/json");
    if (!response.ok()) throw_engine_error(response);
    const json host = parse_or_throw(response).value("HostConfig", json::object());
    const json mappings = host.value("IDMappings", json());
    const auto first = [&](const char* name) -> std::int64_t {
        if (!mappings.is_object() || !mappings.contains(name) || !mappings[name].is_array()) return 0;
        for (const json& range : mappings[name]) {
            // "container:host:count"
            const std::string text = range.is_string() ? range.get<std::string>() : std::string();
            if (text.starts_with("0:")) return number_or_zero(text.substr(2));
        }
        throw EngineError(response.status, "the container's root is not mapped to a user of this host");
    };
    return {first("UidMap"), first("GidMap")};
}

std::optional<std::string> Engine::read_file(const std::string& id, const std::string& path) {
    const sdk::HttpResponse response = line_.call(
        "GET", std::string(api) + "/containers/" + id + "/archive?path=" + sdk::percent_encode(path));
    if (response.status == 404) return std::nullopt;
    if (!response.ok()) throw_engine_error(response);
    return first_file_of(response.body);
}

void Engine::start(const std::string& id) {
    const sdk::HttpResponse response =
        line_.call("POST", std::string(api) + "/containers/" + id + "/start");
    if (!response.ok() && response.status != 304) throw_engine_error(response);
}

std::optional<ContainerInspection> Engine::inspect(const std::string& id) {
    const sdk::HttpResponse response = look_at(std::string(api) + "/containers/" + id + "/json");
    if (response.status == 404) return std::nullopt;
    if (!response.ok()) throw_engine_error(response);
    const json body = parse_or_throw(response);
    const json& state = body.at("State");
    ContainerInspection found;
    found.state = state_named(state.value("Status", ""));
    found.exit_code = state.value("ExitCode", std::int64_t{0});
    found.oom_killed = state.value("OOMKilled", false);
    found.started_unix_ms = moment_or_zero(state, "StartedAt");
    found.finished_unix_ms = moment_or_zero(state, "FinishedAt");
    found.ever_started = found.started_unix_ms > 0;
    found.pid = state.value("Pid", std::int64_t{0});
    found.is_ending = state.value("Status", "") == "stopped";
    return found;
}

bool Engine::act(const std::string& id, const std::string& verb) {
    const sdk::HttpResponse response =
        line_.call("POST", std::string(api) + "/containers/" + id + "/" + verb);
    if (response.ok()) return true;
    // 404: gone. 409 (Docker) and 500 (Podman) with a state: it is not in the state that the verb needs.
    if (response.status == 404 || response.status == 409) return false;
    const std::string message = engine_message(response);
    if (message.find("state improper") != std::string::npos) return false;
    throw EngineError(response.status, message);
}

bool Engine::signal(const std::string& id, const char* signal_name) {
    return act(id, std::string("kill?signal=") + signal_name);
}

bool Engine::pause(const std::string& id) {
    return act(id, "pause");
}

bool Engine::resume(const std::string& id) {
    return act(id, "unpause");
}

void Engine::remove(const std::string& id) {
    // Killed first: Podman's forced removal would wait ten seconds for a SIGTERM to work.
    act(id, "kill?signal=SIGKILL");
    // Podman's own clean-up of a container that has just ended may still hold its mounts for a moment.
    for (int attempt = 1;; ++attempt) {
        const sdk::HttpResponse response =
            line_.call("DELETE", std::string(api) + "/containers/" + id + "?force=true&v=true");
        if (response.ok() || response.status == 404) return;
        if (attempt == remove_tries_max) throw_engine_error(response);
        std::this_thread::sleep_for(remove_retry_pause);
    }
}

void Engine::logs(const std::string& id, bool follow, const LogDemuxer::OnData& on_data,
                  std::stop_token stop) {
    sdk::HttpRequest request;
    request.path = std::string(api) + "/containers/" + id +
                   "/logs?stdout=true&stderr=true&follow=" + (follow ? "true" : "false");
    request.timeout_ms = follow ? 0 : engine_call_timeout_ms;
    request.stop = stop;
    LogDemuxer demuxer(on_data);
    const sdk::HttpResponse response = line_.http().stream(
        request, [](const sdk::HttpResponse&) {},
        [&](std::string_view chunk) { return demuxer.feed(chunk); });
    if (!response.ok()) throw_engine_error(response);
}

}  // namespace fallow::agent
