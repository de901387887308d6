// The routes of ServerLink for what a job is given and leaves: its secrets, its outputs.
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "agent/server_link.hpp"
#include "fallow/digest.hpp"

namespace fallow::agent {
namespace {

using nlohmann::json;

constexpr std::int64_t call_timeout_ms = 30'000;
constexpr std::int64_t chunk_timeout_ms = 60'000;

std::string path_of(const std::string& lease_id, const std::string& rest) {
    return "/v1/agent/leases/" + lease_id + rest;
}

json files_json(const std::vector<OutputFile>& files) {
    json items = json::array();
    for (const OutputFile& file : files)
        items.push_back(
            {{"path", file.path}, {"bytes", file.bytes}, {"sha256", file.sha256}, {"chunks", file.chunks}});
    return items;
}

SecretValue secret_from(const json& item) {
    auto octets = sdk::base64_decode(item.at("value").get<std::string>());
    if (!octets) throw std::runtime_error("the server's reply has not the expected form");
    return {item.at("name").get<std::string>(), *std::move(octets)};
}

/// `read` over the parsed body; throws when that is not what was expected. What a reply holds may be a
/// secret, so that the message does not repeat it.
template <class Read>
auto parse_reply(const std::string& body, Read&& read) {
    try {
        return read(json::parse(body));
    } catch (const json::exception&) {
        throw std::runtime_error("the server's reply has not the expected form");
    }
}

}  // namespace

std::vector<std::string> ServerLink::begin_outputs(const std::string& lease_id, std::int64_t lease_epoch,
                                                   const std::vector<OutputFile>& files) {
    const json body = {{"lease_epoch", lease_epoch}, {"files", files_json(files)}};
    const std::string reply = post(path_of(lease_id, "/output-upload/begin"), body.dump()).body;
    return parse_reply(
        reply, [](const json& parsed) { return parsed.at("missing").get<std::vector<std::string>>(); });
}

void ServerLink::put_output_chunk(const std::string& lease_id, const std::string& sha256,
                                  std::string octets, std::stop_token stop) {
    sdk::HttpRequest request;
    request.method = "PUT";
    request.path = path_of(lease_id, "/output-upload/chunks/" + sha256);
    request.body = std::move(octets);
    request.content_type = "application/octet-stream";
    request.timeout_ms = chunk_timeout_ms;
    request.stop = stop;
    send(std::move(request));
}

void ServerLink::commit_outputs(const std::string& lease_id, std::int64_t lease_epoch,
                                std::int64_t sequence, const std::vector<OutputFile>& files) {
    const json body = {{"lease_epoch", lease_epoch}, {"sequence", sequence}, {"files", files_json(files)}};
    post(path_of(lease_id, "/output-upload"), body.dump());
}

LeaseSecrets ServerLink::secrets(const std::string& lease_id, std::stop_token stop) {
    sdk::HttpRequest request;
    request.path = path_of(lease_id, "/secrets");
    request.timeout_ms = call_timeout_ms;
    request.stop = stop;
    const std::string reply = send(std::move(request)).body;
    return parse_reply(reply, [](const json& parsed) {
        LeaseSecrets secrets;
        for (const json& item : parsed.at("items"))
            secrets.files.push_back(secret_from(item));
        if (parsed.contains("registry")) secrets.registry = secret_from(parsed.at("registry"));
        return secrets;
    });
}

}  // namespace fallow::agent
