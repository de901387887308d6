// A lease's receipt as a reply: the signed texts verbatim, with what is needed to verify them.
#pragma once

#include "base/result.hpp"
#include "http/message.hpp"
#include "market/lease.hpp"
#include "store/transaction.hpp"

namespace fallow::api {

/// The lease has ended, and the transaction may see it.
[[nodiscard]] Result<http::Reply> read_receipt(store::Transaction& tx, const market::Lease& lease);

}  // namespace fallow::api
