#include "api/forwarded.hpp"

#include <optional>
#include <string>
#include <string_view>

#include "auth/authority.hpp"

namespace fallow::api {
namespace {

constexpr std::string_view prefix = "fallow-forwarded-";
constexpr auto request_id_header = "fallow-forwarded-request-id";
constexpr auto address_header = "fallow-forwarded-address";
constexpr auto name_header = "fallow-forwarded-certificate-name";
constexpr auto serial_header = "fallow-forwarded-certificate-serial";
constexpr auto fingerprint_header = "fallow-forwarded-certificate-sha256";

void remove_headers(http::Request& request) {
    std::erase_if(request.headers, [](const auto& field) { return field.first.starts_with(prefix); });
}

std::string value_of(const http::Request& request, std::string_view name) {
    const std::string* value = request.header(name);
    return value != nullptr ? *value : std::string();
}

}  // namespace

bool is_from_replica(const http::Request& request) {
    return request.certificate && request.certificate->common_name == auth::replica_common_name;
}

void mark_forwarded(http::Request& request) {
    remove_headers(request);
    request.headers.emplace_back(request_id_header, request.request_id);
    if (!request.remote_address.empty())
        request.headers.emplace_back(address_header, request.remote_address);
    if (!request.certificate) return;
    request.headers.emplace_back(name_header, request.certificate->common_name);
    request.headers.emplace_back(serial_header, request.certificate->serial_hex);
    request.headers.emplace_back(fingerprint_header, request.certificate->fingerprint_sha256);
}

bool take_forwarded(http::Request& request) {
    const bool is_forwarded = is_from_replica(request);
    if (is_forwarded) {
        if (const std::string* id = request.header(request_id_header)) request.request_id = *id;
        request.remote_address = value_of(request, address_header);
        request.certificate.reset();
        if (request.header(serial_header) != nullptr)
            request.certificate =
                http::PeerCertificate{value_of(request, name_header), value_of(request, serial_header),
                                      value_of(request, fingerprint_header)};
    }
    remove_headers(request);
    return is_forwarded;
}

}  // namespace fallow::api
