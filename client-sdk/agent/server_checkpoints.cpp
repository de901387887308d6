// The routes for checkpoints of ServerLink.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "agent/clock.hpp"
#include "agent/server_link.hpp"

namespace fallow::agent {
namespace {

using nlohmann::json;

constexpr std::int64_t call_timeout_ms = 30'000;
constexpr std::int64_t chunk_timeout_ms = 60'000;

constexpr std::array<std::pair<EntryKind, const char*>, 3> kinds = {
    {{EntryKind::file, "file"}, {EntryKind::folder, "folder"}, {EntryKind::link, "link"}}};

EntryKind kind_named(const std::string& name) {
    for (const auto& [kind, text] : kinds)
        if (name == text) return kind;
    throw std::runtime_error("a checkpoint has an entry of the unknown kind " + name);
}

json entry_json(const CheckpointEntry& entry) {
    const auto kind =
        std::find_if(kinds.begin(), kinds.end(), [&](const auto& row) { return row.first == entry.kind; });
    json object = {{"path", entry.path}, {"kind", kind->second}};
    if (entry.kind == EntryKind::link) {
        object["target"] = entry.target;
    } else {
        object["mode"] = entry.mode;
    }
    if (entry.kind == EntryKind::file) {
        object["bytes"] = entry.bytes;
        object["modified_at"] = format_rfc3339(entry.modified_unix_ms);
        object["chunks"] = entry.chunks;
    }
    return object;
}

CheckpointEntry entry_from(const json& object) {
    CheckpointEntry entry;
    entry.path = object.at("path").get<std::string>();
    entry.kind = kind_named(object.at("kind").get<std::string>());
    entry.mode = object.value("mode", 0);
    entry.bytes = object.value("bytes", std::int64_t{0});
    entry.target = object.value("target", "");
    entry.chunks = object.value("chunks", std::vector<std::string>());
    if (object.contains("modified_at"))
        entry.modified_unix_ms = parse_rfc3339(object.at("modified_at").get<std::string>()).value_or(0);
    return entry;
}

std::string path_of(const std::string& lease_id, const std::string& rest = {}) {
    return "/v1/agent/leases/" + lease_id + "/checkpoint" + rest;
}

/// `read` over the parsed body; throws when that is not what was expected.
template <class Read>
auto parse_reply(const std::string& body, Read&& read) {
    try {
        return read(json::parse(body));
    } catch (const json::exception& error) {
        throw std::runtime_error(std::string("the reply about a checkpoint has not the expected form: ") +
                                 error.what());
    }
}

}  // namespace

std::optional<StoredCheckpoint> ServerLink::newest_checkpoint(const std::string& lease_id) {
    sdk::HttpRequest request;
    request.path = path_of(lease_id);
    request.timeout_ms = call_timeout_ms;
    const std::string body = send(std::move(request)).body;
    return parse_reply(body, [](const json& reply) -> std::optional<StoredCheckpoint> {
        const json& stored = reply.at("checkpoint");
        if (stored.is_null()) return std::nullopt;
        StoredCheckpoint found{stored.at("number").get<std::int64_t>(), {}};
        for (const json& entry : stored.at("entries"))
            found.entries.push_back(entry_from(entry));
        return found;
    });
}

std::vector<std::string> ServerLink::begin_checkpoint(const std::string& lease_id, std::int64_t lease_epoch,
                                                      const std::vector<std::string>& chunks) {
    const json body = {{"lease_epoch", lease_epoch}, {"chunks", chunks}};
    return parse_reply(post(path_of(lease_id, "/begin"), body.dump()).body, [](const json& reply) {
        return reply.at("missing").get<std::vector<std::string>>();
    });
}

void ServerLink::put_checkpoint_chunk(const std::string& lease_id, const std::string& sha256,
                                      std::string octets, std::stop_token stop) {
    sdk::HttpRequest request;
    request.method = "PUT";
    request.path = path_of(lease_id, "/chunks/" + sha256);
    request.body = std::move(octets);
    request.content_type = "application/octet-stream";
    request.timeout_ms = chunk_timeout_ms;
    request.stop = stop;
    send(std::move(request));
}

std::string ServerLink::checkpoint_chunk(const std::string& lease_id, const std::string& sha256,
                                         std::stop_token stop) {
    sdk::HttpRequest request;
    request.path = path_of(lease_id, "/chunks/" + sha256);
    request.timeout_ms = chunk_timeout_ms;
    request.stop = stop;
    return send(std::move(request)).body;
}

std::int64_t ServerLink::commit_checkpoint(const std::string& lease_id, std::int64_t lease_epoch,
                                           const std::vector<CheckpointEntry>& entries) {
    json items = json::array();
    for (const CheckpointEntry& entry : entries)
        items.push_back(entry_json(entry));
    const json body = {{"lease_epoch", lease_epoch}, {"entries", items}};
    return parse_reply(post(path_of(lease_id), body.dump()).body,
                       [](const json& reply) { return reply.at("number").get<std::int64_t>(); });
}

void ServerLink::note_checkpoint_problem(const std::string& lease_id, std::int64_t lease_epoch,
                                         const std::string& problem) {
    // What a path contributes to it may not be UTF-8, and a limit may have cut a letter in two.
    const json body = {{"lease_epoch", lease_epoch}, {"problem", problem}};
    post(path_of(lease_id, "/problem"), body.dump(-1, ' ', false, json::error_handler_t::replace));
}

}  // namespace fallow::agent
