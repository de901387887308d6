// The routes of sellers.
#include "caller.hpp"
#include "fallow/client.hpp"
#include "fallow/json.hpp"
#include "routes.hpp"

namespace fallow::sdk {

EnrollmentToken Client::create_enrollment_token(const NewEnrollmentToken& token,
                                                const CallOptions& options) {
    return from_json<EnrollmentToken>(
        caller_->post("/v1/enrollment-tokens", to_request_json(token), options));
}

Page<Host> Client::hosts(const PageRequest& page) {
    return page_from_json<Host>(caller_->get("/v1/hosts" + page_query(page)).body);
}

Host Client::host(std::string_view host_id) {
    return from_json<Host>(caller_->get(route("/v1/hosts/{}", host_id)).body);
}

HostScore Client::host_score(std::string_view host_id) {
    return from_json<HostScore>(caller_->get(route("/v1/hosts/{}/score", host_id)).body);
}

Host Client::drain_host(std::string_view host_id, const CallOptions& options) {
    return from_json<Host>(
        caller_->post(route("/v1/hosts/{}/drain", host_id), std::string(empty_object), options));
}

Host Client::resume_host(std::string_view host_id, const CallOptions& options) {
    return from_json<Host>(
        caller_->post(route("/v1/hosts/{}/resume", host_id), std::string(empty_object), options));
}

Host Client::retire_host(std::string_view host_id, const CallOptions& options) {
    return from_json<Host>(
        caller_->post(route("/v1/hosts/{}/retire", host_id), std::string(empty_object), options));
}

Host Client::add_maintenance(std::string_view host_id, const Maintenance& maintenance,
                             const CallOptions& options) {
    return from_json<Host>(
        caller_->post(route("/v1/hosts/{}/maintenance", host_id), to_request_json(maintenance), options));
}

void Client::remove_maintenance(std::string_view host_id) {
    caller_->remove(route("/v1/hosts/{}/maintenance", host_id));
}

FailedStarts Client::failed_starts(std::string_view host_id) {
    return from_json<FailedStarts>(caller_->get(route("/v1/hosts/{}/failed-starts", host_id)).body);
}

Page<Card> Client::cards(std::string_view host_id, const PageRequest& page) {
    return page_from_json<Card>(caller_->get(route("/v1/hosts/{}/cards", host_id) + page_query(page)).body);
}

Listing Client::create_listing(const NewListing& listing, const CallOptions& options) {
    return from_json<Listing>(caller_->post("/v1/listings", to_request_json(listing), options));
}

Listing Client::update_listing(std::string_view listing_id, std::int64_t version,
                               const ListingChange& change) {
    return from_json<Listing>(
        caller_->patch(route("/v1/listings/{}", listing_id), to_request_json(change), version));
}

ListingsChanged Client::change_listings(const ListingChanges& changes, const CallOptions& options) {
    return from_json<ListingsChanged>(
        caller_->post("/v1/listing-changes", to_request_json(changes), options));
}

Listing Client::withdraw_listing(std::string_view listing_id, const CallOptions& options) {
    return from_json<Listing>(
        caller_->post(route("/v1/listings/{}/withdraw", listing_id), std::string(empty_object), options));
}

Lease Client::reclaim_lease(std::string_view lease_id, const CallOptions& options) {
    return from_json<Lease>(
        caller_->post(route("/v1/leases/{}/reclaim", lease_id), std::string(empty_object), options));
}

Lease Client::breach_lease(std::string_view lease_id, const CallOptions& options) {
    return from_json<Lease>(
        caller_->post(route("/v1/leases/{}/reclaim", lease_id), std::string(breach_object), options));
}

}  // namespace fallow::sdk
