#include "agent/engine_line.hpp"

#include <nlohmann/json.hpp>
#include <utility>

namespace fallow::agent {
namespace {

using nlohmann::json;

sdk::HttpClientOptions options_for(std::string socket_path) {
    sdk::HttpClientOptions options;
    options.base_url = "http://localhost";
    options.unix_socket_path = std::move(socket_path);
    options.user_agent = "fallow-agent";
    return options;
}

}  // namespace

EngineLine::EngineLine(std::string socket_path) : http_(options_for(std::move(socket_path))) {}

sdk::HttpResponse EngineLine::call(const std::string& method, const std::string& path,
                                   const std::string& body) {
    sdk::HttpRequest request;
    request.method = method;
    request.path = path;
    request.body = body;
    if (!body.empty()) request.content_type = "application/json";
    request.timeout_ms = engine_call_timeout_ms;
    return http_.send(request);
}

std::string engine_message(const sdk::HttpResponse& response) {
    // Docker and Podman both answer {"message": …}.
    const json body = json::parse(response.body, nullptr, false);
    if (body.is_object() && body.contains("message") && body["message"].is_string())
        return body["message"].get<std::string>();
    return "the engine answered with status " + std::to_string(response.status);
}

void throw_engine_error(const sdk::HttpResponse& response) {
    throw EngineError(response.status, engine_message(response));
}

}  // namespace fallow::agent
