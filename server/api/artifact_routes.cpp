// Artifacts of one's own: uploaded in parts, completed against their hash, read in parts.
#include "api/accounts_decode.hpp"
#include "api/accounts_json.hpp"
#include "api/artifacts.hpp"
#include "api/market_json.hpp"
#include "api/queries.hpp"
#include "api/reply.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"
#include "store/artifacts.hpp"

#include <charconv>

namespace fallow::api {
namespace {

using enum http::Method;

Result<http::Reply> create_artifact(JobCall& call) {
    const auto wanted = decode_artifact(call.request().body);
    if (!wanted) return wanted.error();
    const auto made = store::ArtifactStore(call.tx, call.author())
                          .create(accounts::new_artifact(
                              ArtifactId(call.services.random()), call.actor().organization, wanted->name,
                              wanted->bytes, wanted->sha256, call.services.now()));
    if (!made) return made.error();
    return json_reply(to_json(*made), 201);
}

/// What is kept, newest first; by its content, what is left of an upload is found again.
Result<http::Reply> list_artifacts(JobCall& call) {
    if (const Status good = check_query(call.request(), {"limit", "cursor", "sha256"}); !good)
        return good.error();
    const auto page = read_page(call.request(), "artifacts", 1);
    if (!page) return page.error();
    std::string where = "organization_id = $1 AND expires_at > $2";
    store::Parameters parameters = {store::parameter_of(call.actor().organization),
                                    store::parameter_of(call.services.now())};
    if (const std::string* content = call.request().query_value("sha256")) {
        if (!accounts::check_sha256(*content))
            return refuse(ErrorCode::invalid_field, "A SHA-256 is 64 lower-case hexadecimal digits.",
                          "query:sha256");
        where += " AND sha256 = $3";
        parameters.push_back(store::parameter_of(*content));
    }
    const auto found =
        read_newest<accounts::Artifact>(call.tx, where, std::move(parameters), "created_at", *page);
    return list_reply(
        found, page->limit, "artifacts",
        [](JsonWriter& json, const accounts::Artifact& artifact) { write(json, artifact); },
        [](const accounts::Artifact& artifact) {
            return CursorKey{{artifact.created_at.ms}, artifact.id.raw};
        });
}

Result<http::Reply> get_missing_parts(JobCall& call) {
    const auto id = call.id<ArtifactId>("artifact");
    if (!id) return id.error();
    const auto missing = store::ArtifactStore(call.tx, call.author()).missing_parts(*id);
    if (!missing) return missing.error();
    JsonWriter json;
    json.begin_object().field("missing", *missing).end_object();
    return json_reply(json.take());
}

Result<http::Reply> get_artifact(JobCall& call) {
    const auto id = call.id<ArtifactId>("artifact");
    if (!id) return id.error();
    const auto found = store::ArtifactStore(call.tx, call.author()).find(*id);
    if (!found) return found.error();
    return json_reply(to_json(*found));
}

Result<http::Reply> put_own_part(JobCall& call) {
    const auto id = call.id<ArtifactId>("artifact");
    if (!id) return id.error();
    return put_part(call, *id);
}

Result<http::Reply> get_own_part(JobCall& call) {
    const auto id = call.id<ArtifactId>("artifact");
    if (!id) return id.error();
    return get_part(call, *id);
}

Result<http::Reply> complete_own(JobCall& call) {
    const auto id = call.id<ArtifactId>("artifact");
    if (!id) return id.error();
    return complete_artifact(call, *id);
}

/// The part's number in the path; a number that no artifact can have is not found.
Result<std::int32_t> part_number(const JobCall& call) {
    const std::string& text = call.parameter("part");
    std::int32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < 0)
        return refuse(ErrorCode::not_found, "There is no such part; parts are numbered from 0.");
    return number;
}

}  // namespace

Result<http::Reply> put_part(JobCall& call, ArtifactId artifact) {
    const auto number = part_number(call);
    if (!number) return number.error();
    const Status kept =
        store::ArtifactStore(call.tx, call.author()).put_part(artifact, *number, call.request().body);
    if (!kept) return kept.error();
    return no_content();
}

Result<http::Reply> get_part(JobCall& call, ArtifactId artifact) {
    const auto number = part_number(call);
    if (!number) return number.error();
    auto octets = store::ArtifactStore(call.tx, call.author()).read_part(artifact, *number);
    if (!octets) return octets.error();
    http::Reply reply = json_reply(std::move(*octets));
    reply.content_type = "application/octet-stream";
    return reply;
}

Result<http::Reply> complete_artifact(JobCall& call, ArtifactId artifact) {
    if (const Status good = decode_nothing(call.request().body); !good) return good.error();
    const auto complete = store::ArtifactStore(call.tx, call.author()).complete(artifact);
    if (!complete) return complete.error();
    return json_reply(to_json(*complete));
}

void add_artifact_routes(std::vector<Route>& routes) {
    const auto reads = reads_as_renter();
    const auto writes = writes_as_renter();
    routes.push_back({post, "/v1/artifacts", writes, small_json, keyed, JobHandler{create_artifact}});
    routes.push_back({get, "/v1/artifacts", reads, no_body, not_keyed, JobHandler{list_artifacts}});
    routes.push_back({get, "/v1/artifacts/{artifact}/missing-parts", reads, no_body, not_keyed,
                      JobHandler{get_missing_parts}});
    routes.push_back(
        {get, "/v1/artifacts/{artifact}", reads, no_body, not_keyed, JobHandler{get_artifact}});
    routes.push_back({put, "/v1/artifacts/{artifact}/parts/{part}", writes, part_octets, not_keyed,
                      JobHandler{put_own_part}});
    routes.push_back({get, "/v1/artifacts/{artifact}/parts/{part}", reads, no_body, not_keyed,
                      JobHandler{get_own_part}});
    routes.push_back(
        {post, "/v1/artifacts/{artifact}/complete", writes, small_json, keyed, JobHandler{complete_own}});
}

}  // namespace fallow::api
