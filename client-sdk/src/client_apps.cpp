// Links to web servers in jobs.
#include "caller.hpp"
#include "codec.hpp"
#include "fallow/client.hpp"
#include "routes.hpp"

namespace fallow::sdk {

template <>
struct Fields<AppLink> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("url", value.url);
        visit("expires_at", value.expires_at);
    }
};

FALLOW_SDK_REPLY(AppLink);

AppLink Client::app_link(std::string_view job_id, std::int64_t port, const CallOptions& options) {
    const std::string body = fmt::format(R"({{"port":{}}})", port);
    return from_json<AppLink>(caller_->post(route("/v1/jobs/{}/app-links", job_id), body, options));
}

}  // namespace fallow::sdk
