// What every connection through libcurl has in common: whom it trusts, where it goes, and what its failures
// are called.
#pragma once

#include <curl/curl.h>

#include <string>

#include "fallow/http_client.hpp"

namespace fallow::sdk {

/// Throws TransportError when libcurl does not take it.
template <class Value>
void set_option(CURL* handle, CURLoption option, Value value) {
    const CURLcode code = curl_easy_setopt(handle, option, value);
    if (code != CURLE_OK)
        throw TransportError(TransportErrorKind::other,
                             std::string("libcurl: ") + curl_easy_strerror(code));
}

/// All options of a connection but its URL and its time. `options` has to outlive what is connected with
/// them. Throws TransportError.
void set_connection(CURL* handle, const HttpClientOptions& options);

[[nodiscard]] TransportErrorKind transport_error_kind(CURLcode code);

}  // namespace fallow::sdk
