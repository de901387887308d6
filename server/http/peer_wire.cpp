#include "http/peer_wire.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "http/tunnel_pipe.hpp"

namespace fallow::http {
namespace {

constexpr std::size_t body_bytes_max = 16 * 1024 * 1024;
constexpr std::array<std::string_view, 10> request_headers_of_connection = {
    "connection", "content-length",    "expect",  "host",    "keep-alive",
    "te",         "transfer-encoding", "trailer", "upgrade", "proxy-connection"};
/// Written anew by the session that passes the reply on.
constexpr std::array<std::string_view, 4> reply_headers_of_session = {
    "strict-transport-security", "x-content-type-options", "x-request-id", "date"};

using BioPtr = std::unique_ptr<BIO, Releaser<BIO_free>>;
using CertificatePtr = std::unique_ptr<X509, Releaser<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Releaser<EVP_PKEY_free>>;

void require(bool good, const char* what) {
    if (good) return;
    ERR_clear_error();
    throw PeerError(std::string("TLS to a peer: ") + what, false);
}

BioPtr bio_over(const std::string& text) {
    return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string lower(std::string_view text) {
    std::string lowered(text);
    for (char& c : lowered)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return lowered;
}

template <class Integer>
Integer number_of(std::string_view text) {
    Integer value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        throw PeerError("a peer's reply cannot be read", true);
    return value;
}

}  // namespace

PeerContextPtr make_peer_context(const PeerSettings& settings) {
    PeerContextPtr context(SSL_CTX_new(TLS_client_method()));
    require(context != nullptr, "no context");
    require(SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) == 1, "no TLS 1.3");
    const CertificatePtr ca(PEM_read_bio_X509(bio_over(settings.ca_pem).get(), nullptr, nullptr, nullptr));
    const CertificatePtr own(
        PEM_read_bio_X509(bio_over(settings.certificate_chain_pem).get(), nullptr, nullptr, nullptr));
    const KeyPtr key(
        PEM_read_bio_PrivateKey(bio_over(settings.private_key_pem).get(), nullptr, nullptr, nullptr));
    require(ca && own && key, "the certificates cannot be read");
    require(X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), ca.get()) == 1, "the CA");
    require(SSL_CTX_use_certificate(context.get(), own.get()) == 1, "the certificate");
    require(SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1, "the key");
    // The authority signs nothing but this installation's servers for serverAuth, which is checked; under
    // which of its names a replica is reached is not.
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(context.get()), settings.now_seconds);
    return context;
}

std::pair<std::string, std::string> split_peer_address(const std::string& address) {
    const std::size_t colon = address.rfind(':');
    if (colon == std::string::npos) throw PeerError("\"" + address + "\" is no host:port", false);
    std::string host = address.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    return {host, address.substr(colon + 1)};
}

std::string peer_request_head(const Request& request, bool asks_for_tunnel) {
    std::string head(name_of(request.method));
    head += ' ' + request.target + " HTTP/1.1\r\nHost: peer\r\n";
    head += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
    if (asks_for_tunnel)
        head.append("Connection: Upgrade\r\nUpgrade: ").append(tunnel_protocol).append("\r\n");
    for (const auto& [name, value] : request.headers)
        if (std::ranges::find(request_headers_of_connection, name) == request_headers_of_connection.end())
            head.append(name).append(": ").append(value).append("\r\n");
    return head + "\r\n";
}

PeerReplyHead parse_peer_reply(std::string_view head) {
    PeerReplyHead parsed;
    std::size_t end = head.find("\r\n");
    const std::string_view status = head.substr(0, end);
    if (!status.starts_with("HTTP/1.1 ") || status.size() < 12)
        throw PeerError("a peer's reply cannot be read", true);
    parsed.reply.status = number_of<int>(status.substr(9, 3));
    parsed.reply.content_type.clear();
    while (end != std::string_view::npos) {
        head.remove_prefix(end + 2);
        end = head.find("\r\n");
        const std::string_view line = head.substr(0, end);
        const std::size_t colon = line.find(": ");
        if (colon == std::string_view::npos) continue;
        const std::string name = lower(line.substr(0, colon));
        const std::string_view value = line.substr(colon + 2);
        if (name == "content-length")
            parsed.body_bytes = number_of<std::size_t>(value);
        else if (name == "content-type")
            parsed.reply.content_type = value;
        else if (name == "connection")
            parsed.keeps_alive = value != "close";
        else if (name == "transfer-encoding")
            throw PeerError("a peer's reply has no known end", true);
        else if (std::ranges::find(reply_headers_of_session, name) == reply_headers_of_session.end())
            parsed.reply.headers.emplace_back(line.substr(0, colon), value);
    }
    if (parsed.body_bytes > body_bytes_max) throw PeerError("a peer's reply is too large", true);
    return parsed;
}

}  // namespace fallow::http
