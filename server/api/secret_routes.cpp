// Secrets: an organization sets, lists and deletes its own, and no reply holds a value. An agent reads
// those that the job names which its host is about to run, and nobody else does.
#include <openssl/crypto.h>

#include "accounts/secrets.hpp"
#include "api/field_decode.hpp"
#include "api/job_decode.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"
#include "api/sealed_secret.hpp"
#include "api/services.hpp"
#include "auth/base64.hpp"
#include "store/secrets.hpp"

namespace fallow::api {
namespace {

using accounts::Secret;
using enum http::Method;

void write(JsonWriter& json, const Secret& secret) {
    json.begin_object()
        .field("id", secret.id)
        .field("organization_id", secret.organization)
        .field("name", secret.name)
        .field("version", secret.version)
        .field("created_at", secret.created_at)
        .field("updated_at", secret.updated_at)
        .end_object();
}

Result<std::string> secret_name(const JobCall& call) {
    const std::string& name = call.parameter("name");
    if (const Status good = accounts::check_secret_name(name, ""); !good) return good.error();
    return name;
}

Result<http::Reply> set_secret(JobCall& call) {
    auto value = decode_body(call.request().body, [](FieldReader& reader) {
        std::string octets = reader.base64_bytes("value", limits::secret_bytes_max);
        if (octets.empty() && !reader.has_failed())
            reader.fail(ErrorCode::invalid_field, "value", "A secret has one byte at least.");
        return octets;
    });
    if (!value) return value.error();
    const auto name = secret_name(call);
    if (!name) return name.error();
    Secret fresh;
    fresh.id = accounts::SecretId(call.services.random());
    fresh.organization = call.actor().organization;
    fresh.name = *name;
    fresh.created_at = fresh.updated_at = call.services.now();
    store::SecretStore secrets(call.tx, call.author());
    const auto secret = secrets.next_version(fresh);
    if (!secret) return secret.error();
    const auto sealed = call.services.vault.seal(*value, accounts::binding_of(*secret));
    OPENSSL_cleanse(value->data(), value->size());
    secrets.write(*secret, stored_of(sealed));
    call.publish.emplace_back("journal");
    JsonWriter json;
    write(json, *secret);
    return json_reply(json.take());
}

Result<http::Reply> list_secrets(JobCall& call) {
    return newest_page<Secret>(call, "secrets", "", {}, "created_at", &Secret::created_at,
                               [](JsonWriter& json, const Secret& row) { write(json, row); });
}

Result<http::Reply> remove_secret(JobCall& call) {
    const auto name = secret_name(call);
    if (!name) return name.error();
    const Status removed = store::SecretStore(call.tx, call.author()).remove(*name);
    if (!removed) return removed.error();
    call.publish.emplace_back("journal");
    return no_content();
}

struct NamedSecrets {
    std::vector<std::string> files;
    std::optional<std::string> registry;
};

/// What the lease's job names, while the lease is being prepared and the job has no other. The database
/// says the same: an agent's role sees no other rows.
Result<NamedSecrets> names_for(JobCall& call, LeaseId id) {
    const auto lease = find_row<market::Lease>(call.tx, id);
    if (!lease) return lease.error();
    const bool is_awaited = lease->state == market::LeaseState::preparing && !lease->stop_reason;
    if (!is_awaited || !lease->job)
        return refuse(ErrorCode::wrong_state,
                      "Secrets are given for a lease that is being prepared, and has a job.");
    const auto job = find_row<market::Job>(call.tx, *lease->job);
    if (!job || job->lease != lease->id)
        return refuse(ErrorCode::stale_epoch, "The job has gone on to another lease.");
    const auto row = find_row<market::JobSpec>(call.tx, *lease->job, "job_id");
    if (!row) return row.error();
    auto spec = decode_job_spec(row->document);
    if (!spec) return spec.error();
    return NamedSecrets{std::move(spec->secrets), std::move(spec->registry_secret)};
}

/// The value of one is in `json` and nowhere else afterwards.
void write_value(JsonWriter& json, JobCall& call, const store::StoredSecret& item) {
    auto value = call.services.vault.open(sealed_of(item.sealed), accounts::binding_of(item.secret));
    if (!value) throw std::runtime_error("the secret " + item.secret.id.text() + " does not open");
    json.begin_object()
        .field("name", item.secret.name)
        .field("value", auth::base64_encode(*value))
        .end_object();
    OPENSSL_cleanse(value->data(), value->size());
}

/// What the image is pulled with stands apart from what becomes files, so that it never becomes one.
Result<http::Reply> give_secrets(JobCall& call) {
    const auto id = call.id<LeaseId>("lease");
    if (!id) return id.error();
    const auto names = names_for(call, *id);
    if (!names) return names.error();
    store::SecretStore secrets(call.tx, call.author());
    const auto stored = secrets.read(names->files);
    std::vector<store::StoredSecret> registry;
    if (names->registry) registry = secrets.read({*names->registry});
    if (stored.size() != names->files.size() || (names->registry && registry.empty()))
        return refuse(ErrorCode::not_found, "A secret that the job names is no longer there.");
    JsonWriter json;
    json.begin_object().key("items").begin_array();
    for (const store::StoredSecret& item : stored)
        write_value(json, call, item);
    json.end_array();
    if (!registry.empty()) write_value(json.key("registry"), call, registry.front());
    json.end_object();
    return json_reply(json.take());
}

}  // namespace

void add_secret_routes(std::vector<Route>& routes) {
    routes.push_back(
        {put, "/v1/secrets/{name}", writes_as_renter(), job_json, not_keyed, JobHandler{set_secret}});
    routes.push_back({get, "/v1/secrets", reads_as_renter(), no_body, not_keyed, JobHandler{list_secrets}});
    routes.push_back(
        {del, "/v1/secrets/{name}", writes_as_renter(), no_body, not_keyed, JobHandler{remove_secret}});
    routes.push_back({get, "/v1/agent/leases/{lease}/secrets", Access::agent(), no_body, not_keyed,
                      JobHandler{give_secrets}});
}

}  // namespace fallow::api
