#include "api/gang_members.hpp"

#include <arpa/inet.h>

#include <array>
#include <charconv>

#include "api/field_decode.hpp"
#include "store/row_reader.hpp"

namespace fallow::api {
namespace {

constexpr std::size_t endpoint_bytes_max = 64;
constexpr std::size_t tunnel_key_bytes = 32;

bool is_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc() && end == text.data() + text.size() && port != 0;
}

}  // namespace

bool is_gang_endpoint(const std::string& text) {
    const auto colon = text.rfind(':');
    if (colon == text.npos || !is_port(std::string_view(text).substr(colon + 1))) return false;
    std::string address = text.substr(0, colon);
    std::array<unsigned char, 16> octets{};
    if (!address.starts_with('[')) return ::inet_pton(AF_INET, address.c_str(), octets.data()) == 1;
    if (!address.ends_with(']')) return false;
    address = address.substr(1, address.size() - 2);
    return ::inet_pton(AF_INET6, address.c_str(), octets.data()) == 1;
}

Result<ToldGangMember> decode_gang_member(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) {
        ToldGangMember told;
        told.lease_epoch = reader.integer("lease_epoch", 0, INT64_MAX);
        told.public_key = reader.base64("public_key", tunnel_key_bytes);
        told.endpoint = reader.text("endpoint", {.bytes_max = endpoint_bytes_max});
        if (!reader.has_failed() && !is_gang_endpoint(told.endpoint))
            reader.fail(ErrorCode::invalid_field, "endpoint",
                        "Give an address and a UDP port in figures, like 198.41.0.4:51820 or "
                        "[2001:db8::4]:51820.");
        return told;
    });
}

std::vector<GangMember> read_gang_members(store::Transaction& tx, const std::vector<OrderId>& orders) {
    std::vector<GangMember> members;
    if (orders.empty()) return members;
    for (const auto& row : tx.query("SELECT order_id, rank, public_key, endpoint FROM gang_members WHERE "
                                    "order_id = ANY ($1::uuid[]) ORDER BY order_id, rank",
                                    orders))
        members.push_back({store::read_cell<OrderId>(row[0]), store::read_cell<std::int32_t>(row[1]),
                           store::read_cell<std::string>(row[2]), store::read_cell<std::string>(row[3])});
    return members;
}

}  // namespace fallow::api
