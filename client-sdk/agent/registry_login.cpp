#include "agent/registry_login.hpp"

#include <string.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fallow/digest.hpp"

namespace fallow::agent {
namespace {

using nlohmann::json;

/// What Docker's own client calls its registry here.
constexpr std::string_view hub_address = "https://index.docker.io/v1/";

bool is_word(std::string_view text) {
    return !text.empty() && std::ranges::none_of(text, [](char c) { return c == '\n' || c == '\0'; });
}

bool has_text(const json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() && !found->get_ref<const std::string&>().empty();
}

/// Null when it is none.
json login_from_line(std::string_view line) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return nullptr;
    const std::string username(line.substr(0, colon));
    const std::string password(line.substr(colon + 1));
    if (!is_word(username) || !is_word(password)) return nullptr;
    return {{"username", username}, {"password", password}};
}

/// Null when it is none. An identity token stands alone: Podman takes one or the other.
json login_from_json(std::string_view text) {
    const json object = json::parse(text, nullptr, false);
    if (!object.is_object()) return nullptr;
    json login = json::object();
    if (has_text(object, "identitytoken")) {
        login["identitytoken"] = object["identitytoken"];
        return login;
    }
    if (!has_text(object, "username") || !has_text(object, "password")) return nullptr;
    login["username"] = object["username"];
    login["password"] = object["password"];
    return login;
}

}  // namespace

std::optional<std::string> registry_auth(std::string_view secret, std::string_view registry) {
    const auto first = secret.find_first_not_of(" \t\r\n");
    const bool is_json = first != std::string_view::npos && secret[first] == '{';
    json login = is_json ? login_from_json(secret) : login_from_line(secret);
    if (login.is_null()) return std::nullopt;
    login["serveraddress"] = std::string(registry == "docker.io" ? hub_address : registry);
    try {
        std::string text = login.dump();
        std::string header = sdk::base64_encode(text);
        wipe(text);
        std::ranges::replace(header, '+', '-');
        std::ranges::replace(header, '/', '_');
        return header;
    } catch (const json::exception&) {
        return std::nullopt;  // no UTF-8
    }
}

void wipe(std::string& text) {
    ::explicit_bzero(text.data(), text.size());
    text.clear();
}

}  // namespace fallow::agent
