#include "market/search/reference.hpp"

#include <fmt/format.h>

#include "base/limits.hpp"
#include "market/search/fields.hpp"

namespace fallow::market::search {
namespace {

constexpr std::string_view opening = R"page(# The query language

One language for search, for what an order requires and for explanations. This page is made from the table
that the parser, the index and the error messages use (`server/market/search/fields.cpp`); a test holds the
two equal. `GET /v1/search/fields` gives the same as JSON.

```
model in (h100, h200) and vram >= 80GiB and not country = US and price < 2.10
order by price, memory_bandwidth desc limit 10
```

## Grammar

```
query      = [ any ] [ "order by" key { "," key } ] [ "limit" NUMBER ]
any        = all { "or" all }
all        = negation { "and" negation }
negation   = "not" negation | "(" any ")" | condition
condition  = FIELD ( "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" ) VALUE
           | FIELD [ "not" ] "in" "(" VALUE { "," VALUE } ")"
           | FIELD [ "not" ] "between" VALUE "and" VALUE
           | FIELD "is" [ "not" ] ( "known" | "unknown" )
           | FIELD                                            a boolean field that is true
key        = FIELD [ "asc" | "desc" ]
```

`and` binds closer than `or`. Words, fields and texts are compared without regard to letters' case. `~` is
for texts and means "contains". A value is a word, or stands in quotes, ' or ". A number and its unit may
stand apart. What is smaller than a field's base unit is cut off.

**Unknown.** A value that was not measured or is not stated is unknown. A comparison with it is unknown,
its negation too; `and` is false if one side is, else unknown if one side is; `or` is true if one side is,
else unknown if one side is. Only what is true is found. `FIELD is unknown` finds the cards whose value is
not known. In an order they come last, ascending and descending.

**Order.** Without `order by` the cheapest come first. Equal ones are in the order of their listing's id,
then their card's id, so that the order is always the same.
)page";

std::string kinds() {
    std::string out = "\n## Values\n\n| kind | example | units |\n|---|---|---|\n";
    for (std::size_t i = 0; i <= static_cast<std::size_t>(Kind::time); ++i) {
        const Kind kind = static_cast<Kind>(i);
        std::string units;
        for (const Unit& unit : units_of(kind))
            if (!unit.name.empty()) units += fmt::format("{}`{}`", units.empty() ? "" : " ", unit.name);
        if (!units.empty()) units += needs_unit(kind) ? "; needed" : "; may be left out";
        out += fmt::format("| {} | {} | {} |\n", name_of(kind), example_of(kind), units);
    }
    return out;
}

std::string bounds() {
    return fmt::format(
        "\n## Bounds\n\nA query has at most {} bytes, {} conditions, {} values of {} bytes each, {} keys "
        "to order "
        "by and a limit of\n{}; parentheses and `not` go at most {} deep.\n",
        limits::query_bytes_max, limits::query_conditions_max, limits::query_values_max,
        limits::query_value_bytes_max, limits::query_order_keys_max, limits::query_limit_max,
        limits::query_depth_max);
}

}  // namespace

std::string reference_markdown() {
    std::string out(opening);
    out += kinds();
    out += bounds();
    out += "\n## Fields\n\n| field | kind | of | meaning |\n|---|---|---|---|\n";
    for (const Field& field : fields())
        out += fmt::format("| `{}` | {} | {} | {} |\n", field.name, name_of(field.kind),
                           name_of(field.scope), field.meaning);
    return out;
}

}  // namespace fallow::market::search
