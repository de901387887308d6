#include "api/accounts_decode.hpp"

#include "accounts/artifacts.hpp"
#include "accounts/keys.hpp"
#include "api/field_decode.hpp"
#include "auth/scopes.hpp"
#include "base/limits.hpp"

namespace fallow::api {
namespace {

/// Takes over a refusal that is known with its own pointer, "/name" and the like.
void check(FieldReader& reader, const Status& status) {
    if (status || reader.has_failed()) return;
    const std::string& pointer = status.error().pointer;
    reader.fail(status.error().code, pointer.empty() ? pointer : pointer.substr(1), status.error().detail);
}

NewKey read_key(FieldReader& reader) {
    NewKey key;
    key.name = reader.text("name", {.bytes_max = limits::name_bytes_max});
    check(reader, accounts::check_name(key.name));
    const auto names = reader.texts("scopes", 16, {}, 1);
    if (!reader.has_failed()) {
        const auto scopes = auth::parse_scopes(names);
        if (scopes)
            key.scopes = scopes->names();
        else
            check(reader, scopes.error());
    }
    if (const auto span = reader.optional_integer("expires_in_ms", accounts::key_life_min.count,
                                                  accounts::key_life_max.count))
        key.expires_in = Millis(*span);
    return key;
}

NewArtifact read_artifact(FieldReader& reader, std::string_view name_field) {
    NewArtifact artifact;
    const bool is_path = name_field == "path";
    artifact.name = reader.text(
        name_field, {.bytes_max = is_path ? limits::text_field_bytes_max : limits::name_bytes_max});
    check(reader, is_path ? accounts::check_job_path(artifact.name) : accounts::check_name(artifact.name));
    artifact.bytes = reader.integer("bytes", 0, limits::artifact_bytes_max);
    artifact.sha256 = reader.text("sha256");
    check(reader, accounts::check_sha256(artifact.sha256));
    return artifact;
}

}  // namespace

Result<NewKey> decode_new_key(std::string_view body) {
    return decode_body(body, read_key);
}

Result<NewArtifact> decode_artifact(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) { return read_artifact(reader, "name"); });
}

Result<NewArtifact> decode_output(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) { return read_artifact(reader, "path"); });
}

Status decode_nothing(std::string_view body) {
    return decode_body(body, [](FieldReader&) { return Done{}; });
}

}  // namespace fallow::api
