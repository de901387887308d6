// Enumerations with their names as text, in the code, the database and the API alike.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

/// Declares `enum class Name` and the list of its names; enumerators take no explicit values.
#define FALLOW_ENUM(Name, ...)                      \
    enum class Name : std::uint8_t { __VA_ARGS__ }; \
    constexpr std::string_view enum_names(Name) {   \
        return #__VA_ARGS__;                        \
    }

namespace fallow {

template <class E>
concept NamedEnum = requires(E e) {
    { enum_names(e) } -> std::same_as<std::string_view>;
};

/// The name of an enumerator, as written in its declaration.
template <NamedEnum E>
[[nodiscard]] constexpr std::string_view name_of(E value) {
    std::string_view names = enum_names(value);
    for (std::size_t i = 0; i < static_cast<std::size_t>(value); ++i)
        names.remove_prefix(names.find(',') + 2);
    return names.substr(0, names.find(','));
}

/// All names, separated by ", ": for messages that say what is allowed.
template <NamedEnum E>
[[nodiscard]] constexpr std::string_view all_names() {
    return enum_names(E{});
}

template <NamedEnum E>
[[nodiscard]] constexpr std::optional<E> parse_enum(std::string_view name) {
    std::string_view names = enum_names(E{});
    for (std::uint8_t i = 0; !names.empty(); ++i) {
        const auto comma = names.find(',');
        if (names.substr(0, comma) == name) return static_cast<E>(i);
        if (comma == std::string_view::npos) break;
        names.remove_prefix(comma + 2);
    }
    return std::nullopt;
}

}  // namespace fallow
