// How an agent measures the way between its host and this server: bytes that mean nothing, there and back.
// Neither the engine nor the database hears of it.
#include <array>
#include <cstring>
#include <random>

#include "api/cursor.hpp"
#include "api/json_writer.hpp"
#include "api/network_tests.hpp"
#include "api/reply.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"
#include "http/short_stream.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

constexpr std::size_t piece_bytes = 64 * 1024;
constexpr Body dropped_octets{Body::Type::dropped, static_cast<std::size_t>(network_test_bytes_max)};

/// Made once: nobody between here and there can tell what is sent, and so make it smaller.
const std::string& random_piece() {
    static const std::string piece = [] {
        std::string bytes(piece_bytes, '\0');
        std::mt19937_64 generator(std::random_device{}());
        for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint64_t)) {
            const std::uint64_t word = generator();
            std::memcpy(bytes.data() + at, &word, sizeof word);
        }
        return bytes;
    }();
    return piece;
}

/// So many bytes, or what was sent of them when the time was over.
class Download : public http::ShortStream {
  public:
    Download(const Services& services, NetworkTests::Place place, std::int64_t bytes)
        : services_(services),
          place_(std::move(place)),
          until_(services.now() + network_test_transfer),
          left_(static_cast<std::size_t>(bytes)) {}

    void next(std::function<void(std::optional<std::string>)> ready) override {
        if (left_ == 0 || is_cancelled_ || services_.now() >= until_) return ready(std::nullopt);
        const std::size_t count = std::min(left_, piece_bytes);
        left_ -= count;
        ready(random_piece().substr(0, count));
    }
    void cancel() override { is_cancelled_ = true; }

  private:
    const Services& services_;
    const NetworkTests::Place place_;
    const Time until_;
    std::size_t left_;
    bool is_cancelled_ = false;
};

Result<http::Reply> download(const Call& call) {
    if (const Status good = check_query(call.request(), {"bytes"}); !good) return good.error();
    const auto bytes = query_integer(call.request(), "bytes", 0, 1, network_test_bytes_max);
    if (!bytes) return bytes.error();
    if (*bytes == 0)
        return refuse(ErrorCode::missing_field, "Say how many bytes are wanted.", "query:bytes");
    auto place = call.services.network_tests.begin(*call.actor().host(), *bytes);
    if (!place) return place.error();
    http::Reply reply;
    reply.content_type = "application/octet-stream";
    reply.stream = std::make_shared<Download>(call.services, std::move(*place), *bytes);
    return reply;
}

/// The session has read the body and kept nothing of it; it held the place meanwhile.
Result<http::Reply> upload(const Call& call) {
    const std::string* length = call.request().header("content-length");
    JsonWriter json;
    json.begin_object()
        .field("bytes", length != nullptr ? std::int64_t{std::stoll(*length)} : std::int64_t{0})
        .end_object();
    return json_reply(json.take());
}

}  // namespace

void add_network_test_routes(std::vector<Route>& routes) {
    const auto agent = Access::agent();
    routes.push_back({get, "/v1/agent/network-test", agent, no_body, not_keyed, DirectHandler{download}});
    routes.push_back(
        {post, "/v1/agent/network-test", agent, dropped_octets, not_keyed, DirectHandler{upload}});
}

}  // namespace fallow::api
