// The routes for anyone and for any key, and the events.
#include "fallow/client.hpp"

#include <fmt/format.h>

#include "caller.hpp"
#include "fallow/json.hpp"
#include "routes.hpp"

namespace fallow::sdk {

Client::Client(ClientOptions options, Environment& environment)
    : caller_(std::make_unique<Caller>(std::move(options), environment)) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

bool Client::is_live() {
    return caller_->probe("/livez").ok();
}

bool Client::is_ready() {
    return caller_->probe("/readyz").ok();
}

std::string Client::metrics() {
    return caller_->get("/metrics").body;
}

std::string Client::openapi() {
    return caller_->get("/openapi.json").body;
}

ServerInfo Client::server() {
    return from_json<ServerInfo>(caller_->get("/v1/server").body);
}

Identity Client::whoami() {
    return from_json<Identity>(caller_->get("/v1/whoami").body);
}

KeySecret Client::create_key(const NewKey& key, const CallOptions& options) {
    return from_json<KeySecret>(caller_->post("/v1/keys", to_request_json(key), options));
}

Page<Key> Client::keys(const PageRequest& page) {
    return page_from_json<Key>(caller_->get("/v1/keys" + page_query(page)).body);
}

void Client::revoke_key(std::string_view key_id) {
    caller_->remove(route("/v1/keys/{}", key_id));
}

KeySecret Client::rotate_key(std::string_view key_id, const CallOptions& options) {
    return from_json<KeySecret>(
        caller_->post(route("/v1/keys/{}/rotate", key_id), std::string(empty_object), options));
}

Account Client::account() {
    return from_json<Account>(caller_->get("/v1/account").body);
}

Page<Transfer> Client::transfers(const PageRequest& page) {
    return page_from_json<Transfer>(caller_->get("/v1/account/transfers" + page_query(page)).body);
}

Page<Event> Client::events(const PageRequest& page) {
    return page_from_json<Event>(caller_->get("/v1/events" + page_query(page)).body);
}

void Client::follow_events(std::string after_event_id, const std::function<bool(const Event&)>& act,
                           const std::stop_token& stop) {
    caller_->follow([](const std::string&) { return std::string("/v1/events"); }, std::move(after_event_id),
                    [&act](const SseEvent& event) { return act(from_json<Event>(event.data)); }, stop);
}

}  // namespace fallow::sdk
