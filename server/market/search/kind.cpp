#include "market/search/kind.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "base/int128.hpp"
#include "base/time.hpp"

namespace fallow::market::search {
namespace {

constexpr std::int64_t kilo = 1000;
constexpr std::int64_t mega = 1000 * kilo;
constexpr std::int64_t giga = 1000 * mega;
constexpr std::int64_t tera = 1000 * giga;
constexpr std::int64_t peta = 1000 * tera;
constexpr std::int64_t kibi = 1024;
constexpr std::int64_t mebi = 1024 * kibi;
constexpr std::int64_t gibi = 1024 * mebi;
constexpr std::int64_t tebi = 1024 * gibi;

constexpr std::array<Unit, 9> byte_units{{{"TiB", tebi},
                                          {"TB", tera},
                                          {"GiB", gibi},
                                          {"GB", giga},
                                          {"MiB", mebi},
                                          {"MB", mega},
                                          {"KiB", kibi},
                                          {"KB", kilo},
                                          {"B", 1}}};
constexpr std::array<Unit, 9> rate_units{{{"TiB/s", tebi},
                                          {"TB/s", tera},
                                          {"GiB/s", gibi},
                                          {"GB/s", giga},
                                          {"MiB/s", mebi},
                                          {"MB/s", mega},
                                          {"KiB/s", kibi},
                                          {"KB/s", kilo},
                                          {"B/s", 1}}};
constexpr std::array<Unit, 5> flops_units{
    {{"PFLOPS", peta}, {"TFLOPS", tera}, {"GFLOPS", giga}, {"MFLOPS", mega}, {"FLOPS", 1}}};
constexpr std::array<Unit, 2> price_units{{{"/h", mega}, {"", mega}}};
constexpr std::array<Unit, 1> money_units{{{"", mega}}};
constexpr std::array<Unit, 5> duration_units{
    {{"d", 24 * 3'600'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};

Error wrong(std::string detail) {
    return refuse(ErrorCode::invalid_field, std::move(detail));
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// Digits with at most one point among them, from the front of `text`.
std::string_view take_number(std::string_view& text) {
    std::size_t size = 0;
    bool point = false;
    while (size < text.size() && (is_digit(text[size]) || (text[size] == '.' && !point))) {
        point = point || text[size] == '.';
        ++size;
    }
    const std::string_view number = text.substr(0, size);
    text.remove_prefix(size);
    return number;
}

struct Decimal {
    Int128 value = 0;
    Int128 divisor = 1;
};

std::optional<Decimal> read_decimal(std::string_view text) {
    if (text.empty() || text.front() == '.' || text.back() == '.') return std::nullopt;
    Decimal decimal;
    bool point = false;
    int digits = 0;
    for (const char c : text) {
        if (c == '.') {
            point = true;
            continue;
        }
        if (++digits > 18) return std::nullopt;
        decimal.value = decimal.value * 10 + (c - '0');
        if (point) decimal.divisor *= 10;
    }
    return decimal;
}

bool equal_folded(std::string_view a, std::string_view b) {
    return lower(a) == lower(b);
}

const Unit* find_unit(std::span<const Unit> units, std::string_view name) {
    // As written first: in durations nothing else tells m from M.
    for (const Unit& unit : units)
        if (unit.name == name) return &unit;
    for (const Unit& unit : units)
        if (equal_folded(unit.name, name)) return &unit;
    return nullptr;
}

std::string unit_list(Kind kind) {
    std::string list;
    for (const Unit& unit : units_of(kind)) {
        if (unit.name.empty()) continue;
        if (!list.empty()) list += ", ";
        list += unit.name;
    }
    return list;
}

Error unknown_unit(Kind kind, std::string_view name) {
    std::vector<std::string_view> names;
    for (const Unit& unit : units_of(kind))
        names.push_back(unit.name);
    const auto near = nearest(name, names);
    if (unit_list(kind).empty()) return wrong(fmt::format("Give {}, without a unit.", example_of(kind)));
    return wrong(fmt::format("There is no unit \"{}\" here{} The units are {}.", name,
                             near ? fmt::format("; did you mean \"{}\"?", *near) : std::string("."),
                             unit_list(kind)));
}

Result<std::int64_t> read_quantity(Kind kind, std::string_view text) {
    if ((kind == Kind::price || kind == Kind::money) && text.starts_with('$')) text.remove_prefix(1);
    std::string_view rest = text;
    const auto number = read_decimal(take_number(rest));
    if (!number) return wrong(fmt::format("Give {}, not \"{}\".", example_of(kind), text));
    std::int64_t size = 1;
    if (const auto units = units_of(kind); !units.empty()) {
        const Unit* unit = find_unit(units, rest);
        if (unit == nullptr && rest.empty())
            return wrong(fmt::format("The number needs a unit: give {}.", example_of(kind)));
        if (unit == nullptr) return unknown_unit(kind, rest);
        size = unit->size;
    } else if (!rest.empty()) {
        return wrong(fmt::format("Give {}, without a unit.", example_of(kind)));
    }
    const Int128 value = number->value * size / number->divisor;
    if (value > std::numeric_limits<std::int64_t>::max())
        return wrong(fmt::format("\"{}\" is more than the server can count.", text));
    return static_cast<std::int64_t>(value);
}

/// Days from 1970-01-01 in the Gregorian calendar, for years from 1970 on.
std::int64_t days_of(int year, int month, int day) {
    const auto leaps = [](std::int64_t y) { return y / 4 - y / 100 + y / 400; };
    constexpr std::array<int, 12> before{0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    const bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    const std::int64_t past = year - 1;
    return past * 365 + leaps(past) - (1969 * 365 + leaps(1969)) +
           before.at(static_cast<std::size_t>(month - 1)) + (is_leap && month > 2 ? 1 : 0) + day - 1;
}

/// The digits of `text` that stand where `form` has a 0; nothing when it has another form.
std::optional<std::vector<int>> digits_like(std::string_view form, std::string_view text) {
    if (form.size() != text.size()) return std::nullopt;
    std::vector<int> digits;
    for (std::size_t i = 0; i < form.size(); ++i) {
        if (form[i] != '0' && form[i] != text[i]) return std::nullopt;
        if (form[i] != '0') continue;
        if (!is_digit(text[i])) return std::nullopt;
        digits.push_back(text[i] - '0');
    }
    return digits;
}

Result<std::int64_t> read_time(std::string_view text) {
    const auto date = digits_like("0000-00-00", text.substr(0, 10));
    const std::string_view rest = text.size() > 10 ? text.substr(10) : std::string_view("T00:00:00Z");
    auto clock = digits_like("T00:00:00Z", rest);
    std::int64_t fraction = 0;
    if (const auto fine = digits_like("T00:00:00.000Z", rest)) {
        clock = fine;
        fraction = (*fine)[6] * 100 + (*fine)[7] * 10 + (*fine)[8];
    }
    if (!date || !clock) return wrong(fmt::format("Give {}, not \"{}\".", example_of(Kind::time), text));
    const auto two = [](const std::vector<int>& digits, std::size_t at) {
        return digits[at] * 10 + digits[at + 1];
    };
    const int year = two(*date, 0) * 100 + two(*date, 2);
    const int month = two(*date, 4);
    const int day = two(*date, 6);
    const bool is_date =
        year >= 1970 && month >= 1 && month <= 12 && day >= 1 &&
        days_of(year, month, day) < (month == 12 ? days_of(year + 1, 1, 1) : days_of(year, month + 1, 1));
    if (!is_date || two(*clock, 0) > 23 || two(*clock, 2) > 59 || two(*clock, 4) > 59)
        return wrong(fmt::format("There is no such moment as \"{}\".", text));
    const std::int64_t seconds =
        days_of(year, month, day) * 86'400 + two(*clock, 0) * 3600 + two(*clock, 2) * 60 + two(*clock, 4);
    return seconds * 1000 + fraction;
}

Result<std::int64_t> read_boolean(std::string_view text) {
    if (equal_folded(text, "true") || equal_folded(text, "yes")) return 1;
    if (equal_folded(text, "false") || equal_folded(text, "no")) return 0;
    return wrong(fmt::format("Give true or false, not \"{}\".", text));
}

Result<std::int64_t> read_version(std::string_view text) {
    std::string_view rest = text;
    while (!rest.empty() && (is_digit(rest.front()) || rest.front() == '.'))
        rest.remove_prefix(1);
    const auto packed = pack_version(text);
    if (!packed || !rest.empty())
        return wrong(fmt::format("Give {}, not \"{}\".", example_of(Kind::version), text));
    return *packed;
}

constexpr int version_bits = 20;

std::string write_version(std::int64_t value) {
    constexpr std::int64_t mask = (1 << version_bits) - 1;
    const std::int64_t last = value & mask;
    std::string text = fmt::format("{}.{}", value >> (2 * version_bits), (value >> version_bits) & mask);
    return last == 0 ? text : fmt::format("{}.{}", text, last);
}

std::string write_money(std::int64_t micros) {
    std::string fraction = fmt::format("{:06}", micros % mega);
    while (fraction.size() > 2 && fraction.back() == '0')
        fraction.pop_back();
    return fmt::format("${}.{}", micros / mega, fraction);
}

/// Letters put in, left out, exchanged, or swapped with their neighbour.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> least(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) {
        for (std::size_t j = 0; j <= b.size(); ++j) {
            std::size_t& here = least[i][j];
            here = i + j;
            if (i == 0 || j == 0) continue;
            const std::size_t exchanged = least[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            here = std::min({least[i - 1][j] + 1, least[i][j - 1] + 1, exchanged});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                here = std::min(here, least[i - 2][j - 2] + 1);
        }
    }
    return least[a.size()][b.size()];
}

}  // namespace

std::span<const Unit> units_of(Kind kind) {
    switch (kind) {
        case Kind::bytes:
            return byte_units;
        case Kind::bytes_per_s:
            return rate_units;
        case Kind::flops:
            return flops_units;
        case Kind::price:
            return price_units;
        case Kind::money:
            return money_units;
        case Kind::duration:
            return duration_units;
        case Kind::text:
        case Kind::boolean:
        case Kind::number:
        case Kind::version:
        case Kind::time:
            break;
    }
    return {};
}

bool needs_unit(Kind kind) {
    return !units_of(kind).empty() && kind != Kind::price && kind != Kind::money;
}

std::string_view noun_of(Kind kind) {
    switch (kind) {
        case Kind::text:
            return "a text";
        case Kind::boolean:
            return "true or false";
        case Kind::number:
            return "a number";
        case Kind::bytes:
            return "a size";
        case Kind::bytes_per_s:
            return "a rate";
        case Kind::flops:
            return "a speed";
        case Kind::price:
            return "a price";
        case Kind::money:
            return "an amount";
        case Kind::duration:
            return "a time span";
        case Kind::version:
            return "a version";
        case Kind::time:
            return "a moment";
    }
    return {};
}

std::string_view example_of(Kind kind) {
    switch (kind) {
        case Kind::text:
            return "a text like DE, or \"in quotes\"";
        case Kind::boolean:
            return "true or false";
        case Kind::number:
            return "a whole number like 8";
        case Kind::bytes:
            return "a size like 80GiB";
        case Kind::bytes_per_s:
            return "a rate like 1.2TB/s";
        case Kind::flops:
            return "a speed like 60TFLOPS";
        case Kind::price:
            return "a price like $2.10/h";
        case Kind::money:
            return "an amount like $0.07";
        case Kind::duration:
            return "a time span like 12h";
        case Kind::version:
            return "a version like 550.54";
        case Kind::time:
            return "a date like 2026-01-31 or 2026-01-31T12:00:00Z";
    }
    return {};
}

Result<std::int64_t> read_value(Kind kind, std::string_view text) {
    switch (kind) {
        case Kind::boolean:
            return read_boolean(text);
        case Kind::version:
            return read_version(text);
        case Kind::time:
            return read_time(text);
        default:
            return read_quantity(kind, text);
    }
}

std::string write_value(Kind kind, std::int64_t value) {
    if (kind == Kind::boolean) return value != 0 ? "true" : "false";
    if (kind == Kind::version) return write_version(value);
    if (kind == Kind::time) return to_rfc3339(Time(value));
    if (kind == Kind::price) return write_money(value) + "/h";
    if (kind == Kind::money) return write_money(value);
    std::string best;
    for (const Unit& unit : units_of(kind)) {
        if (value % unit.size != 0 || (value == 0 && unit.size != 1)) continue;
        const std::string text = fmt::format("{}{}", value / unit.size, unit.name);
        if (best.empty() || text.size() < best.size()) best = text;
    }
    return best.empty() ? fmt::format("{}", value) : best;
}

std::optional<std::int64_t> pack_version(std::string_view text) {
    std::int64_t packed = 0;
    for (int part = 0; part < 3; ++part) {
        std::int64_t number = 0;
        if (part == 0 || text.starts_with('.')) {
            if (part > 0) text.remove_prefix(1);
            if (text.empty() || !is_digit(text.front())) return std::nullopt;
            for (; !text.empty() && is_digit(text.front()); text.remove_prefix(1)) {
                number = number * 10 + (text.front() - '0');
                if (number >= 1 << version_bits) return std::nullopt;
            }
        }
        packed = (packed << version_bits) | number;
    }
    return packed;
}

std::optional<std::string_view> nearest(std::string_view name, std::span<const std::string_view> known) {
    const std::string wanted = lower(name);
    std::optional<std::string_view> best;
    // A third of the letters may be wrong: "bandwith" is near, "gpu_name" is near nothing.
    std::size_t least = std::max<std::size_t>(1, wanted.size() / 3) + 1;
    for (const std::string_view candidate : known) {
        if (candidate.empty()) continue;
        const std::size_t distance = edit_distance(wanted, lower(candidate));
        if (distance >= least) continue;
        least = distance;
        best = candidate;
    }
    return best;
}

std::string lower(std::string_view text) {
    std::string folded(text);
    for (char& c : folded)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return folded;
}

}  // namespace fallow::market::search
