// The routes of secrets.
#include "caller.hpp"
#include "codec.hpp"
#include "fallow/client.hpp"
#include "fallow/digest.hpp"
#include "fallow/json.hpp"
#include "routes.hpp"

namespace fallow::sdk {

template <>
struct Fields<Secret> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("id", value.id);
        visit("organization_id", value.organization_id);
        visit("name", value.name);
        visit("version", value.version);
        visit("created_at", value.created_at);
        visit("updated_at", value.updated_at);
    }
};

template <>
struct Fields<NewSecret> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("value", value.value);
    }
};

FALLOW_SDK_REPLY(Secret);
FALLOW_SDK_REQUEST(NewSecret);

Secret Client::set_secret(std::string_view name, std::string_view octets) {
    const NewSecret secret{base64_encode(octets)};
    return from_json<Secret>(
        caller_->put(route("/v1/secrets/{}", name), to_request_json(secret), "application/json"));
}

Page<Secret> Client::secrets(const PageRequest& page) {
    return page_from_json<Secret>(caller_->get("/v1/secrets" + page_query(page)).body);
}

void Client::remove_secret(std::string_view name) {
    caller_->remove(route("/v1/secrets/{}", name));
}

}  // namespace fallow::sdk
