#include "api/json_writer.hpp"

#include "base/assert.hpp"

namespace fallow::api {
namespace {

constexpr std::string_view hex = "0123456789abcdef";

void append_escaped(std::string& out, std::string_view text) {
    std::size_t clean = 0;  // start of the run that needs no escape
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
        out.append(text, clean, i - clean);
        clean = i + 1;
        switch (byte) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            default:
                out += "\\u00";
                out += hex[byte >> 4];
                out += hex[byte & 15];
        }
    }
    out.append(text, clean);
}

}  // namespace

JsonWriter& JsonWriter::key(std::string_view name) {
    separate();
    out_ += '"';
    out_ += name;
    out_ += "\":";
    return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
    separate();
    out_ += '"';
    append_escaped(out_, text);
    out_ += '"';
    return *this;
}

JsonWriter& JsonWriter::raw(std::string_view json) {
    separate();
    out_ += json;
    return *this;
}

JsonWriter& JsonWriter::members_of(std::string_view object) {
    const std::size_t first = object.find('{');
    const std::size_t last = object.rfind('}');
    FALLOW_ASSERT(first != std::string_view::npos && last != std::string_view::npos && first < last);
    const std::string_view members = object.substr(first + 1, last - first - 1);
    if (members.find_first_not_of(" \t\r\n") == std::string_view::npos) return *this;
    return raw(members);
}

JsonWriter& JsonWriter::open(char bracket) {
    separate();
    out_ += bracket;
    return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
    out_ += bracket;
    return *this;
}

void JsonWriter::separate() {
    // An escaped value always ends in '"', so these characters stand here only as structure.
    if (!out_.empty() && out_.back() != '{' && out_.back() != '[' && out_.back() != ':') out_ += ',';
}

}  // namespace fallow::api
