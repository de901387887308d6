#include "store/row_reader.hpp"

#include "base/int128.hpp"

namespace fallow::store::detail {

void unreadable(const char* column, std::string_view text) {
    throw std::runtime_error("column " + std::string(column) +
                             " has an unexpected value: " + std::string(text.substr(0, 64)));
}

void read_value(const char* column, std::string_view text, Int128& out) {
    const auto value = parse_decimal(text);
    if (!value) unreadable(column, text);
    out = *value;
}

void read_value(const char* column, std::string_view text, RawId& out) {
    const auto value = parse_uuid(text);
    if (!value) unreadable(column, text);
    out = *value;
}

void read_value(const char* column, std::string_view text, Bytes& out) {
    const auto digit = [&](char c) -> unsigned {
        if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
        if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
        unreadable(column, text);
    };
    if (!text.starts_with("\\x") || text.size() % 2 != 0) unreadable(column, text);
    out.octets.clear();
    out.octets.reserve(text.size() / 2 - 1);
    for (std::size_t i = 2; i < text.size(); i += 2)
        out.octets.push_back(static_cast<char>(digit(text[i]) << 4 | digit(text[i + 1])));
}

}  // namespace fallow::store::detail
