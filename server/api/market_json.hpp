// The market's rows as the API shows them (schema/openapi.yaml). Every object that has a version ends with
// it, which is how a reply finds its own ETag (see reply.hpp).
#pragma once

#include <string>
#include <string_view>

#include "accounts/progress.hpp"
#include "api/json_writer.hpp"
#include "market/commands.hpp"

namespace fallow::api {

void write(JsonWriter& json, const market::Organization& organization);
void write(JsonWriter& json, const market::Host& host);
void write(JsonWriter& json, const market::Card& card);
/// `viewer`: only the seller sees its lists of renters.
void write(JsonWriter& json, const market::ListingView& view, OrganizationId viewer);
void write(JsonWriter& json, const market::Requirements& requirements);
void write(JsonWriter& json, const market::Order& order);
/// `viewer` decides the lease's `role`: who rents is the renter, anyone else sees it as the seller does.
void write(JsonWriter& json, const market::Lease& lease, OrganizationId viewer);
void write(JsonWriter& json, const market::Reservation& reservation, OrganizationId viewer);
/// `document` is the job's JobSpec, as job_specs keeps it. `progress`, which changes without the version,
/// comes behind it: such an object has no ETag.
void write(JsonWriter& json, const market::Job& job, std::string_view document,
           const accounts::LeaseProgress* progress = nullptr);
void write(JsonWriter& json, const market::Usage& usage);
void write(JsonWriter& json, const market::Freeze& freeze);
void write(JsonWriter& json, const market::Policy& policy);
void write(JsonWriter& json, const market::PolicyApproval& approval);

/// How far a host can be relied on, and all that follows from.
[[nodiscard]] std::string score_json(HostId host, const market::HostRecord& record);

/// An object on its own.
template <class Row, class... More>
[[nodiscard]] std::string to_json(const Row& row, const More&... more) {
    JsonWriter json;
    write(json, row, more...);
    return json.take();
}

}  // namespace fallow::api
