#include "accounts/artifacts.hpp"

#include <algorithm>

#include "accounts/text.hpp"

namespace fallow::accounts {

namespace {

constexpr auto part_bytes = static_cast<std::int64_t>(limits::artifact_part_bytes_max);
static_assert(limits::artifact_bytes_max / part_bytes < (1LL << 31), "part numbers are 32-bit");

Error bad_field(std::string detail, std::string_view pointer) {
    return refuse(ErrorCode::invalid_field, std::move(detail), std::string(pointer));
}

bool is_hex_digit(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool is_bad_segment(std::string_view segment) {
    return segment.empty() || segment == "." || segment == "..";
}

}  // namespace

std::int32_t part_count(std::int64_t bytes) {
    return static_cast<std::int32_t>((bytes + part_bytes - 1) / part_bytes);
}

std::optional<std::int64_t> part_size(std::int64_t bytes, std::int32_t number) {
    if (number < 0 || number >= part_count(bytes)) return std::nullopt;
    return std::min(part_bytes, bytes - number * part_bytes);
}

Status check_artifact_bytes(std::int64_t bytes) {
    if (bytes < 0 || bytes > limits::artifact_bytes_max) {
        return bad_field("An artifact has 0 to " + std::to_string(limits::artifact_bytes_max) + " bytes.",
                         "/bytes");
    }
    return Done{};
}

Status check_sha256(std::string_view text) {
    if (text.size() != 64 || !std::all_of(text.begin(), text.end(), is_hex_digit)) {
        return bad_field("A SHA-256 is 64 lower-case hexadecimal digits.", "/sha256");
    }
    return Done{};
}

Status check_job_path(std::string_view path, std::string_view pointer) {
    if (path.empty() || path.size() > limits::text_field_bytes_max) {
        return bad_field("A path has 1 to " + std::to_string(limits::text_field_bytes_max) + " bytes.",
                         pointer);
    }
    if (!is_plain_text(path) || path.find('\\') != std::string_view::npos) {
        return bad_field("A path is UTF-8 text without control characters and backslashes.", pointer);
    }
    for (std::string_view rest = path;;) {
        const auto slash = rest.find('/');
        if (is_bad_segment(rest.substr(0, slash))) {
            return bad_field("A path is relative and has no empty, \".\" or \"..\" segment.", pointer);
        }
        if (slash == std::string_view::npos) return Done{};
        rest.remove_prefix(slash + 1);
    }
}

Status check_part(const Artifact& artifact, std::int32_t number, std::size_t size) {
    const auto expected = part_size(artifact.bytes, number);
    if (!expected) {
        return refuse(
            ErrorCode::not_found,
            "The artifact has " + std::to_string(part_count(artifact.bytes)) + " parts, counted from 0.");
    }
    if (static_cast<std::int64_t>(size) != *expected) {
        return bad_field("Part " + std::to_string(number) + " has exactly " + std::to_string(*expected) +
                             " bytes; " + std::to_string(size) + " arrived.",
                         "");
    }
    return Done{};
}

Artifact new_artifact(ArtifactId id, OrganizationId organization, std::string name, std::int64_t bytes,
                      std::string sha256, Time now) {
    Artifact artifact;
    artifact.id = id;
    artifact.organization = organization;
    artifact.name = std::move(name);
    artifact.bytes = bytes;
    artifact.sha256 = std::move(sha256);
    artifact.created_at = now;
    artifact.expires_at = now + Millis(limits::artifact_retention_ms);
    return artifact;
}

}  // namespace fallow::accounts
