// Requests and replies as values. Nothing here knows of the market, and nothing needs Boost.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace fallow::http {

enum class Method { get, head, post, put, patch, del, options };

[[nodiscard]] std::string_view name_of(Method method);

/// The client certificate of a connection that presented one the server's agent CA had issued.
struct PeerCertificate {
    std::string common_name;         ///< the host id
    std::string serial_hex;          ///< lower case, two digits a byte, big-endian
    std::string fingerprint_sha256;  ///< lower-case hex of the DER form
};

using Fields = std::vector<std::pair<std::string, std::string>>;

class ByteStream;

struct Request {
    Method method = Method::get;
    std::string target;  ///< as received, origin form
    std::string path;    ///< percent-decoded; never holds NUL, "//", "/./" or "/../"
    Fields query;        ///< percent-decoded, in order
    Fields headers;      ///< names in lower case, values trimmed
    std::string body;
    std::string request_id;  ///< "req_…", made by the session
    std::string remote_address;
    std::optional<PeerCertificate> certificate;
    /// A guest's link that the connection's last request has left; see guest_link.hpp.
    std::shared_ptr<ByteStream> kept = {};

    [[nodiscard]] const std::string* header(std::string_view lower_case_name) const;
    [[nodiscard]] const std::string* query_value(std::string_view name) const;
};

/// A body without a known end: server-sent events. The session pulls, so a slow reader slows only itself.
class ByteStream {
  public:
    virtual ~ByteStream() = default;
    /// Calls `ready` once, from any thread: with bytes to send, or with nothing at the end of the stream.
    /// An empty string means "nothing new; send a heartbeat comment".
    virtual void next(std::function<void(std::optional<std::string>)> ready) = 0;
    /// The reader has gone; a pending `ready` is called with nothing soon after.
    virtual void cancel() = 0;
};

struct Reply {
    int status = 200;
    std::string content_type = "application/json";
    std::string body;
    Fields headers;                      ///< beyond those that the session writes itself
    std::shared_ptr<ByteStream> stream;  ///< when set, `body` is unused and the reply is chunked
};

}  // namespace fallow::http
