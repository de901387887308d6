// The one table of what can be searched by: name, kind, meaning and where the value comes from. The parser,
// the evaluation, the index, the API's items, the reference and every error message use it. A new field is
// one line in fields.cpp.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "market/search/kind.hpp"
#include "market/state.hpp"

namespace fallow::market::search {

/// One card of one listing, with everything its fields are read from. `card` is null while the fields of
/// the offer alone are read.
struct Facts {
    const State& state;
    const Listing& listing;
    const Host& host;
    const Organization& seller;
    const Card* card = nullptr;
};

[[nodiscard]] Facts facts_of(const State& state, const Listing& listing, const Card* card);

/// A value, or that it is not known.
using Cell = std::variant<std::monostate, std::int64_t, std::string>;

/// What a field belongs to: all cards of a listing have an offer's value in common.
FALLOW_ENUM(Scope, card, offer)

struct Field {
    std::string_view name;
    Kind kind = Kind::text;
    Scope scope = Scope::card;
    std::string_view meaning;
    Cell (*get)(const Facts&) = nullptr;
};

/// In the order of the reference.
[[nodiscard]] std::span<const Field> fields();
/// Letters' case does not count.
[[nodiscard]] const Field* find_field(std::string_view name);
[[nodiscard]] std::vector<std::string_view> field_names();
/// Where a field stands in fields().
[[nodiscard]] std::size_t position_of(const Field& field);

/// A product's name without its maker, its memory and its form: "NVIDIA H100 80GB HBM3" is h100, "NVIDIA
/// GeForce RTX 4090 D" is rtx-4090d.
[[nodiscard]] std::string family_of(std::string_view product);

}  // namespace fallow::market::search
