// The columns of the objects that more than one noun prints.
#pragma once

#include "output.hpp"

namespace fallow::cli {

[[nodiscard]] Columns<Lease> lease_list();
[[nodiscard]] Columns<Lease> lease_fields();
[[nodiscard]] Columns<Order> order_list();
[[nodiscard]] Columns<Order> order_fields();
[[nodiscard]] Columns<Job> job_list();
[[nodiscard]] Columns<Job> job_fields();
[[nodiscard]] Columns<Event> event_list();
[[nodiscard]] Columns<Transfer> transfer_list();

/// Which rule of which policy rejected an order.
[[nodiscard]] std::string rejection_of(const Order& order);

/// The secret of a new key: to the file if there is one, else alone on stdout. What it may do goes to
/// stderr.
void print_key_secret(const Context& context, const KeySecret& key, const std::string& out);

}  // namespace fallow::cli
