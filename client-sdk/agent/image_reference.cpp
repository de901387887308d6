#include "agent/image_reference.hpp"

#include <algorithm>

namespace fallow::agent {
namespace {

constexpr std::string_view hub = "docker.io";
constexpr std::string_view hub_official = "library/";
constexpr std::string_view id_prefix = "sha256:";

/// Names of hosts are the same in both cases.
std::string lower(std::string_view text) {
    std::string lowered(text);
    for (char& c : lowered)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return lowered;
}

std::string_view without_tag_and_digest(std::string_view reference) {
    reference = reference.substr(0, reference.find('@'));
    const auto colon = reference.rfind(':');
    const auto slash = reference.rfind('/');
    const bool is_tag =
        colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash);
    return is_tag ? reference.substr(0, colon) : reference;
}

bool is_registry(std::string_view part) {
    return part == "localhost" || part.find_first_of(".:") != std::string_view::npos;
}

bool is_hexadecimal(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    });
}

}  // namespace

std::string repository_of(std::string_view reference) {
    std::string_view path = without_tag_and_digest(reference);
    std::string registry(hub);
    const auto slash = path.find('/');
    if (slash != std::string_view::npos && is_registry(path.substr(0, slash))) {
        registry = lower(path.substr(0, slash));
        path.remove_prefix(slash + 1);
    }
    if (registry == "index.docker.io" || registry == "registry-1.docker.io") registry = hub;
    const bool is_official = registry == hub && path.find('/') == std::string_view::npos;
    return registry + "/" + std::string(is_official ? hub_official : "") + std::string(path);
}

std::string registry_of(std::string_view reference) {
    const std::string repository = repository_of(reference);
    return repository.substr(0, repository.find('/'));
}

bool names_a_digest(std::string_view reference) {
    return reference.find('@') != std::string_view::npos;
}

bool is_image_id(std::string_view reference, std::string_view id) {
    if (reference.starts_with(id_prefix)) return true;
    if (id.starts_with(id_prefix)) id.remove_prefix(id_prefix.size());
    return is_hexadecimal(reference) && id.starts_with(reference);
}

}  // namespace fallow::agent
