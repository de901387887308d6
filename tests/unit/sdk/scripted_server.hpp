// A loopback HTTP server that plays a script: the n-th request gets the n-th reply, whatever it asks. It
// uses plain sockets, so that the client under test meets bytes and not another library's idea of them.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace fallow::sdk::testing {

struct RecordedRequest {
    std::string head;  ///< request line and headers
    std::string body;

    [[nodiscard]] std::string line() const { return head.substr(0, head.find("\r\n")); }
    /// The value of a header by its exact name, or nothing.
    [[nodiscard]] std::string header(std::string_view name) const;
};

struct ScriptedReply {
    std::string bytes;   ///< sent as they are
    bool close = false;  ///< and then the connection is closed; with no bytes, it just breaks
};

/// A complete reply with a Content-Length; `headers` are lines with their CRLF.
[[nodiscard]] ScriptedReply reply(int status, std::string_view body, std::string_view headers = {});
[[nodiscard]] ScriptedReply json(int status, std::string_view body, std::string_view headers = {});
[[nodiscard]] ScriptedReply problem(int status, std::string_view code, bool retryable,
                                    std::string_view headers = {});
/// An event stream that ends with the connection.
[[nodiscard]] ScriptedReply event_stream(std::string_view events);
[[nodiscard]] ScriptedReply broken();

class ScriptedServer {
  public:
    explicit ScriptedServer(std::vector<ScriptedReply> script);
    ~ScriptedServer();
    ScriptedServer(const ScriptedServer&) = delete;
    ScriptedServer& operator=(const ScriptedServer&) = delete;

    [[nodiscard]] std::string url() const;
    [[nodiscard]] std::vector<RecordedRequest> requests();
    [[nodiscard]] int connections() const { return connections_; }

  private:
    void run();
    void serve(int connection);
    ScriptedReply take_reply(RecordedRequest request);

    std::vector<ScriptedReply> script_;
    std::size_t next_ = 0;
    int listener_ = -1;
    int port_ = 0;
    int wake_[2] = {-1, -1};
    std::atomic<int> connections_ = 0;
    std::mutex mutex_;
    std::vector<RecordedRequest> requests_;
    std::thread thread_;
    std::vector<std::thread> serving_;  // of thread_ alone, until it is joined
};

/// A port of this machine that nobody listens on.
[[nodiscard]] std::string closed_url();

}  // namespace fallow::sdk::testing
