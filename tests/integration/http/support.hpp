// What the tests of the HTTP server share: throwaway certificates, a raw TLS client, a service made of
// lambdas.
#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/server.hpp"

namespace fallow::http::testing {

struct KeyPair {
    std::string certificate_pem;
    std::string key_pem;
};

/// A certificate authority of its own, with a fresh P-256 key.
class Authority {
  public:
    explicit Authority(const std::string& name);
    [[nodiscard]] KeyPair issue(const std::string& common_name, long serial) const;
    [[nodiscard]] const std::string& certificate_pem() const { return certificate_pem_; }

  private:
    std::shared_ptr<EVP_PKEY> key_;
    std::shared_ptr<X509> certificate_;
    std::string certificate_pem_;
};

struct Answer {
    int status = 0;
    Fields headers;  ///< names in lower case
    std::string body;
    [[nodiscard]] std::string header(std::string_view lower_case_name) const;  ///< empty when absent
    [[nodiscard]] std::string code() const;                                    ///< of a problem's JSON
};

struct ClientOptions {
    std::optional<KeyPair> certificate;
    int max_version = TLS1_3_VERSION;
    std::vector<std::string> alpn = {"http/1.1"};
    std::shared_ptr<SSL_SESSION> session;  ///< to resume
    int socket = -1;  ///< of connect_to(), which the client then owns; else one of its own
};

/// A TCP connection to loopback, as soon as the system has established it.
[[nodiscard]] int connect_to(std::uint16_t port);

/// A blocking TLS connection to loopback that sends exactly the bytes it is told to. A read that gets
/// nothing for 30 s throws: that is the test's failure, not something it waits for.
class Client {
  public:
    explicit Client(std::uint16_t port, const ClientOptions& options = ClientOptions());
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    [[nodiscard]] bool is_connected() const { return is_connected_; }  ///< the handshake succeeded here
    [[nodiscard]] std::string alpn() const;
    /// What a later client may resume; under TLS 1.3 to be had after the first reply.
    [[nodiscard]] std::shared_ptr<SSL_SESSION> session() const;
    [[nodiscard]] bool is_resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
    void send(std::string_view bytes);
    /// One reply with its Content-Length; `has_body` is false for the answer to HEAD.
    Answer receive(bool has_body = true);
    /// The status line and headers of a reply alone.
    Answer receive_head();
    /// Reads until the text has come, and returns everything read so far that was not yet returned.
    std::string receive_until(std::string_view text);
    /// Reads to the end of the connection. True when the server said goodbye in TLS.
    bool receive_end();
    Answer ask(std::string_view bytes) {
        send(bytes);
        return receive();
    }
    /// Closes the TCP connection without a goodbye.
    void vanish();

  private:
    bool fill();

    std::shared_ptr<SSL_CTX> context_;
    std::shared_ptr<SSL> ssl_;
    int socket_ = -1;
    bool is_connected_ = false;
    bool said_goodbye_ = false;
    std::string received_;
};

/// Something that one thread does and another waits for, without a time.
class Event {
  public:
    void set();
    void wait();
    [[nodiscard]] bool is_set();

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool is_set_ = false;
};

/// Answers with what the test says; by default echoes method, path and body.
class ScriptedService : public Service {
  public:
    using Respond = std::function<void(Reply)>;
    std::function<Result<BodyLimit>(const Request&)> head = [](const Request&) {
        return BodyLimit{1024 * 1024};
    };
    std::function<void(Request, Respond)> handler = [](Request request, Respond respond) {
        respond(echo(request));
    };

    [[nodiscard]] static Reply echo(const Request& request);
    Result<BodyLimit> on_head(const Request& request) override { return head(request); }
    void handle(Request request, Respond respond) override {
        handler(std::move(request), std::move(respond));
    }
};

/// A running server with certificates of its own.
class Fixture {
  public:
    Fixture();
    ~Fixture();
    Fixture(const Fixture&) = delete;
    Fixture& operator=(const Fixture&) = delete;

    /// After the test has set `config` and `service`.
    void start();
    [[nodiscard]] std::uint16_t port() const { return server->port(); }
    [[nodiscard]] std::vector<AccessRecord> access();
    [[nodiscard]] std::vector<std::string> internal_errors();

    Authority authority{"fallow test agents"};
    ScriptedService service;
    ServerConfig config;
    std::unique_ptr<Server> server;

  private:
    std::mutex mutex_;
    std::vector<AccessRecord> access_;
    std::vector<std::string> internal_errors_;
};

/// Sends bytes over TCP without TLS and reads what comes until the server closes.
[[nodiscard]] std::string exchange_plain(std::uint16_t port, std::string_view bytes);

[[nodiscard]] std::string get(std::string_view target, std::string_view fields = "");
[[nodiscard]] std::string post(std::string_view target, std::string_view body,
                               std::string_view fields = "");

}  // namespace fallow::http::testing
