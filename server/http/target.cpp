#include "http/target.hpp"

#include <cstdint>
#include <optional>

#include "http/characters.hpp"

namespace fallow::http {
namespace {

// RFC 3986, 3.3: pchar and "/"; the percent sign begins an escape.
constexpr CharacterSet path_characters = make_alphanumeric_and("-._~!$&'()*+,;=:@/%");
// RFC 3986, 3.4, and what browsers leave unescaped in a query.
constexpr CharacterSet query_characters = make_alphanumeric_and("-._~!$&'()*+,;=:@/%?[]{}|^`");

Error refuse_target(std::string detail) {
    return refuse(ErrorCode::bad_request, std::move(detail));
}

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

/// Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text) {
    std::size_t i = 0;
    while (i < text.size()) {
        const auto lead = static_cast<unsigned char>(text[i++]);
        if (lead < 0x80) continue;
        if (lead < 0xc2 || lead > 0xf4) return false;
        const std::size_t more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
        if (text.size() - i < more) return false;
        std::uint32_t point = lead & (0x3fU >> more);
        for (std::size_t k = 0; k < more; ++k) {
            const auto next = static_cast<unsigned char>(text[i++]);
            if ((next & 0xc0) != 0x80) return false;
            point = (point << 6) | (next & 0x3fU);
        }
        const bool is_overlong = (more == 2 && point < 0x800) || (more == 3 && point < 0x10000);
        if (is_overlong || (point >= 0xd800 && point <= 0xdfff) || point > 0x10ffff) return false;
    }
    return true;
}

/// Nothing when an escape is malformed.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
    std::string decoded;
    decoded.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+' && plus_is_space) {
            decoded.push_back(' ');
        } else if (text[i] != '%') {
            decoded.push_back(text[i]);
        } else {
            if (text.size() - i < 3) return std::nullopt;
            const int high = hex_value(text[i + 1]);
            const int low = hex_value(text[i + 2]);
            if (high < 0 || low < 0) return std::nullopt;
            decoded.push_back(static_cast<char>(high * 16 + low));
            i += 2;
        }
    }
    return decoded;
}

/// One segment of the path, or one name or value of the query.
Result<std::string> decode_part(std::string_view text, bool is_query) {
    std::optional<std::string> decoded = percent_decode(text, is_query);
    if (!decoded)
        return refuse_target("A percent sign in the request target needs two hexadecimal digits.");
    for (const char c : *decoded) {
        // A query may carry line ends and tabs as text; a path has no use for them, and NUL has none
        // anywhere.
        if (c == '\0' || (!is_query && is_control(c)))
            return refuse_target("The request target escapes a control character.");
    }
    if (!is_utf8(*decoded)) return refuse_target("The request target is not UTF-8.");
    return std::move(*decoded);
}

Result<std::string> decode_path(std::string_view path) {
    std::string decoded;
    decoded.reserve(path.size());
    std::string_view rest = path.substr(1);
    while (true) {
        const std::size_t slash = rest.find('/');
        const bool is_last = slash == std::string_view::npos;
        const std::string_view raw = rest.substr(0, slash);
        if (raw.empty() && !is_last) return refuse_target("The path has an empty segment.");
        Result<std::string> segment = decode_part(raw, false);
        if (!segment) return segment.error();
        if (*segment == "." || *segment == "..") return refuse_target("The path has a dot segment.");
        // A decoded slash would make one segment two for the router and one for whoever stands before the
        // server.
        if (segment->find('/') != std::string::npos) return refuse_target("The path escapes a slash.");
        decoded.push_back('/');
        decoded += *segment;
        if (is_last) return decoded;
        rest.remove_prefix(slash + 1);
    }
}

Result<Fields> decode_query(std::string_view query) {
    Fields fields;
    while (!query.empty()) {
        const std::size_t end = query.find('&');
        const std::string_view piece = query.substr(0, end);
        query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
        if (piece.empty()) continue;
        const std::size_t equals = piece.find('=');
        const bool has_value = equals != std::string_view::npos;
        Result<std::string> name = decode_part(piece.substr(0, equals), true);
        if (!name) return name.error();
        Result<std::string> value = decode_part(has_value ? piece.substr(equals + 1) : "", true);
        if (!value) return value.error();
        fields.emplace_back(std::move(*name), std::move(*value));
    }
    return fields;
}

}  // namespace

Result<Target> parse_target(std::string_view target) {
    if (!target.starts_with('/'))
        return refuse_target("The request target has to be a path that begins with a slash.");
    const std::size_t mark = target.find('?');
    const std::string_view raw_path = target.substr(0, mark);
    const std::string_view raw_query = mark == std::string_view::npos ? "" : target.substr(mark + 1);
    if (!are_all_in(path_characters, raw_path) || !are_all_in(query_characters, raw_query))
        return refuse_target("The request target holds a character that has to be percent-encoded.");
    Result<std::string> path = decode_path(raw_path);
    if (!path) return path.error();
    Result<Fields> query = decode_query(raw_query);
    if (!query) return query.error();
    return Target{std::move(*path), std::move(*query)};
}

}  // namespace fallow::http
