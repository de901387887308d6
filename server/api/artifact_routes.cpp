// Artifacts of one's own: uploaded in parts, completed against their hash, read in parts.
#include "api/accounts_decode.hpp"
#include "api/accounts_json.hpp"
#include "api/artifacts.hpp"
#include "api/market_json.hpp"
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
