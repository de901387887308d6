#include "store/parameters.hpp"

#include <stdexcept>

namespace fallow::store {

void append_value(std::string& out, const Bytes& value) {
    static constexpr char hex[] = "0123456789abcdef";
    out.reserve(out.size() + 2 + 2 * value.octets.size());
    out.append("\\x");
    for (const char c : value.octets) {
        const auto octet = static_cast<unsigned char>(c);
        out.push_back(hex[octet >> 4]);
        out.push_back(hex[octet & 15]);
    }
}

void append_quoted(std::string& out, std::string_view text) {
    out.push_back('"');
    while (!text.empty()) {
        const auto plain = text.find_first_of("\"\\");
        out.append(text.substr(0, plain));
        if (plain == std::string_view::npos) break;
        out.push_back('\\');
        out.push_back(text[plain]);
        text.remove_prefix(plain + 1);
    }
    out.push_back('"');
}

namespace {

/// Takes a quoted element off the front, which starts with '"'.
std::string take_quoted(std::string_view& rest) {
    std::string element;
    std::size_t at = 1;
    while (at < rest.size() && rest[at] != '"') {
        if (rest[at] == '\\') ++at;
        if (at >= rest.size()) break;
        element.push_back(rest[at++]);
    }
    if (at >= rest.size()) throw std::runtime_error("an array literal ends inside a quoted element");
    rest.remove_prefix(at + 1);
    return element;
}

}  // namespace

std::vector<std::string> parse_array(std::string_view literal) {
    if (literal.size() < 2 || literal.front() != '{' || literal.back() != '}')
        throw std::runtime_error("not a one-dimensional array literal");
    std::string_view rest = literal.substr(1, literal.size() - 2);
    std::vector<std::string> elements;
    while (!rest.empty()) {
        if (rest.front() == '"') {
            elements.push_back(take_quoted(rest));
        } else {
            const auto end = rest.find(',');
            const std::string_view element = rest.substr(0, end);
            if (element != "NULL") elements.emplace_back(element);
            rest.remove_prefix(element.size());
        }
        if (!rest.empty()) rest.remove_prefix(1);
    }
    return elements;
}

}  // namespace fallow::store
