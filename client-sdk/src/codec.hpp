// One list of fields per type serves both directions. Included by the *_json.cpp files only.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "fallow/errors.hpp"
#include "fallow/json.hpp"
#include "fallow/types.hpp"

namespace fallow::sdk {

using Json = nlohmann::ordered_json;

/// Specialized for every type: visits (name, member) in the order of the contract.
template <class T>
struct Fields;

template <class T>
concept Described = requires {
    sizeof(Fields<T>);
};

// Reading. `where` names the field for the error.

inline void read(const Json& json, std::string_view where, std::string& out) {
    if (!json.is_string()) throw ProtocolError("the reply's " + std::string(where) + " is not a string");
    out = json.get<std::string>();
}

inline void read(const Json& json, std::string_view where, std::int64_t& out) {
    const bool too_large =
        json.is_number_unsigned() &&
        json.get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()};
    if (!json.is_number_integer() || too_large)
        throw ProtocolError("the reply's " + std::string(where) + " is not a 64-bit integer");
    out = json.get<std::int64_t>();
}

inline void read(const Json& json, std::string_view where, bool& out) {
    if (!json.is_boolean())
        throw ProtocolError("the reply's " + std::string(where) + " is not true or false");
    out = json.get<bool>();
}

inline void read(const Json& json, std::string_view, JsonText& out) {
    out.text = json.dump();
}

template <Described T>
void read(const Json& json, std::string_view where, T& out);

template <class T>
void read(const Json& json, std::string_view where, std::vector<T>& out) {
    out.clear();
    if (json.is_null()) return;
    if (!json.is_array()) throw ProtocolError("the reply's " + std::string(where) + " is not a list");
    for (const Json& item : json)
        read(item, where, out.emplace_back());
}

inline void read(const Json& json, std::string_view where, std::map<std::string, std::string>& out) {
    out.clear();
    if (json.is_null()) return;
    if (!json.is_object()) throw ProtocolError("the reply's " + std::string(where) + " is not an object");
    for (const auto& [name, value] : json.items())
        read(value, where, out[name]);
}

template <class T>
void read(const Json& json, std::string_view where, std::optional<T>& out) {
    out.reset();
    if (!json.is_null()) read(json, where, out.emplace());
}

/// A list, a map, an optional value and free JSON may be absent; anything else must be there.
template <class T>
struct MayBeAbsent : std::false_type {};
template <class T>
struct MayBeAbsent<std::optional<T>> : std::true_type {};
template <class T>
struct MayBeAbsent<std::vector<T>> : std::true_type {};
template <>
struct MayBeAbsent<std::map<std::string, std::string>> : std::true_type {};
template <>
struct MayBeAbsent<JsonText> : std::true_type {};

struct Reader {
    const Json& object;

    template <class T>
    void operator()(const char* name, T& out) const {
        const auto found = object.find(name);
        if (found != object.end()) {
            read(*found, name, out);
        } else if constexpr (!MayBeAbsent<T>::value) {
            throw ProtocolError("the reply lacks the field " + std::string(name));
        }
    }
};

template <Described T>
void read(const Json& json, std::string_view where, T& out) {
    if (!json.is_object()) throw ProtocolError("the reply's " + std::string(where) + " is not an object");
    Fields<T>::visit(Reader{json}, out);
}

// Writing.

enum class Absent { as_null, left_out };

template <class T>
Json write(const T& value, Absent) {
    return Json(value);
}

inline Json write(const JsonText& value, Absent) {
    return Json::parse(value.text);
}

template <Described T>
Json write(const T& value, Absent absent);

template <class T>
Json write(const std::vector<T>& values, Absent absent) {
    Json list = Json::array();
    for (const T& value : values)
        list.push_back(write(value, absent));
    return list;
}

inline Json write(const std::map<std::string, std::string>& values, Absent) {
    Json object = Json::object();
    for (const auto& [name, value] : values)
        object[name] = value;
    return object;
}

template <class T>
Json write(const std::optional<T>& value, Absent absent) {
    return value ? write(*value, absent) : Json(nullptr);
}

/// An optional list that is there and empty says so: it clears what was set before.
template <class T>
bool is_absent(const std::optional<T>& value) {
    return !value;
}
template <class T>
bool is_absent(const std::vector<T>& values) {
    return values.empty();
}
inline bool is_absent(const std::map<std::string, std::string>& values) {
    return values.empty();
}
inline bool is_absent(const JsonText& value) {
    return Json::parse(value.text).empty();
}

struct Writer {
    Json& object;
    Absent absent;

    template <class T>
    void operator()(const char* name, const T& value) const {
        if constexpr (MayBeAbsent<T>::value)
            if (absent == Absent::left_out && is_absent(value)) return;
        object[name] = write(value, absent);
    }
};

template <Described T>
Json write(const T& value, Absent absent) {
    Json object = Json::object();
    Fields<T>::visit(Writer{object, absent}, value);
    return object;
}

inline Json parse_reply(std::string_view text) {
    Json json = Json::parse(text, nullptr, false);
    if (json.is_discarded()) throw ProtocolError("the reply is not JSON");
    return json;
}

template <class T>
T from_json(std::string_view text) {
    T value;
    read(parse_reply(text), "body", value);
    return value;
}

template <class T>
Page<T> page_from_json(std::string_view text) {
    const Json json = parse_reply(text);
    if (!json.is_object() || !json.contains("items"))
        throw ProtocolError("the reply lacks the field items");
    Page<T> page;
    read(json["items"], "items", page.items);
    if (json.contains("next_cursor")) read(json["next_cursor"], "next_cursor", page.next_cursor);
    return page;
}

/// Text that is not UTF-8 (a container may log anything) is replaced rather than refused.
inline std::string dumped(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <class T>
std::string to_json(const T& value) {
    return dumped(write(value, Absent::as_null));
}

template <class T>
std::string to_request_json(const T& value) {
    return dumped(write(value, Absent::left_out));
}

}  // namespace fallow::sdk

#define FALLOW_SDK_REPLY(Type)                                  \
    template Type from_json<Type>(std::string_view);            \
    template Page<Type> page_from_json<Type>(std::string_view); \
    template std::string to_json<Type>(const Type&)

#define FALLOW_SDK_REQUEST(Type) template std::string to_request_json<Type>(const Type&)
