// Values as PostgreSQL's text format, for parameters and for array literals.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/int128.hpp"
#include "base/time.hpp"
#include "ledger/money.hpp"

namespace fallow::store {

/// Octets for a bytea.
struct Bytes {
    std::string octets;
};

using Parameter = std::optional<std::string>;  ///< nothing is NULL
using Parameters = std::vector<Parameter>;

inline void append_digits(std::string& out, std::int64_t value) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    out.append(digits, end);
}

/// 36 characters, as format_uuid() writes them, without a string of their own.
inline void append_uuid(std::string& out, const RawId& raw) {
    static constexpr char hex[] = "0123456789abcdef";
    char text[36];
    int at = 0;
    for (int nibble = 0; nibble < 32; ++nibble) {
        if (nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20) text[at++] = '-';
        const std::uint64_t word = nibble < 16 ? raw.high : raw.low;
        text[at++] = hex[(word >> (60 - 4 * (nibble % 16))) & 15];
    }
    out.append(text, sizeof text);
}

// append_value: the text of one value that is not NULL. Its type in SQL is sql_type<T>() in
// column_batch.hpp.
inline void append_value(std::string& out, bool value) {
    out.push_back(value ? 't' : 'f');
}
inline void append_value(std::string& out, std::int32_t value) {
    append_digits(out, value);
}
inline void append_value(std::string& out, std::int64_t value) {
    append_digits(out, value);
}
inline void append_value(std::string& out, Time value) {
    append_digits(out, value.ms);
}
inline void append_value(std::string& out, Millis value) {
    append_digits(out, value.count);
}
inline void append_value(std::string& out, ledger::Micros value) {
    append_digits(out, value.count);
}
inline void append_value(std::string& out, ledger::Price value) {
    append_digits(out, value.micros_per_hour);
}
inline void append_value(std::string& out, const std::string& value) {
    out.append(value);
}
inline void append_value(std::string& out, Int128 value) {
    out.append(to_decimal(value));
}
template <NamedEnum E>
void append_value(std::string& out, E value) {
    out.append(name_of(value));
}
template <class Tag>
void append_value(std::string& out, const Id<Tag>& value) {
    append_uuid(out, value.raw);
}
void append_value(std::string& out, const Bytes& value);

/// `text` as an element of an array literal, in quotes.
void append_quoted(std::string& out, std::string_view text);

/// Whether a value's text can stand in an array literal without quotes.
template <class T>
inline constexpr bool is_plain_element = !std::same_as<T, std::string> && !std::same_as<T, Bytes>;

/// "{…}" of a list of values.
template <class T>
void append_value(std::string& out, const std::vector<T>& values) {
    out.push_back('{');
    bool first = true;
    for (const T& value : values) {
        if (!first) out.push_back(',');
        first = false;
        if constexpr (is_plain_element<T>) {
            append_value(out, value);
        } else {
            append_quoted(out, value);
        }
    }
    out.push_back('}');
}

template <class T>
[[nodiscard]] Parameter parameter_of(const T& value) {
    std::string text;
    append_value(text, value);
    return text;
}
template <class T>
[[nodiscard]] Parameter parameter_of(const std::optional<T>& value) {
    return value ? parameter_of(*value) : std::nullopt;
}
[[nodiscard]] inline Parameter parameter_of(const char* text) {
    return std::string(text);
}
[[nodiscard]] inline Parameter parameter_of(std::string_view text) {
    return std::string(text);
}

/// Reads "{a,"b c",NULL}" of one dimension; NULL elements are left out.
[[nodiscard]] std::vector<std::string> parse_array(std::string_view literal);

}  // namespace fallow::store
