// The frames of a tunnel as bytes, and what they hold.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "fallow/tunnel.hpp"

namespace fallow::sdk {
namespace {

using nlohmann::json;

constexpr std::size_t head_bytes = 5;
constexpr std::size_t command_bytes_max = 32 * 1024;
constexpr std::size_t variables_max = 256;

std::string big_endian(std::uint32_t value, int bytes) {
    std::string text;
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        text += static_cast<char>(value >> shift & 0xff);
    return text;
}

std::uint32_t number_of(std::string_view bytes) {
    std::uint32_t value = 0;
    for (const char byte : bytes)
        value = value << 8 | static_cast<unsigned char>(byte);
    return value;
}

template <class T>
T member_or(const json& object, const char* name, T otherwise) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) return otherwise;
    try {
        return found->get<T>();
    } catch (const json::exception&) {
        throw std::runtime_error(fmt::format("{} has the wrong form", name));
    }
}

void check(const TunnelRequest& request) {
    const bool is_exec = request.kind == "exec";
    if (!is_exec && request.kind != "attach" && request.kind != "port")
        throw std::runtime_error("kind must be exec, attach or port");
    if (is_exec && (request.command.empty() || request.command.front().empty()))
        throw std::runtime_error("command must name a program");
    std::size_t bytes = 0;
    for (const std::string& word : request.command)
        bytes += word.size() + 1;
    for (const auto& [name, value] : request.environment) {
        if (name.empty() || name.find('=') != std::string::npos)
            throw std::runtime_error("environment has a name that is empty or holds \"=\"");
        bytes += name.size() + value.size() + 2;
    }
    if (bytes > command_bytes_max || request.environment.size() > variables_max)
        throw std::runtime_error(fmt::format("command and environment may have {} bytes and {} variables",
                                             command_bytes_max, variables_max));
    if (!request.folder.empty() && request.folder.front() != '/')
        throw std::runtime_error("folder must begin with /");
    if (request.kind == "port" && (request.port < 1 || request.port > 65'535))
        throw std::runtime_error("port must be 1 to 65535");
}

}  // namespace

std::string encode_frame(FrameKind kind, std::string_view payload) {
    if (payload.size() > tunnel_payload_bytes_max) throw std::length_error("a frame's payload is too long");
    std::string frame(1, static_cast<char>(kind));
    frame += big_endian(static_cast<std::uint32_t>(payload.size()), 4);
    return frame.append(payload);
}

std::optional<Frame> FrameReader::next() {
    const std::string_view rest = std::string_view(bytes_).substr(at_);
    if (rest.size() < head_bytes) return std::nullopt;
    const std::size_t length = number_of(rest.substr(1, 4));
    if (length > tunnel_payload_bytes_max)
        throw std::runtime_error("the tunnel carries something that is no frame");
    if (rest.size() < head_bytes + length) {
        bytes_.erase(0, std::exchange(at_, 0));
        return std::nullopt;
    }
    Frame frame{static_cast<FrameKind>(rest.front()), std::string(rest.substr(head_bytes, length))};
    at_ += head_bytes + length;
    if (at_ == bytes_.size()) {
        bytes_.clear();
        at_ = 0;
    }
    return frame;
}

std::string encode_size(TerminalSize size) {
    return big_endian(size.columns, 2) + big_endian(size.rows, 2);
}

std::optional<TerminalSize> decode_size(std::string_view payload) {
    if (payload.size() != 4) return std::nullopt;
    return TerminalSize{static_cast<std::uint16_t>(number_of(payload.substr(0, 2))),
                        static_cast<std::uint16_t>(number_of(payload.substr(2)))};
}

std::string encode_exit(std::int32_t code) {
    return big_endian(static_cast<std::uint32_t>(code), 4);
}

std::optional<std::int32_t> decode_exit(std::string_view payload) {
    if (payload.size() != 4) return std::nullopt;
    return static_cast<std::int32_t>(number_of(payload));
}

std::string to_json(const TunnelRequest& request) {
    json object = {{"kind", request.kind}};
    if (request.kind == "port") object["port"] = request.port;
    if (request.kind == "exec") {
        object["command"] = request.command;
        object["environment"] = request.environment;
        object["folder"] = request.folder;
        object["has_input"] = request.has_input;
        if (request.terminal)
            object["terminal"] = {{"columns", request.terminal->columns}, {"rows", request.terminal->rows}};
    }
    return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

TunnelRequest tunnel_request_from_json(std::string_view text) {
    const json object = json::parse(text, nullptr, false);
    if (!object.is_object()) throw std::runtime_error("the request is not a JSON object");
    TunnelRequest request;
    request.kind = member_or(object, "kind", std::string());
    request.command = member_or(object, "command", std::vector<std::string>());
    request.environment = member_or(object, "environment", std::map<std::string, std::string>());
    request.folder = member_or(object, "folder", std::string());
    request.has_input = member_or(object, "has_input", false);
    request.port = member_or(object, "port", std::int64_t{0});
    if (const json terminal = member_or(object, "terminal", json()); terminal.is_object())
        request.terminal = TerminalSize{member_or(terminal, "columns", std::uint16_t{80}),
                                        member_or(terminal, "rows", std::uint16_t{24})};
    check(request);
    return request;
}

}  // namespace fallow::sdk
