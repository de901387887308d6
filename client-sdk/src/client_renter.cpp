// The routes of renters.
#include <charconv>

#include "caller.hpp"
#include "fallow/client.hpp"
#include "fallow/digest.hpp"
#include "fallow/json.hpp"
#include "routes.hpp"

namespace fallow::sdk {
namespace {

std::string text_of(const std::optional<std::int64_t>& number) {
    return number ? std::to_string(*number) : std::string();
}

std::vector<std::pair<std::string, std::string>> pairs_of(const Client::LogSelection& selection) {
    return {{"attempt", text_of(selection.attempt)}, {"after", text_of(selection.after_sequence)}};
}

std::optional<std::int64_t> sequence_of(const std::string& event_id) {
    std::int64_t sequence = 0;
    const auto [end, error] = std::from_chars(event_id.data(), event_id.data() + event_id.size(), sequence);
    if (error != std::errc() || end != event_id.data() + event_id.size()) return std::nullopt;
    return sequence;
}

}  // namespace

Page<Listing> Client::listings(const ListingQuery& query, const PageRequest& page) {
    const std::string path =
        "/v1/listings" +
        page_query(page, {{"product", query.product.value_or("")},
                          {"device_class", query.device_class.value_or("")},
                          {"vram_bytes_min", text_of(query.vram_bytes_min)},
                          {"country", query.country.value_or("")},
                          {"price_max_micros_per_hour", text_of(query.price_max_micros_per_hour)},
                          {"host_id", query.host_id.value_or("")},
                          {"seller_id", query.seller_id.value_or("")},
                          {"state", query.state.value_or("")}});
    return page_from_json<Listing>(caller_->get(path).body);
}

Listing Client::listing(std::string_view listing_id) {
    return from_json<Listing>(caller_->get(route("/v1/listings/{}", listing_id)).body);
}

Quote Client::make_quote(const NewQuote& quote, const CallOptions& options) {
    return from_json<Quote>(caller_->post("/v1/quotes", to_request_json(quote), options));
}

Reservation Client::reserve(const NewReservation& reservation, const CallOptions& options) {
    return from_json<Reservation>(caller_->post("/v1/reservations", to_request_json(reservation), options));
}

Page<Reservation> Client::reservations(const PageRequest& page) {
    return page_from_json<Reservation>(caller_->get("/v1/reservations" + page_query(page)).body);
}

Page<Reservation> Client::offered_reservations(const PageRequest& page) {
    return page_from_json<Reservation>(
        caller_->get("/v1/reservations" + page_query(page, {{"offered", "true"}})).body);
}

Reservation Client::reservation(std::string_view reservation_id) {
    return from_json<Reservation>(caller_->get(route("/v1/reservations/{}", reservation_id)).body);
}

Reservation Client::cancel_reservation(std::string_view reservation_id, const CallOptions& options) {
    return from_json<Reservation>(caller_->post(route("/v1/reservations/{}/cancel", reservation_id),
                                                std::string(empty_object), options));
}

Reservation Client::break_reservation(std::string_view reservation_id, const CallOptions& options) {
    return from_json<Reservation>(caller_->post(route("/v1/reservations/{}/cancel", reservation_id),
                                                std::string(breach_object), options));
}

Reservation Client::offer_reservation(std::string_view reservation_id, const NewOffer& offer,
                                      const CallOptions& options) {
    return from_json<Reservation>(
        caller_->post(route("/v1/reservations/{}/offer", reservation_id), to_request_json(offer), options));
}

Reservation Client::buy_reservation(std::string_view reservation_id, std::int64_t price_max_micros,
                                    const CallOptions& options) {
    return from_json<Reservation>(
        caller_->post(route("/v1/reservations/{}/buy", reservation_id),
                      "{\"price_max_micros\":" + std::to_string(price_max_micros) + "}", options));
}

Placement Client::place_order(const NewOrder& order, const CallOptions& options) {
    return from_json<Placement>(caller_->post("/v1/orders", to_request_json(order), options));
}

Page<Order> Client::orders(const PageRequest& page) {
    return page_from_json<Order>(caller_->get("/v1/orders" + page_query(page)).body);
}

Order Client::order(std::string_view order_id) {
    return from_json<Order>(caller_->get(route("/v1/orders/{}", order_id)).body);
}

Order Client::cancel_order(std::string_view order_id, const CallOptions& options) {
    return from_json<Order>(
        caller_->post(route("/v1/orders/{}/cancel", order_id), std::string(empty_object), options));
}

Order Client::change_bid(std::string_view order_id, const NewBid& bid, const CallOptions& options) {
    return from_json<Order>(
        caller_->post(route("/v1/orders/{}/bid", order_id), to_request_json(bid), options));
}

Page<SpotPool> Client::spot_pools(const PageRequest& page) {
    return page_from_json<SpotPool>(caller_->get("/v1/spot/pools" + page_query(page)).body);
}

SpotPool Client::spot_pool(std::string_view name) {
    return from_json<SpotPool>(caller_->get(route("/v1/spot/pools/{}", name)).body);
}

Page<SpotPrice> Client::spot_history(std::string_view pool, const PageRequest& page) {
    const std::string path = route("/v1/spot/pools/{}/history", pool) + page_query(page);
    return page_from_json<SpotPrice>(caller_->get(path).body);
}

Page<Lease> Client::leases(const PageRequest& page) {
    return page_from_json<Lease>(caller_->get("/v1/leases" + page_query(page)).body);
}

Lease Client::lease(std::string_view lease_id) {
    return from_json<Lease>(caller_->get(route("/v1/leases/{}", lease_id)).body);
}

Lease Client::end_lease(std::string_view lease_id, const CallOptions& options) {
    return from_json<Lease>(
        caller_->post(route("/v1/leases/{}/end", lease_id), std::string(empty_object), options));
}

Job Client::start_job(std::string_view lease_id, const JobSpec& job, const CallOptions& options) {
    return from_json<Job>(
        caller_->post(route("/v1/leases/{}/job", lease_id), to_request_json(job), options));
}

Receipt Client::receipt(std::string_view lease_id) {
    return from_json<Receipt>(caller_->get(route("/v1/leases/{}/receipt", lease_id)).body);
}

Page<UsageRecord> Client::usage(std::string_view lease_id, const PageRequest& page) {
    return page_from_json<UsageRecord>(
        caller_->get(route("/v1/leases/{}/usage", lease_id) + page_query(page)).body);
}

Page<Job> Client::jobs(const PageRequest& page) {
    return page_from_json<Job>(caller_->get("/v1/jobs" + page_query(page)).body);
}

Job Client::job(std::string_view job_id) {
    return from_json<Job>(caller_->get(route("/v1/jobs/{}", job_id)).body);
}

Job Client::cancel_job(std::string_view job_id, const CallOptions& options) {
    return from_json<Job>(
        caller_->post(route("/v1/jobs/{}/cancel", job_id), std::string(empty_object), options));
}

Page<JobOutput> Client::job_outputs(std::string_view job_id) {
    return page_from_json<JobOutput>(caller_->get(route("/v1/jobs/{}/outputs", job_id)).body);
}

CheckpointList Client::job_checkpoints(std::string_view job_id) {
    return from_json<CheckpointList>(caller_->get(route("/v1/jobs/{}/checkpoints", job_id)).body);
}

CheckpointContent Client::job_checkpoint(std::string_view job_id, std::int64_t number) {
    return from_json<CheckpointContent>(
        caller_->get(route("/v1/jobs/{}/checkpoints/", job_id) + std::to_string(number)).body);
}

std::string Client::checkpoint_chunk(std::string_view job_id, std::string_view sha256) {
    return caller_->get(route("/v1/jobs/{}/checkpoint-chunks/", job_id) + route("{}", sha256)).body;
}

Page<LogEntry> Client::job_logs(std::string_view job_id, const LogSelection& selection,
                                const PageRequest& page) {
    return page_from_json<LogEntry>(
        caller_->get(route("/v1/jobs/{}/logs", job_id) + page_query(page, pairs_of(selection))).body);
}

std::optional<LogEnd> Client::follow_job_logs(std::string_view job_id, const LogSelection& selection,
                                              const std::function<bool(const LogEntry&)>& act,
                                              const std::stop_token& stop) {
    std::optional<LogEnd> end;
    const auto path_after = [&](const std::string& last_event_id) {
        LogSelection rest = selection;
        if (const auto sequence = sequence_of(last_event_id)) rest.after_sequence = sequence;
        return route("/v1/jobs/{}/logs", job_id) + query_string(pairs_of(rest));
    };
    const auto on_event = [&](const SseEvent& event) {
        if (event.type == "log") return act(from_json<LogEntry>(event.data));
        if (event.type != "end") return true;
        end = from_json<LogEnd>(event.data);
        return false;
    };
    caller_->follow(path_after, {}, on_event, stop);
    return end;
}

Artifact Client::create_artifact(const NewArtifact& artifact, const CallOptions& options) {
    return from_json<Artifact>(caller_->post("/v1/artifacts", to_request_json(artifact), options));
}

Page<Artifact> Client::artifacts(const std::string& sha256, const PageRequest& page) {
    return page_from_json<Artifact>(
        caller_->get("/v1/artifacts" + page_query(page, {{"sha256", sha256}})).body);
}

MissingParts Client::missing_parts(std::string_view artifact_id) {
    return from_json<MissingParts>(caller_->get(route("/v1/artifacts/{}/missing-parts", artifact_id)).body);
}

void Client::put_artifact_part(std::string_view artifact_id, std::int64_t part, std::string octets) {
    caller_->put(route("/v1/artifacts/{}/parts/", artifact_id) + std::to_string(part), std::move(octets),
                 "application/octet-stream");
}

Artifact Client::complete_artifact(std::string_view artifact_id, const CallOptions& options) {
    return from_json<Artifact>(
        caller_->post(route("/v1/artifacts/{}/complete", artifact_id), std::string(empty_object), options));
}

Artifact Client::artifact(std::string_view artifact_id) {
    return from_json<Artifact>(caller_->get(route("/v1/artifacts/{}", artifact_id)).body);
}

std::string Client::artifact_part(std::string_view artifact_id, std::int64_t part) {
    return caller_->get(route("/v1/artifacts/{}/parts/", artifact_id) + std::to_string(part)).body;
}

std::string log_octets(const LogEntry& entry) {
    auto octets = base64_decode(entry.data);
    if (!octets) throw ProtocolError("an entry of the log is not base64");
    return *std::move(octets);
}

}  // namespace fallow::sdk
