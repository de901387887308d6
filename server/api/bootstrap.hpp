// What a server does to its database before it serves: schema, partitions, the first admin key, the filter
// of keys.
#pragma once

#include <functional>
#include <string>

#include "api/data_folder.hpp"
#include "api/key_filter.hpp"
#include "base/time.hpp"
#include "store/connection.hpp"

namespace fallow::api {

/// Throws with the sentence that names the remedy unless the schema is this program's.
void require_schema(store::Connection& connection);

/// On a new installation: makes a key with every scope for the platform's own organization and leaves it in
/// admin.key (0600). True when it did.
bool create_first_admin_key(store::Connection& connection, const DataFolder& folder, Time now, KeyId id);

/// Adds every key in the database to the filter.
void load_key_filter(store::Connection& connection, KeyFilter& filter);

}  // namespace fallow::api
