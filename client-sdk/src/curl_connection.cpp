#include "curl_connection.hpp"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

namespace fallow::sdk {
namespace {

/// Called for each new TLS connection. A server that was killed says no goodbye, and OpenSSL would not
/// resume the session; that a reply is whole is told by its length, which libcurl checks.
CURLcode judge_by_clock(CURL*, void* context, void* options) noexcept {
    try {
        const std::int64_t now = static_cast<const HttpClientOptions*>(options)->unix_seconds();
        X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(static_cast<SSL_CTX*>(context)), now);
        SSL_CTX_set_options(static_cast<SSL_CTX*>(context), SSL_OP_IGNORE_UNEXPECTED_EOF);
        return CURLE_OK;
    } catch (...) {
        return CURLE_ABORTED_BY_CALLBACK;
    }
}

}  // namespace

void set_connection(CURL* handle, const HttpClientOptions& options) {
    const auto set_if = [handle](CURLoption option, const std::string& value) {
        if (!value.empty()) set_option(handle, option, value.c_str());
    };
    set_option(handle, CURLOPT_NOSIGNAL, 1L);
    set_option(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    set_option(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set_option(handle, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set_option(handle, CURLOPT_SSL_VERIFYPEER, 1L);
    set_option(handle, CURLOPT_SSL_VERIFYHOST, 2L);
    set_option(handle, CURLOPT_TCP_NODELAY, 1L);
    set_option(handle, CURLOPT_TCP_KEEPALIVE, 1L);
    set_if(CURLOPT_UNIX_SOCKET_PATH, options.unix_socket_path);
    set_if(CURLOPT_CAINFO, options.ca_file);
    if (!options.ca_file.empty()) set_option(handle, CURLOPT_CAPATH, static_cast<const char*>(nullptr));
    set_if(CURLOPT_SSLCERT, options.client_certificate_file);
    set_if(CURLOPT_SSLKEY, options.client_key_file);
    if (options.unix_seconds) {
        set_option(handle, CURLOPT_SSL_CTX_FUNCTION, &judge_by_clock);
        set_option(handle, CURLOPT_SSL_CTX_DATA, static_cast<const void*>(&options));
    }
    // Plain HTTP stays on this machine, so a proxy of the environment is none of its business.
    if (!options.base_url.starts_with("https://") || !options.unix_socket_path.empty())
        set_option(handle, CURLOPT_PROXY, "");
}

TransportErrorKind transport_error_kind(CURLcode code) {
    switch (code) {
        case CURLE_OPERATION_TIMEDOUT:
            return TransportErrorKind::timeout;
        case CURLE_COULDNT_CONNECT:
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
            return TransportErrorKind::refused;
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CIPHER:
        case CURLE_SSL_ISSUER_ERROR:
        case CURLE_SSL_ENGINE_INITFAILED:
        case CURLE_USE_SSL_FAILED:
            return TransportErrorKind::tls;
        default:
            return TransportErrorKind::other;
    }
}

}  // namespace fallow::sdk
